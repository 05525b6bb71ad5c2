use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use updraft_core::{Config, PasswordHashing};

use super::{login_by, token_of};
use crate::test_cloud::{ADMIN_PASSWORD, TestCloud, project};

/// Logins of each kind, of whose times the middle one is compared.
const TIMED_LOGINS: usize = 15;
/// How often they are timed, should something else have kept the machine busy.
const ROUNDS: usize = 4;

#[tokio::test]
async fn threat_2_no_chain_of_tokens_lives_longer_than_its_first() {
    let cloud = TestCloud::start().await;
    let first = cloud.login("admin", ADMIN_PASSWORD, json!("unscoped")).await;
    let end = first.text("/token/expires_at");
    let mut token = token_of(&first);
    for scope in [project("admin"), json!("unscoped"), Value::Null, project("admin")] {
        cloud.core.clock.advance(Duration::from_secs(1800));
        let next = login_by(&cloud, "token", json!({"id": token}), scope).await;
        assert_eq!(next.text("/token/expires_at"), end);
        token = token_of(&next);
    }
}

#[tokio::test]
async fn threat_9_methods_are_few_and_counted_once() {
    let cloud = TestCloud::start().await;
    let user = json!({"name": "admin", "domain": {"id": "default"}, "password": ADMIN_PASSWORD});
    let ask = async |methods: Value| {
        let identity = json!({"methods": methods, "password": {"user": user}});
        cloud.post("/v3/auth/tokens", "", json!({"auth": {"identity": identity}})).await
    };
    let twice = ask(json!(["password", "password"])).await;
    assert_eq!(twice.json()["token"]["methods"], json!(["password"]));
    assert_eq!(ask(json!(vec!["password"; 9])).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ask(json!([])).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(json!(["oauth1"])).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(json!(["token"])).await.status, StatusCode::BAD_REQUEST, "without the proof");
}

#[tokio::test]
async fn a_login_without_a_password_fails_as_one_with_a_wrong_one() {
    let cloud = TestCloud::start().await;
    for password in [json!({}), json!({"password": ""})] {
        let mut user = json!({"name": "admin", "domain": {"id": "default"}});
        user.as_object_mut().unwrap().extend(password.as_object().unwrap().clone());
        let reply = login_by(&cloud, "password", json!({"user": user}), Value::Null).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{user}");
    }
}

#[tokio::test]
async fn threat_9_a_megabyte_of_password_is_refused_before_any_work() {
    let cloud = TestCloud::start().await;
    for user in ["admin", "nobody"] {
        let refused = cloud.login(user, &"x".repeat(1_000_000), Value::Null).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{user}");
    }
}

/// How long a login with a wrong password takes, of nobody and of somebody, asked in turns.
async fn times(cloud: &TestCloud) -> (Duration, Duration) {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..TIMED_LOGINS {
        for (user, times) in ["nobody", "admin"].into_iter().zip(&mut times) {
            let began = Instant::now();
            let reply = cloud.login(user, "wrong", Value::Null).await;
            times.push(began.elapsed());
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        }
    }
    let [nobody, somebody] = times.map(|mut times| {
        times.sort_unstable();
        times[TIMED_LOGINS / 2]
    });
    (nobody, somebody)
}

#[tokio::test]
async fn threat_9_nobodys_password_takes_as_long_as_somebodys() {
    for hashing in [PasswordHashing::Argon2id, PasswordHashing::Bcrypt { cost: 9 }] {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::new(directory.path().join("images"));
        config.password_hashing = hashing;
        let cloud = TestCloud::start_with(directory, config).await;
        let mut seen: Vec<(Duration, Duration)> = Vec::new();
        while seen.last().is_none_or(|(nobody, somebody)| *nobody * 2 < *somebody) {
            assert!(seen.len() < ROUNDS, "{hashing:?}, nobody and somebody: {seen:?}");
            seen.push(times(&cloud).await);
        }
    }
}

#[tokio::test]
async fn threat_9_disabled_unknown_and_mistaken_look_the_same() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, user_id, _) = cloud.tenant("alice", "member").await;
    let off = json!({"user": {"enabled": false}});
    cloud.call(Method::PATCH, &format!("/v3/users/{user_id}"), &admin, off).await;
    let mut answers = Vec::new();
    for (user, password) in [("alice", "alice"), ("alice", "wrong"), ("nobody", "alice"), ("admin", "wrong")]
    {
        let reply = cloud.login(user, password, Value::Null).await;
        answers.push((reply.status, reply.json()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_system_is_a_scope() {
    let cloud = TestCloud::start().await;
    let scope = json!({"system": {"all": true}});
    let login = cloud.login("admin", ADMIN_PASSWORD, scope.clone()).await;
    let token = token_of(&login);
    let body = login.json()["token"].clone();
    assert_eq!(body["system"], json!({"all": true}));
    assert!(body["roles"].as_array().unwrap().iter().any(|role| role["name"] == "admin"));
    assert!(body["catalog"].is_array());
    assert!(body.get("project").is_none());
    assert_eq!(cloud.get("/v3/auth/system", &token).await.json()["system"], json!([{"all": true}]));
    for other in [project("admin"), json!({"domain": {"id": "default"}})] {
        let refused = login_by(&cloud, "token", json!({"id": token}), other).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
    let part = cloud.login("admin", ADMIN_PASSWORD, json!({"system": {"all": "yes"}})).await;
    assert_eq!(part.status, StatusCode::BAD_REQUEST);
    cloud.tenant("alice", "member").await;
    assert_eq!(cloud.login("alice", "alice", scope).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_service_may_ask_about_a_token_that_expired() {
    let cloud = TestCloud::start().await;
    let (_, _, alice) = cloud.tenant("alice", "member").await;
    cloud.tenant("nova", "service").await;
    cloud.core.clock.advance(Duration::from_secs(13 * 3600));
    let nova = token_of(&cloud.login("nova", "nova", project("nova")).await);
    let ask = async |query: &str| {
        let request = axum::http::Request::builder().uri(format!("/v3/auth/tokens{query}"));
        let request = request.header("x-auth-token", &nova).header("x-subject-token", &alice);
        cloud.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    assert_eq!(ask("").await.status, StatusCode::NOT_FOUND);
    let shown = ask("?allow_expired=1&nocatalog").await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.json()["token"].get("catalog").is_none());
    assert_eq!(shown.header("vary"), "X-Auth-Token");
    cloud.core.clock.advance(Duration::from_secs(3 * 24 * 3600));
    let nova = token_of(&cloud.login("nova", "nova", project("nova")).await);
    let request = axum::http::Request::builder().uri("/v3/auth/tokens?allow_expired=1");
    let request = request.header("x-auth-token", &nova).header("x-subject-token", &alice);
    let late = cloud.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
}
