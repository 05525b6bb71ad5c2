//! Version documents: the hottest URLs, from memory and without a token.

use axum::Json;
use serde_json::{Value, json};
use updraft_wire::compute::Microversion;

use crate::http::PublicEndpoint;

fn document(endpoint: &str) -> Value {
    json!({
        "id": "v2.1",
        "status": "CURRENT",
        "version": Microversion::MAX.to_string(),
        "min_version": Microversion::MIN.to_string(),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": format!("{endpoint}/compute/v2.1/")}],
    })
}

/// `GET /compute`
pub(super) async fn versions(PublicEndpoint(endpoint): PublicEndpoint) -> Json<Value> {
    Json(json!({"versions": [document(&endpoint)]}))
}

/// `GET /compute/v2.1`
pub(super) async fn version(PublicEndpoint(endpoint): PublicEndpoint) -> Json<Value> {
    let mut document = document(&endpoint);
    if let Some(links) = document["links"].as_array_mut() {
        links.push(json!({"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}));
    }
    document["media-types"] =
        json!([{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}]);
    Json(json!({ "version": document }))
}
