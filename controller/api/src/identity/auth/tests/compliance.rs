//! The rules of passwords and accounts that an operator may set.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use updraft_core::identity::PasswordRegex;
use updraft_core::{Config, SecurityCompliance};

use super::user;
use crate::test_cloud::{Reply, TestCloud};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn cloud_with(rules: SecurityCompliance) -> TestCloud {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::new(directory.path().join("images"));
    config.security_compliance = rules;
    TestCloud::start_with(directory, config).await
}

async fn change(cloud: &TestCloud, user_id: &str, from: &str, to: &str) -> Reply {
    let body = json!({"user": {"original_password": from, "password": to}});
    cloud.post(&format!("/v3/users/{user_id}/password"), "", body).await
}

async fn options(cloud: &TestCloud, user_id: &str, options: Value) {
    let body = json!({"user": {"options": options}});
    let reply = cloud.call(Method::PATCH, &format!("/v3/users/{user_id}"), &cloud.admin().await, body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.json());
}

async fn may_log_in(cloud: &TestCloud, name: &str, password: &str) -> bool {
    cloud.login(name, password, Value::Null).await.status == StatusCode::CREATED
}

#[tokio::test]
async fn a_password_expires_and_is_then_good_to_be_changed() {
    let cloud =
        cloud_with(SecurityCompliance { password_expires_days: Some(2), ..SecurityCompliance::default() })
            .await;
    let alice = user(&cloud, "alice").await;
    let admin = cloud.admin().await;
    let shown = cloud.get(&format!("/v3/users/{alice}"), &admin).await;
    let end = shown.text("/user/password_expires_at");
    assert!(end.ends_with(".000000"), "{end}");
    let token = cloud.login("alice", "alice", Value::Null).await;
    assert_eq!(token.text("/token/user/password_expires_at"), end);
    let found = async |condition: &str| {
        let path = format!("/v3/users?password_expires_at={condition}");
        cloud.get(&path, &cloud.admin().await).await.json()["users"].as_array().unwrap().len()
    };
    assert_eq!(found("gt:2020-01-01T00:00:00Z").await, 1, "the administrator's own does not expire");
    assert_eq!(found("lt:2020-01-01T00:00:00Z").await, 0);
    assert_eq!(found(&format!("eq:{}Z", end.trim_end_matches(".000000"))).await, 1);
    cloud.core.clock.advance(2 * DAY);
    let late = cloud.login("alice", "alice", Value::Null).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    let told = format!("The password is expired and needs to be changed for user: {alice}.");
    assert_eq!(late.text("/error/message"), told);
    let wrong = cloud.login("alice", "wrong", Value::Null).await;
    assert!(!wrong.text("/error/message").contains("expired"), "told to the owner alone");
    options(&cloud, &alice, json!({"ignore_password_expiry": true})).await;
    assert!(may_log_in(&cloud, "alice", "alice").await);
    options(&cloud, &alice, json!({"ignore_password_expiry": null})).await;
    assert_eq!(change(&cloud, &alice, "alice", "next").await.status, StatusCode::NO_CONTENT);
    assert!(may_log_in(&cloud, "alice", "next").await);
}

#[tokio::test]
async fn a_password_of_an_administrators_making_is_for_the_first_use() {
    let rules = SecurityCompliance { change_password_upon_first_use: true, ..SecurityCompliance::default() };
    let cloud = cloud_with(rules).await;
    let alice = user(&cloud, "alice").await;
    assert!(!may_log_in(&cloud, "alice", "alice").await);
    assert_eq!(change(&cloud, &alice, "alice", "mine").await.status, StatusCode::NO_CONTENT);
    assert!(may_log_in(&cloud, "alice", "mine").await);
    let body = json!({"user": {"password": "reset"}});
    let path = format!("/v3/users/{alice}");
    cloud.call(Method::PATCH, &path, &cloud.admin().await, body).await;
    assert!(!may_log_in(&cloud, "alice", "reset").await);
    let body = json!({"user": {
        "name": "robot", "password": "robot", "options": {"ignore_change_password_upon_first_use": true},
    }});
    cloud.post("/v3/users", &cloud.admin().await, body).await;
    assert!(may_log_in(&cloud, "robot", "robot").await);
}

