//! The HTTP edge: OpenStack's APIs over the use cases.
//!
//! `http/` holds the manners that all services share; then `<service>/<resource>/<verb>.rs`, as in the API
//! reference's URL tree. [`routes`] is how those say what they serve. A handler reads the request into model types, calls one use case of `updraft_core`
//! and shapes the answer; it decides nothing.

pub mod compute;
pub mod host;
pub mod http;
pub mod identity;
pub mod image;
pub mod network;
pub mod openapi;
pub mod routes;

#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod test_cloud;

use std::path::Path;

use axum::Router;
use updraft_core::Core;

use crate::routes::{Routes, get};

/// The whole API at one endpoint: a path prefix per service.
pub fn router(core: Core) -> Router {
    let services = services(core.config.novnc_directory.as_deref()).into_router().with_state(core.clone());
    http::manners::wrap(services, core)
}

/// Every route there is, without the manners; `novnc` is where the console's page lies.
fn services(novnc: Option<&Path>) -> Routes {
    let routes = Routes::new()
        .route("/", get(identity::discovery::versions).public().status(300))
        .route("/healthz", get(http::health::healthz).public().gives("text/plain"))
        .merge(identity::routes())
        .alias("/identity", identity::routes().route("/", get(identity::discovery::versions).public()))
        .nest("/image", image::routes())
        .nest("/compute", compute::routes())
        .nest("/network", network::routes())
        .nest("/host/v1", host::routes())
        .nest("/console", compute::console_routes(novnc));
    let described = openapi::routes(&routes.list());
    routes.merge(described)
}
