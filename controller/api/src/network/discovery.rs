//! Version documents; served from memory and to anybody.

use axum::Json;
use serde_json::{Value, json};

use crate::http::PublicEndpoint;

/// Collections that have a page of their own, with the name of one item.
const COLLECTIONS: [(&str, &str); 8] = [
    ("network", "networks"),
    ("subnet", "subnets"),
    ("port", "ports"),
    ("router", "routers"),
    ("floatingip", "floatingips"),
    ("security_group", "security-groups"),
    ("security_group_rule", "security-group-rules"),
    ("quota", "quotas"),
];

/// `GET /network/`: 200 with the one version there is.
pub async fn versions(PublicEndpoint(endpoint): PublicEndpoint) -> Json<Value> {
    let links = json!([{"rel": "self", "href": format!("{endpoint}/network/v2.0/")}]);
    Json(json!({"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}))
}

/// `GET /network/v2.0`: 200 with the collections.
pub async fn resources(PublicEndpoint(endpoint): PublicEndpoint) -> Json<Value> {
    let resource = |(name, collection): &(&str, &str)| {
        let href = format!("{endpoint}/network/v2.0/{collection}");
        json!({"links": [{"rel": "self", "href": href}], "name": name, "collection": collection})
    };
    let resources: Vec<Value> = COLLECTIONS.iter().map(resource).collect();
    Json(json!({"resources": resources}))
}
