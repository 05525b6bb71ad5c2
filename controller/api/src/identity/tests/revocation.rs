//! THREATS rows 2, 8 and 9: old tokens, and what a login gives away.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use futures_util::FutureExt;
use serde_json::{Value, json};
use updraft_core::identity::login::{self, Login};
use updraft_core::identity::token::{authenticate, revoke, validate};
use updraft_core::{Core, ErrorKind};
use updraft_store::Store;
use updraft_token::{KeyRepository, Tokens};

use crate::test_cloud::{TestCloud, project};

/// Far longer than a controller may take to see what another changed: how fast the machine is shall not matter.
const PATIENCE: Duration = Duration::from_secs(30);

async fn token(cloud: &TestCloud, scope: Value) -> String {
    let reply = cloud.login("alice", "alice", scope).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.json());
    reply.header("x-subject-token").to_owned()
}

#[tokio::test]
async fn threats_8_old_tokens_end_with_what_they_stand_on() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, user_id, _) = cloud.tenant("alice", "member").await;
    let group = cloud.post("/v3/groups", &admin, json!({"group": {"name": "g"}})).await.text("/group/id");
    let below = cloud
        .post("/v3/projects", &admin, json!({"project": {"name": "below", "parent_id": project_id}}))
        .await;
    assert_eq!(below.status, StatusCode::CREATED, "{}", below.json());
    let reader = cloud.get("/v3/roles?name=reader", &admin).await.text("/roles/0/id");
    let membership = format!("/v3/groups/{group}/users/{user_id}");
    let through_group = format!("/v3/projects/{}/groups/{group}/roles/{reader}", below.text("/project/id"));
    let inherited =
        format!("/v3/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{reader}/inherited_to_projects");
    let call = async |method: Method, path: &str| cloud.call(method, path, &admin, Value::Null).await.status;
    for (give, take) in
        [(&membership, &membership), (&through_group, &through_group), (&inherited, &inherited)]
    {
        assert_eq!(call(Method::PUT, give).await, StatusCode::NO_CONTENT, "{give}");
        if *give == membership {
            assert_eq!(call(Method::PUT, &through_group).await, StatusCode::NO_CONTENT);
        }
        let token = token(&cloud, project("below")).await;
        assert_eq!(cloud.get("/v3/auth/catalog", &token).await.status, StatusCode::OK, "{give}");
        assert_eq!(call(Method::DELETE, take).await, StatusCode::NO_CONTENT, "{take}");
        let after = cloud.get("/v3/auth/catalog", &token).await.status;
        assert_eq!(after, StatusCode::UNAUTHORIZED, "the next request: {take}");
        assert_eq!(call(Method::PUT, &membership).await, StatusCode::NO_CONTENT);
    }
    // The domain, and the user itself.
    let off = json!({"domain": {"enabled": false}});
    let own = token(&cloud, project("alice")).await;
    let path = format!("/v3/users/{user_id}");
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get("/v3/auth/catalog", &own).await.status, StatusCode::UNAUTHORIZED, "a deleted user");
    assert_eq!(cloud.call(Method::PATCH, "/v3/domains/default", &admin, off).await.status, StatusCode::OK);
    assert_eq!(
        cloud.get("/v3/auth/catalog", &admin).await.status,
        StatusCode::UNAUTHORIZED,
        "a disabled domain"
    );
}

#[tokio::test]
async fn threats_8_what_one_controller_revokes_is_dead_on_the_others_at_once() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, user_id, alice) = cloud.tenant("alice", "member").await;
    let other = other_controller(&cloud).await;
    let check = async |token: &str| {
        updraft_core::identity::token::authenticate(&other, token, "req-x").await.map(|caller| caller.roles)
    };
    assert_eq!(check(&alice).await.unwrap(), ["member", "reader"]);
    let off = json!({"user": {"enabled": false}});
    let path = format!("/v3/users/{user_id}");
    assert_eq!(cloud.call(Method::PATCH, &path, &admin, off).await.status, StatusCode::OK);
    assert!(check(&alice).await.is_err(), "there is no memory that could be stale");
    assert!(check(&admin).await.is_ok());
}

#[tokio::test]
async fn threats_8_a_token_that_another_controller_cut_off_is_not_exchanged_for_a_good_one() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, user_id, alice) = cloud.tenant("alice", "member").await;
    let other = other_controller(&cloud).await;
    let exchange = || Login { token: Some(alice.clone()), ..Login::default() };
    // It remembers what the token stands on, and for a while will not look again by itself.
    other.store.refresh_identity().await.unwrap();
    assert!(login::login(&other, exchange()).await.is_ok());
    let off = json!({"user": {"enabled": false}});
    let path = format!("/v3/users/{user_id}");
    assert_eq!(cloud.call(Method::PATCH, &path, &admin, off).await.status, StatusCode::OK);
    let refused = login::login(&other, exchange()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unauthorized);
}

