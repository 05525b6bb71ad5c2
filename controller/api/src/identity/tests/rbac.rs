//! Who is let in: administrators of the cloud, managers and readers of a domain, everybody else.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

struct Domain {
    id: String,
    manager: String,
    reader: String,
}

/// A domain with a manager and a reader, each with a token for it.
async fn domain(cloud: &TestCloud, admin: &str, name: &str) -> Domain {
    let id = cloud.post("/v3/domains", admin, json!({"domain": {"name": name}})).await.text("/domain/id");
    let mut tokens = Vec::new();
    for role in ["manager", "reader"] {
        let user = json!({"user": {"name": role, "password": role, "domain_id": id}});
        let user = cloud.post("/v3/users", admin, user).await.text("/user/id");
        let role_id = cloud.get(&format!("/v3/roles?name={role}"), admin).await.text("/roles/0/id");
        let grant = format!("/v3/domains/{id}/users/{user}/roles/{role_id}");
        assert_eq!(cloud.call(Method::PUT, &grant, admin, Value::Null).await.status, StatusCode::NO_CONTENT);
        let password = json!({"user": {"id": user, "password": role}});
        let identity = json!({"methods": ["password"], "password": password});
        let login = json!({"auth": {"identity": identity, "scope": {"domain": {"id": id}}}});
        let login = cloud.post("/v3/auth/tokens", "", login).await;
        assert_eq!(login.status, StatusCode::CREATED, "{}", login.json());
        tokens.push(login.header("x-subject-token").to_owned());
    }
    let [manager, reader] = tokens.try_into().unwrap();
    Domain { id, manager, reader }
}

#[tokio::test]
async fn a_domains_manager_rules_its_domain_and_no_other() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (own, other) = (domain(&cloud, &admin, "own").await, domain(&cloud, &admin, "other").await);
    for (collection, member) in [("projects", "project"), ("users", "user"), ("groups", "group")] {
        let body = |domain_id: &str| json!({member: {"name": "x", "domain_id": domain_id}});
        let path = format!("/v3/{collection}");
        let made = cloud.post(&path, &own.manager, body(&own.id)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{member}: {}", made.json());
        assert_eq!(
            cloud.post(&path, &own.manager, body(&other.id)).await.status,
            StatusCode::FORBIDDEN,
            "{member}"
        );
        assert_eq!(
            cloud.post(&path, &own.reader, body(&own.id)).await.status,
            StatusCode::FORBIDDEN,
            "{member}"
        );
        let one = format!("{path}/{}", made.text(&format!("/{member}/id")));
        for (token, expected) in [
            (&own.reader, StatusCode::OK),
            (&other.manager, StatusCode::FORBIDDEN),
            (&other.reader, StatusCode::FORBIDDEN),
        ] {
            assert_eq!(cloud.get(&one, token).await.status, expected, "{member}");
        }
        let renamed = json!({member: {"name": "y"}});
        for (token, expected) in [(&other.manager, StatusCode::FORBIDDEN), (&own.manager, StatusCode::OK)] {
            assert_eq!(
                cloud.call(Method::PATCH, &one, token, renamed.clone()).await.status,
                expected,
                "{member}"
            );
        }
        let listed = cloud.get(&path, &own.reader).await.json();
        for item in listed[collection].as_array().unwrap() {
            assert_eq!(item["domain_id"], own.id, "{collection} of another domain");
        }
        assert_eq!(cloud.delete(&one, &other.manager).await.status, StatusCode::FORBIDDEN, "{member}");
        assert_eq!(cloud.delete(&one, &own.manager).await.status, StatusCode::NO_CONTENT, "{member}");
    }
    let listed = cloud.get("/v3/domains", &own.reader).await.json();
    assert_eq!(listed["domains"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_domains_manager_grants_what_is_below_it_within_its_domain() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (own, other) = (domain(&cloud, &admin, "own").await, domain(&cloud, &admin, "other").await);
    let make = async |collection: &str, member: &str, domain_id: &str| {
        let body = json!({member: {"name": "x", "domain_id": domain_id}});
        let made = cloud.post(&format!("/v3/{collection}"), &admin, body).await;
        made.text(&format!("/{member}/id"))
    };
    let (project, user) = (make("projects", "project", &own.id).await, make("users", "user", &own.id).await);
    let foreign = make("users", "user", &other.id).await;
    let grant = async |token: &str, user: &str, role: &str| {
        let role_id = cloud.get(&format!("/v3/roles?name={role}"), &admin).await.text("/roles/0/id");
        let path = format!("/v3/projects/{project}/users/{user}/roles/{role_id}");
        cloud.call(Method::PUT, &path, token, Value::Null).await.status
    };
    assert_eq!(grant(&own.manager, &user, "member").await, StatusCode::NO_CONTENT);
    assert_eq!(grant(&own.manager, &user, "admin").await, StatusCode::FORBIDDEN, "more than itself");
    assert_eq!(grant(&own.manager, &foreign, "member").await, StatusCode::FORBIDDEN, "a stranger");
    assert_eq!(grant(&own.reader, &user, "member").await, StatusCode::FORBIDDEN);
    assert_eq!(grant(&other.manager, &user, "member").await, StatusCode::FORBIDDEN);
    let seen = cloud.get("/v3/role_assignments", &own.reader).await.json();
    let text = seen.to_string();
    assert!(text.contains(&user) && !text.contains(&other.id), "{seen}");
}

#[tokio::test]
async fn the_clouds_own_things_are_the_administrators() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let own = domain(&cloud, &admin, "own").await;
    for (path, body) in [
        ("/v3/domains", json!({"domain": {"name": "x"}})),
        ("/v3/roles", json!({"role": {"name": "x"}})),
        ("/v3/services", json!({"service": {"type": "x"}})),
        ("/v3/regions", json!({"region": {"id": "x"}})),
        (
            "/v3/limits",
            json!({"limits": [{"project_id": "x", "service_id": "x", "resource_name": "x", "resource_limit": 1}]}),
        ),
    ] {
        assert_eq!(
            cloud.post(path, &own.manager, body.clone()).await.status,
            StatusCode::FORBIDDEN,
            "{path}"
        );
        assert_eq!(cloud.post(path, "", body).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}
