//! Grants on every kind of target, to every kind of actor, directly and with inheritance.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

#[tokio::test]
async fn every_grant_is_put_checked_listed_and_revoked() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, user_id, token) = cloud.tenant("ada", "member").await;
    let group_id = cloud.post("/v3/groups", &admin, json!({"group": {"name": "g"}})).await.text("/group/id");
    let role_id = cloud.post("/v3/roles", &admin, json!({"role": {"name": "r"}})).await.text("/role/id");
    let call = async |method: Method, path: &str| cloud.call(method, path, &admin, Value::Null).await;
    let actors = [format!("users/{user_id}"), format!("groups/{group_id}")];
    let mut grants = Vec::new();
    for actor in &actors {
        for target in [format!("projects/{project_id}"), "domains/default".to_owned()] {
            grants.push((format!("/v3/{target}/{actor}/roles"), ""));
            grants.push((format!("/v3/OS-INHERIT/{target}/{actor}/roles"), "/inherited_to_projects"));
        }
        grants.push((format!("/v3/system/{actor}/roles"), ""));
    }
    for (list, end) in &grants {
        let (one, list) = (format!("{list}/{role_id}{end}"), format!("{list}{end}"));
        assert_eq!(call(Method::HEAD, &one).await.status, StatusCode::NOT_FOUND, "{one}");
        assert_eq!(
            cloud.call(Method::PUT, &one, &token, Value::Null).await.status,
            StatusCode::FORBIDDEN,
            "{one}"
        );
        for _ in 0..2 {
            let put = call(Method::PUT, &one).await;
            assert_eq!(put.status, StatusCode::NO_CONTENT, "{one}: {}", put.json());
        }
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(call(method, &one).await.status, StatusCode::NO_CONTENT, "{one}");
        }
        let listed = call(Method::GET, &list).await.json();
        let ids: Vec<&str> =
            listed["roles"].as_array().unwrap().iter().map(|role| role["id"].as_str().unwrap()).collect();
        assert!(ids.contains(&role_id.as_str()), "{list}: {listed}");
        assert_eq!(listed["links"]["self"], format!("http://cloud.test:5000/identity{list}"));
    }
    // Each is a grant of its own: they go one by one.
    for (list, end) in &grants {
        let one = format!("{list}/{role_id}{end}");
        assert_eq!(call(Method::DELETE, &one).await.status, StatusCode::NO_CONTENT, "{one}");
        assert_eq!(call(Method::DELETE, &one).await.status, StatusCode::NOT_FOUND, "{one}");
    }
}

#[tokio::test]
async fn a_grant_needs_all_its_parties() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, user_id, _) = cloud.tenant("ada", "member").await;
    let role_id = cloud.get("/v3/roles?name=member", &admin).await.text("/roles/0/id");
    for path in [
        format!("/v3/projects/nowhere/users/{user_id}/roles/{role_id}"),
        format!("/v3/projects/{project_id}/users/nobody/roles/{role_id}"),
        format!("/v3/projects/{project_id}/groups/{user_id}/roles/{role_id}"),
        format!("/v3/projects/{project_id}/users/{user_id}/roles/nothing"),
        format!("/v3/domains/nowhere/users/{user_id}/roles/{role_id}"),
        format!("/v3/system/users/nobody/roles/{role_id}"),
    ] {
        let reply = cloud.call(Method::PUT, &path, &admin, Value::Null).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
    }
}
