//! Roles and implications.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

async fn role(cloud: &TestCloud, admin: &str, role: Value) -> (StatusCode, Value) {
    let reply = cloud.post("/v3/roles", admin, json!({"role": role})).await;
    (reply.status, reply.json()["role"].clone())
}

fn id(role: &Value) -> &str {
    role["id"].as_str().unwrap()
}

#[tokio::test]
async fn the_roles_of_the_cloud_cannot_be_broken() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for name in ["admin", "manager", "member", "reader", "service"] {
        let found = cloud.get(&format!("/v3/roles?name={name}"), &admin).await.json()["roles"][0].clone();
        assert_eq!(found["options"], json!({"immutable": true}), "{name}");
        let path = format!("/v3/roles/{}", id(&found));
        assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::FORBIDDEN, "{name}");
        let change = json!({"role": {"name": "other"}});
        assert_eq!(cloud.call(Method::PATCH, &path, &admin, change).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn roles_of_domains_are_apart() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (status, global) = role(&cloud, &admin, json!({"name": "ops", "description": null})).await;
    assert_eq!(
        (status, &global["description"], &global["domain_id"]),
        (StatusCode::CREATED, &Value::Null, &Value::Null)
    );
    assert_eq!(role(&cloud, &admin, json!({"name": "OPS"})).await.0, StatusCode::CONFLICT);
    let (status, of_domain) = role(&cloud, &admin, json!({"name": "ops", "domain_id": "default"})).await;
    assert_eq!((status, &of_domain["domain_id"]), (StatusCode::CREATED, &json!("default")));
    let listed = cloud.get("/v3/roles?domain_id=default", &admin).await.json();
    assert_eq!(listed["roles"].as_array().unwrap().len(), 1);
    assert!(!cloud.get("/v3/roles", &admin).await.json().to_string().contains(id(&of_domain)));
    let moved = json!({"role": {"domain_id": null}});
    let path = format!("/v3/roles/{}", id(&of_domain));
    assert_eq!(cloud.call(Method::PATCH, &path, &admin, moved).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn implications_are_made_shown_and_ended() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, prior) = role(&cloud, &admin, json!({"name": "lead"})).await;
    let (_, implied) = role(&cloud, &admin, json!({"name": "helper"})).await;
    let (_, of_domain) = role(&cloud, &admin, json!({"name": "local", "domain_id": "default"})).await;
    let path = |implied: &str| format!("/v3/roles/{}/implies/{implied}", id(&prior));
    let call = async |method: Method, path: &str| cloud.call(method, path, &admin, Value::Null).await;
    assert_eq!(call(Method::GET, &path(id(&implied))).await.status, StatusCode::NOT_FOUND);
    let made = call(Method::PUT, &path(id(&implied))).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.text("/role_inference/prior_role/name"), "lead");
    assert_eq!(made.text("/role_inference/implies/name"), "helper", "one role, not a list");
    assert_eq!(call(Method::PUT, &path(id(&implied))).await.status, StatusCode::CONFLICT);
    assert_eq!(call(Method::HEAD, &path(id(&implied))).await.status, StatusCode::NO_CONTENT);
    let list = call(Method::GET, &format!("/v3/roles/{}/implies", id(&prior))).await;
    assert_eq!(list.text("/role_inference/implies/0/id"), id(&implied));
    let all = call(Method::GET, "/v3/role_inferences").await.json();
    assert_eq!(all["role_inferences"].as_array().unwrap().len(), 4, "and the cloud's own three");
    let admin_role = cloud.get("/v3/roles?name=admin", &admin).await.text("/roles/0/id");
    for refused in [admin_role.as_str(), id(&of_domain)] {
        assert_eq!(call(Method::PUT, &path(refused)).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(call(Method::PUT, &path("nothing")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(call(Method::DELETE, &path(id(&implied))).await.status, StatusCode::NO_CONTENT);
    assert_eq!(call(Method::DELETE, &path(id(&implied))).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_role_of_a_domain_counts_by_what_it_implies() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, user_id, token) = cloud.tenant("ada", "reader").await;
    let (_, local) = role(&cloud, &admin, json!({"name": "local", "domain_id": "default"})).await;
    let member = cloud.get("/v3/roles?name=member", &admin).await.text("/roles/0/id");
    let put = async |path: String| cloud.call(Method::PUT, &path, &admin, Value::Null).await.status;
    assert_eq!(put(format!("/v3/roles/{}/implies/{member}", id(&local))).await, StatusCode::CREATED);
    assert_eq!(
        put(format!("/v3/projects/{project_id}/users/{user_id}/roles/{}", id(&local))).await,
        StatusCode::NO_CONTENT
    );
    let mut conn = cloud.core.read().await.unwrap();
    let target = updraft_model::identity::Target::Project(project_id.clone());
    let held = updraft_core::identity::effective::roles(&mut conn, &user_id, &target).await.unwrap();
    let names: Vec<String> = held.into_iter().map(|role| role.name).collect();
    assert_eq!(names, ["member", "reader"]);
    let domain = cloud.post("/v3/domains", &admin, json!({"domain": {"name": "d"}})).await.text("/domain/id");
    let (_, foreign) = role(&cloud, &admin, json!({"name": "local", "domain_id": domain})).await;
    let path = format!("/v3/projects/{project_id}/users/{user_id}/roles/{}", id(&foreign));
    assert_eq!(put(path).await, StatusCode::FORBIDDEN, "of another domain");
    assert_eq!(
        put(format!("/v3/system/users/{user_id}/roles/{}", id(&local))).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(cloud.get("/v3/auth/projects", &token).await.status, StatusCode::OK);
}
