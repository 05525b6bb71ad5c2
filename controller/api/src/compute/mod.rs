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
pub(crate) mod tests;

use axum::Json;
use axum::middleware::from_fn;
use serde_json::{Value, json};
use updraft_core::policy::Target;

pub(crate) use consoles::routes as console_routes;
use query::{Holds, Pairs, Parameter};
use version::Version;

use crate::http::{Answer, Auth, Form};
use crate::routes::{Routes, get};

/// What is served below the service's prefix.
pub fn routes() -> Routes {
    let versioned = Routes::new()
        .route("/", get(discovery::version).public())
        .merge(extensions::routes())
        .merge(flavors::routes())
        .merge(hosts::routes())
        .merge(keypairs::routes())
        .merge(limits::routes())
        .merge(quota_sets::routes())
        .merge(servers::routes())
        .route("/os-server-groups", get(server_groups))
        .wrapped(|router| router.layer(from_fn(version::negotiate)));
    Routes::new().route("/", get(discovery::versions).public()).nest("/v2.1", versioned)
}

const SERVER_GROUPS: &[Parameter] = &[
    Parameter::new("all_projects", Holds::Text),
    Parameter::new("limit", Holds::Number),
    Parameter::new("offset", Holds::Number),
];

/// There are none: they cannot be made.
async fn server_groups(
    Auth(caller): Auth,
    Version(version): Version,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    query::read(pairs, SERVER_GROUPS, version)?;
    caller.enforce("os_compute_api:os-server-groups:index", &Target::own(&caller))?;
    Ok(Json(json!({"server_groups": []})))
}
