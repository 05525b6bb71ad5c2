//! Version documents, from memory.

use axum::Json;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::http::PublicEndpoint;

/// The newest minor version whose calls are all served: 2.6 import information, 2.7 hidden images and hashes.
const NEWEST_MINOR: u32 = 7;

/// `GET /image`: 300.
pub(super) async fn multiple_choices(PublicEndpoint(endpoint): PublicEndpoint) -> (StatusCode, Json<Value>) {
    (StatusCode::MULTIPLE_CHOICES, Json(document(&endpoint)))
}

/// `GET /image/versions`: 200.
pub(super) async fn versions(PublicEndpoint(endpoint): PublicEndpoint) -> Json<Value> {
    Json(document(&endpoint))
}

fn document(endpoint: &str) -> Value {
    let versions = (0..=NEWEST_MINOR).rev().map(|minor| {
        json!({
            "id": format!("v2.{minor}"),
            "status": if minor == NEWEST_MINOR { "CURRENT" } else { "SUPPORTED" },
            "links": [{"rel": "self", "href": format!("{endpoint}/image/v2/")}],
        })
    });
    json!({"versions": versions.collect::<Vec<_>>()})
}