#[tokio::test]
async fn a_new_password_is_new_and_has_its_form_and_its_time() {
    let rules = SecurityCompliance {
        password_regex: PasswordRegex::parse(r"^(?=.*\d)(?=.*[a-z]).{5,}$"),
        password_regex_description: Some("five characters with a digit".into()),
        unique_last_password_count: 3,
        minimum_password_age_days: 1,
        ..SecurityCompliance::default()
    };
    let cloud = cloud_with(rules).await;
    let admin = cloud.admin().await;
    let short = json!({"user": {"name": "alice", "password": "a1"}});
    let refused = cloud.post("/v3/users", &admin, short).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let told = "The password does not match the requirements: five characters with a digit.";
    assert_eq!(refused.text("/error/message"), told);
    let alice = user(&cloud, "alice1").await;
    let status = async |from: &str, to: &str| change(&cloud, &alice, from, to).await.status;
    assert_eq!(status("wrong", "wrong").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("alice1", "short").await, StatusCode::BAD_REQUEST);
    assert_eq!(status("alice1", "alice1").await, StatusCode::BAD_REQUEST, "the present one");
    assert_eq!(
        status("alice1", "alice2").await,
        StatusCode::NO_CONTENT,
        "an administrator set the one before"
    );
    let early = change(&cloud, &alice, "alice2", "alice3").await;
    assert_eq!(early.status, StatusCode::BAD_REQUEST);
    assert!(early.text("/error/message").contains("minimum password age"), "{}", early.json());
    cloud.core.clock.advance(DAY);
    assert_eq!(status("alice2", "alice3").await, StatusCode::NO_CONTENT);
    cloud.core.clock.advance(DAY);
    for old in ["alice1", "alice2", "alice3"] {
        let refused = change(&cloud, &alice, "alice3", old).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{old}");
        assert!(refused.text("/error/message").contains("identical to a previous password"));
    }
    assert_eq!(status("alice3", "alice4").await, StatusCode::NO_CONTENT);
    cloud.core.clock.advance(DAY);
    assert_eq!(status("alice4", "alice1").await, StatusCode::NO_CONTENT, "it is the fourth by now");
}

#[tokio::test]
async fn threat_9_too_many_wrong_passwords_lock_an_account_and_tell_nothing() {
    let rules = SecurityCompliance {
        lockout_failure_attempts: Some(2),
        lockout_duration: Some(Duration::from_secs(600)),
        ..SecurityCompliance::default()
    };
    let cloud = cloud_with(rules).await;
    let alice = user(&cloud, "alice").await;
    let fail = async |times: usize| {
        for _ in 0..times {
            assert!(!may_log_in(&cloud, "alice", "wrong").await);
        }
    };
    fail(1).await;
    assert!(may_log_in(&cloud, "alice", "alice").await);
    fail(1).await;
    assert!(may_log_in(&cloud, "alice", "alice").await, "what failed before a login counts no more");
    fail(2).await;
    let locked = cloud.login("alice", "alice", Value::Null).await;
    let unknown = cloud.login("nobody", "alice", Value::Null).await;
    assert_eq!((locked.status, locked.json()), (unknown.status, unknown.json()));
    assert_eq!(change(&cloud, &alice, "alice", "x").await.status, StatusCode::UNAUTHORIZED);
    cloud.core.clock.advance(Duration::from_secs(600));
    assert!(may_log_in(&cloud, "alice", "alice").await, "the time is over");
    fail(2).await;
    let on = json!({"user": {"enabled": true}});
    cloud.call(Method::PATCH, &format!("/v3/users/{alice}"), &cloud.admin().await, on).await;
    assert!(may_log_in(&cloud, "alice", "alice").await, "let in by an administrator");
    options(&cloud, &alice, json!({"ignore_lockout_failure_attempts": true})).await;
    fail(3).await;
    assert!(may_log_in(&cloud, "alice", "alice").await);
}

