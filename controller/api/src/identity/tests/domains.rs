//! Domains, also in the shape of projects.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

#[tokio::test]
async fn a_domain_is_disabled_before_it_goes_and_takes_everything_along() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let made = cloud.post("/v3/domains", &admin, json!({"domain": {"name": "acme", "note": "x"}})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let id = made.text("/domain/id");
    assert_eq!(
        (made.json()["domain"]["enabled"].clone(), made.text("/domain/note")),
        (json!(true), "x".into())
    );
    let twin = cloud.post("/v3/domains", &admin, json!({"domain": {"name": "ACME"}})).await;
    assert_eq!(twin.status, StatusCode::CONFLICT);
    let mut paths = Vec::new();
    for (collection, member) in
        [("projects", "project"), ("users", "user"), ("groups", "group"), ("roles", "role")]
    {
        let body = json!({member: {"name": "inside", "domain_id": id}});
        let reply = cloud.post(&format!("/v3/{collection}"), &admin, body).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.json());
        paths.push(format!("/v3/{collection}/{}", reply.text(&format!("/{member}/id"))));
    }
    let child =
        json!({"project": {"name": "below", "parent_id": paths[0].rsplit('/').next(), "domain_id": id}});
    assert_eq!(cloud.post("/v3/projects", &admin, child).await.status, StatusCode::CREATED);
    let path = format!("/v3/domains/{id}");
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::FORBIDDEN, "it is enabled");
    let off = json!({"domain": {"enabled": false}});
    assert_eq!(cloud.call(Method::PATCH, &path, &admin, off).await.status, StatusCode::OK);
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::NO_CONTENT);
    for path in paths.iter().chain([&path]) {
        assert_eq!(cloud.get(path, &admin).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_domain_does_not_show_what_it_is_as_a_project() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let body =
        json!({"domain": {"name": "acme", "parent_id": "x", "is_domain": true, "domain_id": "y", "z": 1}});
    let made = cloud.post("/v3/domains", &admin, body).await.json()["domain"].clone();
    assert_eq!(made["z"], 1);
    for name in ["parent_id", "is_domain", "domain_id"] {
        assert!(made.get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_domain_is_a_project_too() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let made = cloud.post("/v3/projects", &admin, json!({"project": {"name": "d", "is_domain": true}})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let project = made.json()["project"].clone();
    assert_eq!(
        (&project["is_domain"], &project["parent_id"], &project["domain_id"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    let id = project["id"].as_str().unwrap();
    assert_eq!(cloud.get(&format!("/v3/domains/{id}"), &admin).await.text("/domain/name"), "d");
    let listed = cloud.get("/v3/projects?is_domain=true", &admin).await.json();
    assert_eq!(listed["projects"].as_array().unwrap().len(), 2, "and the default one");
    let plain = cloud.get("/v3/projects", &admin).await.json();
    assert_eq!(plain["projects"].as_array().unwrap().len(), 1, "not unless asked for");
    let path = format!("/v3/projects/{id}");
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::FORBIDDEN, "it is enabled");
    let off = json!({"project": {"enabled": false}});
    assert_eq!(cloud.call(Method::PATCH, &path, &admin, off).await.status, StatusCode::OK);
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn ids_of_the_operators_choice() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let make = async |id: &str| {
        let domain = json!({"domain": {"name": format!("n{id}"), "explicit_domain_id": id}});
        cloud.post("/v3/domains", &admin, domain).await
    };
    let id = "0123456789abcdef0123456789abcdef";
    let made = make(id).await;
    assert_eq!((made.status, made.text("/domain/id")), (StatusCode::CREATED, id.into()));
    assert!(made.json()["domain"].get("explicit_domain_id").is_none());
    assert_eq!(make("not-an-id").await.status, StatusCode::BAD_REQUEST);
}
