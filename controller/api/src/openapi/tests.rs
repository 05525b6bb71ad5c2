use axum::http::StatusCode;
use schemars::SchemaGenerator;
use serde_json::{Value, json};

use super::document;
use crate::routes::{Content, Route};
use crate::test_cloud::TestCloud;

fn routes() -> Vec<Route> {
    crate::services(None).list()
}

#[test]
fn the_same_routes_give_the_same_text() {
    let text = || document(&routes(), "").to_string();
    assert_eq!(text(), text());
}

#[test]
fn every_json_body_is_described() {
    let mut generator = SchemaGenerator::default();
    let mut findings = Vec::new();
    for route in routes() {
        let Some(Content::Json(_, schema)) = &route.shape.body else { continue };
        if matches!(schema.schema(&mut generator), Value::Bool(_))
            || schema.schema(&mut generator) == json!({})
        {
            findings.push(format!("{:?} {} ({})", route.method, route.path, route.handler));
        }
    }
    assert!(findings.is_empty(), "say what they take beside the route\n{}\n", findings.join("\n"));
}

#[tokio::test]
async fn the_description_is_there_for_everybody_and_has_every_call() {
    let cloud = TestCloud::start().await;
    let whole = cloud.get("/openapi.json", "").await;
    assert_eq!((whole.status, whole.json()["openapi"].as_str()), (StatusCode::OK, Some("3.1.0")));
    let whole = whole.json();
    for route in routes().iter().filter(|route| route.method.is_some() && route.shape.status.is_some()) {
        let method = route.method.as_ref().unwrap().as_str().to_lowercase();
        let operation = &whole["paths"][&route.path][&method];
        if route.path.contains("{*") || route.path.ends_with("/openapi.json") {
            continue;
        }
        assert!(operation.is_object(), "{method} {}", route.path);
        let needs_token = operation["security"] != json!([]);
        assert_eq!(needs_token, !route.shape.is_public, "{method} {}", route.path);
        let named = operation.pointer("/responses/4XX/$ref").and_then(Value::as_str).unwrap();
        assert!(whole.pointer(named.trim_start_matches('#')).is_some(), "{named}");
    }
    let image = cloud.get("/image/openapi.json", "").await.json();
    assert_eq!(image["servers"], json!([{"url": "/image"}]));
    assert!(image["paths"]["/v2/images"]["post"].is_object(), "below the prefix of the service");
    let identity = cloud.get("/identity/openapi.json", "").await.json();
    assert!(identity["paths"]["/v3/projects"]["get"].is_object());
}
