//! The HTTP edge: OpenStack's APIs over the use cases.
//!
//! `http/` holds the manners that all services share; then `<service>/<resource>/<verb>.rs`, as in the API
//! reference's URL tree. A handler reads the request into model types, calls one use case of `updraft_core`
//! and shapes the answer; it decides nothing.

pub mod compute;
pub mod host;
pub mod http;
pub mod identity;
pub mod image;
pub mod network;

#[cfg(test)]
mod test_cloud;

use axum::Router;
use axum::routing::get;
use updraft_core::Core;

/// The whole API at one endpoint: a path prefix per service.
pub fn router(core: Core) -> Router {
    let services = services(&core).with_state(core.clone());
    http::manners::wrap(services, core)
}

/// Every route there is, without the manners.
fn services(core: &Core) -> Router<Core> {
    Router::new()
        .route("/", get(identity::discovery::versions))
        .route("/healthz", get(http::health::healthz))
        .merge(identity::routes())
        .nest("/identity", identity::routes().route("/", get(identity::discovery::versions)))
        .nest("/image", image::routes())
        .nest("/compute", compute::routes())
        .nest("/network", network::routes())
        .nest("/host/v1", host::routes())
        .nest("/console", compute::console_routes(core))
}
