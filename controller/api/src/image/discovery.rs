//! Version documents, from memory.

use axum::Json;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::http::PublicEndpoint;

/// The minor versions whose calls are all served, newest first: those of a Glance with several stores and without an
/// image cache, which is what 2.14, 2.16 and 2.18 are about (glance/api/versions.py).
const MINORS: [u32; 16] = [17, 15, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];

/// `GET /image`: 300.
pub(super) async fn multiple_choices(PublicEndpoint(endpoint): PublicEndpoint) -> (StatusCode, Json<Value>) {
    (StatusCode::MULTIPLE_CHOICES, Json(document(&endpoint)))
}

/// `GET /image/versions`: 200.
pub(super) async fn versions(PublicEndpoint(endpoint): PublicEndpoint) -> Json<Value> {
    Json(document(&endpoint))
}

fn document(endpoint: &str) -> Value {
    let versions = MINORS.map(|minor| {
        json!({
            "id": format!("v2.{minor}"),
            "status": if minor == MINORS[0] { "CURRENT" } else { "SUPPORTED" },
            "links": [{"rel": "self", "href": format!("{endpoint}/image/v2/")}],
        })
    });
    json!({"versions": versions})
}
