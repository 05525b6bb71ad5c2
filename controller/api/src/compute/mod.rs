//! The compute API (API reference "Compute API"), below `/compute`.

mod agent_stream;
mod consoles;
mod discovery;
mod extensions;
mod flavors;
mod hosts;
mod keypairs;
mod limits;
mod query;
mod quota_sets;
mod servers;
mod version;

#[cfg(test)]
mod tests;

use axum::middleware::from_fn;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use updraft_core::Core;

pub(crate) use consoles::routes as console_routes;
use version::Version;

use crate::http::{Answer, Auth};

/// What is served below the service's prefix.
pub fn routes() -> Router<Core> {
    let versioned = Router::new()
        .route("/", get(discovery::version))
        .merge(extensions::routes())
        .merge(flavors::routes())
        .merge(hosts::routes())
        .merge(keypairs::routes())
        .merge(limits::routes())
        .merge(quota_sets::routes())
        .merge(servers::routes())
        .route("/os-server-groups", get(server_groups))
        .layer(from_fn(version::negotiate));
    Router::new().route("/", get(discovery::versions)).nest("/v2.1", versioned)
}

/// There are none: they cannot be made.
async fn server_groups(Auth(_caller): Auth, Version(_version): Version) -> Answer<Json<Value>> {
    Ok(Json(json!({"server_groups": []})))
}
