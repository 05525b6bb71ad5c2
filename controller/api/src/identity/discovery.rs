//! Version documents: the first thing that every client asks for, so they come from memory.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::http::PublicEndpoint;

/// `GET /` and `GET /identity`: 300 with the one version there is.
pub async fn versions(PublicEndpoint(endpoint): PublicEndpoint) -> Response {
    let versions = json!({"versions": {"values": [document(&endpoint)]}});
    let location = format!("{endpoint}/identity/v3/");
    (StatusCode::MULTIPLE_CHOICES, [(header::LOCATION, location)], Json(versions)).into_response()
}

/// `GET /v3`: 200.
pub async fn version(PublicEndpoint(endpoint): PublicEndpoint) -> Json<Value> {
    Json(json!({"version": document(&endpoint)}))
}

fn document(endpoint: &str) -> Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{endpoint}/identity/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}
