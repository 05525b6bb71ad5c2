//! Groups and who is in them.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

#[tokio::test]
async fn membership_is_put_checked_listed_and_ended() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, ada, token) = cloud.tenant("ada", "member").await;
    let made = cloud.post("/v3/groups", &admin, json!({"group": {"name": "ops", "room": 7}})).await;
    assert_eq!((made.status, made.json()["group"]["room"].clone()), (StatusCode::CREATED, json!(7)));
    let group = made.text("/group/id");
    let path = format!("/v3/groups/{group}/users/{ada}");
    let call = async |method: Method, path: &str| cloud.call(method, path, &admin, Value::Null).await.status;
    assert_eq!(call(Method::HEAD, &path).await, StatusCode::NOT_FOUND);
    for _ in 0..2 {
        assert_eq!(call(Method::PUT, &path).await, StatusCode::NO_CONTENT, "twice is once");
    }
    assert_eq!(call(Method::HEAD, &path).await, StatusCode::NO_CONTENT);
    let members = cloud.get(&format!("/v3/groups/{group}/users"), &admin).await;
    assert_eq!(members.text("/users/0/id"), ada);
    let of_ada = cloud.get(&format!("/v3/users/{ada}/groups"), &token).await;
    assert_eq!(of_ada.text("/groups/0/name"), "ops");
    assert_eq!(of_ada.json()["groups"][0].get("membership_expires_at"), Some(&Value::Null));
    for missing in [format!("/v3/groups/nowhere/users/{ada}"), format!("/v3/groups/{group}/users/nobody")] {
        assert_eq!(call(Method::PUT, &missing).await, StatusCode::NOT_FOUND, "{missing}");
    }
    assert_eq!(cloud.call(Method::PUT, &path, &token, Value::Null).await.status, StatusCode::FORBIDDEN);
    assert_eq!(call(Method::DELETE, &path).await, StatusCode::NO_CONTENT);
    assert_eq!(call(Method::DELETE, &path).await, StatusCode::NOT_FOUND);
    let moved = json!({"group": {"domain_id": "elsewhere"}});
    let path = format!("/v3/groups/{group}");
    assert_eq!(cloud.call(Method::PATCH, &path, &admin, moved).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        cloud.post("/v3/groups", &admin, json!({"group": {"name": "OPS"}})).await.status,
        StatusCode::CONFLICT
    );
}