#[tokio::test]
async fn threats_8_what_one_controller_takes_away_is_soon_forgotten_by_the_others() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, user_id, _) = cloud.tenant("alice", "member").await;
    let grant = cloud.grant_path(&admin, &project_id, &user_id, "member").await;
    let other = other_controller(&cloud).await;
    let watchers = [&cloud.core, &other].map(|core| {
        let store = core.store.clone();
        tokio::spawn(async move { store.watch_identity().await })
    });
    let revoked = token(&cloud, project("alice")).await;
    until_remembered(&cloud.core, &revoked).await;
    let live = validate(&other, &revoked).await.unwrap();
    revoke(&other, &live).await.unwrap();
    until_refused(&cloud.core, &revoked).await;

    let user = format!("/v3/users/{user_id}");
    let new_password = json!({"user": {"password": "alice"}});
    for (method, path, body) in [(Method::PATCH, &user, new_password), (Method::DELETE, &grant, Value::Null)]
    {
        let token = token(&cloud, project("alice")).await;
        until_remembered(&other, &token).await;
        let done = cloud.call(method, path, &admin, body).await;
        assert!(done.status.is_success(), "{path}: {}", done.json());
        until_refused(&other, &token).await;
    }
    for watcher in watchers {
        watcher.abort();
    }
}

/// Waits until the controller answers for the token out of its memory, and so without waiting for its database.
async fn until_remembered(core: &Core, token: &str) {
    until("the token is not remembered", async || {
        let is_good = authenticate(core, token, "req-x").await.is_ok();
        is_good && matches!(authenticate(core, token, "req-x").now_or_never(), Some(Ok(_)))
    })
    .await;
}

async fn until_refused(core: &Core, token: &str) {
    until("the token is still good", async || {
        authenticate(core, token, "req-x").await.is_err_and(|error| error.kind == ErrorKind::Unauthorized)
    })
    .await;
}

async fn until(otherwise: &str, is_so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "{otherwise}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A second controller over the same database and keys.
async fn other_controller(cloud: &TestCloud) -> Core {
    let store = Store::open(cloud.database()).await.unwrap();
    let keys = KeyRepository::open_or_create(&cloud.directory.path().join("keys")).unwrap();
    Core::new(store, Tokens::new(keys).unwrap(), cloud.core.config.clone())
}

#[tokio::test]
async fn revocations_are_listed_for_those_who_check_by_themselves() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, user_id, alice) = cloud.tenant("alice", "member").await;
    let grant = cloud.grant_path(&admin, &project_id, &user_id, "member").await;
    assert_eq!(cloud.delete(&grant, &admin).await.status, StatusCode::NO_CONTENT);
    let new_password = json!({"user": {"password": "other"}});
    let path = format!("/v3/users/{user_id}");
    assert_eq!(cloud.call(Method::PATCH, &path, &admin, new_password).await.status, StatusCode::OK);
    let found = cloud.get("/v3/OS-REVOKE/events", &admin).await.json();
    let events = found["events"].as_array().unwrap();
    let of = |event: &Value| (event.get("user_id").cloned(), event.get("project_id").cloned());
    let (user, project) = (Some(json!(user_id)), Some(json!(project_id)));
    assert!(events.iter().any(|event| of(event) == (user.clone(), project.clone())), "{found}");
    assert!(events.iter().any(|event| of(event) == (user.clone(), None)), "{found}");
    cloud.core.clock.advance(Duration::from_secs(60));
    let later = updraft_model::Timestamp(cloud.core.clock.now().0).seconds_z();
    let none = cloud.get(&format!("/v3/OS-REVOKE/events?since={later}"), &admin).await.json();
    assert_eq!(none["events"], json!([]));
    assert_eq!(cloud.get("/v3/OS-REVOKE/events?since=now", &admin).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(cloud.get("/v3/OS-REVOKE/events", &alice).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn threats_9_a_login_tells_nothing_about_who_exists() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, user_id, _) = cloud.tenant("alice", "member").await;
    let off = json!({"user": {"enabled": false}});
    let path = format!("/v3/users/{user_id}");
    assert_eq!(cloud.call(Method::PATCH, &path, &admin, off).await.status, StatusCode::OK);
    let mut answers = Vec::new();
    for (name, password) in [("alice", "alice"), ("alice", "wrong"), ("nobody", "alice"), ("admin", "wrong")]
    {
        let reply = cloud.login(name, password, Value::Null).await;
        assert!(!reply.json().to_string().contains(&user_id));
        answers.push((reply.status, reply.json()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    for length in [129, 900_000] {
        let reply = cloud.login("admin", &"x".repeat(length), Value::Null).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{length} bytes, before any hashing");
    }
}