#[tokio::test]
async fn threat_9_a_failed_login_costs_as_many_transactions_whoever_it_is() {
    let rules = SecurityCompliance { lockout_failure_attempts: Some(2), ..SecurityCompliance::default() };
    let cloud = cloud_with(rules).await;
    user(&cloud, "alice").await;
    let bob = user(&cloud, "bob").await;
    let off = json!({"user": {"enabled": false}});
    cloud.call(Method::PATCH, &format!("/v3/users/{bob}"), &cloud.admin().await, off).await;
    let core = &cloud.core;
    let mut all = Vec::new();
    // Bob is disabled, and Alice is locked out when she has the right password at last.
    for (name, password) in
        [("alice", "wrong"), ("nobody", "alice"), ("bob", "bob"), ("alice", "wrong"), ("alice", "alice")]
    {
        core.audit.flush(core).await;
        let before = core.store.counters().commits;
        assert!(!may_log_in(&cloud, name, password).await, "{name}");
        // The audit event is written after the answer.
        core.audit.flush(core).await;
        all.push((name, core.store.counters().commits - before));
    }
    assert!(all.iter().all(|(_, commits)| *commits == all[0].1), "{all:?}");
}

#[tokio::test]
async fn who_was_away_for_too_long_counts_as_disabled() {
    let rules =
        SecurityCompliance { disable_user_account_days_inactive: Some(10), ..SecurityCompliance::default() };
    let cloud = cloud_with(rules).await;
    let alice = user(&cloud, "alice").await;
    user(&cloud, "bob").await;
    cloud.core.clock.advance(8 * DAY);
    assert!(may_log_in(&cloud, "alice", "alice").await);
    cloud.admin().await;
    cloud.core.clock.advance(8 * DAY);
    assert!(may_log_in(&cloud, "alice", "alice").await);
    assert!(!may_log_in(&cloud, "bob", "bob").await, "he never came");
    let disabled = cloud.get("/v3/users?enabled=false", &cloud.admin().await).await.json();
    let names: Vec<_> = disabled["users"].as_array().unwrap().iter().map(|user| &user["name"]).collect();
    assert_eq!(names, ["bob"]);
    options(&cloud, &alice, json!({"ignore_user_inactivity": true})).await;
    cloud.admin().await;
    cloud.core.clock.advance(8 * DAY);
    cloud.admin().await;
    cloud.core.clock.advance(8 * DAY);
    assert!(may_log_in(&cloud, "alice", "alice").await);
}

#[tokio::test]
async fn tokens_of_who_was_away_for_too_long_are_no_good() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::new(directory.path().join("images"));
    config.security_compliance.disable_user_account_days_inactive = Some(10);
    config.token_lifetime = 40 * DAY;
    let cloud = TestCloud::start_with(directory, config).await;
    let (_, _, alice) = cloud.tenant("alice", "member").await;
    let (_, bob_id, bob) = cloud.tenant("bob", "member").await;
    let admin = cloud.admin().await;
    let status = async |token: &str| cloud.get("/v3/auth/projects", token).await.status;
    let days = async |number: u32| {
        cloud.core.clock.advance(number * DAY);
        cloud.admin().await;
    };
    days(9).await;
    assert_eq!((status(&alice).await, status(&bob).await), (StatusCode::OK, StatusCode::OK));
    assert!(may_log_in(&cloud, "alice", "alice").await);
    days(1).await;
    assert_eq!(status(&alice).await, StatusCode::OK, "the token of before, too: she was here yesterday");
    assert_eq!(status(&bob).await, StatusCode::UNAUTHORIZED);
    let path = "/v3/auth/tokens";
    let request =
        axum::http::Request::get(path).header("x-auth-token", &admin).header("x-subject-token", &bob);
    let seen = cloud.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND, "nor for who validates it");
    let exchange = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": bob}}}});
    assert_eq!(cloud.post(path, "", exchange).await.status, StatusCode::UNAUTHORIZED);
    let on = json!({"user": {"enabled": true}});
    cloud.call(Method::PATCH, &format!("/v3/users/{bob_id}"), &admin, on).await;
    assert_eq!(status(&bob).await, StatusCode::OK, "let in by an administrator");
    options(&cloud, &bob_id, json!({"ignore_user_inactivity": true})).await;
    days(9).await;
    days(9).await;
    assert_eq!(status(&bob).await, StatusCode::OK, "exempt");
    assert_eq!(status(&alice).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_locked_password_stays() {
    let cloud = TestCloud::start().await;
    let alice = user(&cloud, "alice").await;
    options(&cloud, &alice, json!({"lock_password": true})).await;
    let refused = change(&cloud, &alice, "alice", "mine").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text("/error/message").contains("disallowing password changes"));
    assert_eq!(change(&cloud, &alice, "wrong", "mine").await.status, StatusCode::UNAUTHORIZED);
}
