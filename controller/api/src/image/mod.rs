//! The image API, v2.

mod cache;
mod discovery;
mod images;
mod info;
mod members;
mod metadefs;
mod schemas;
mod tasks;

#[cfg(test)]
mod tests;

pub use images::send;

use axum::Router;
use axum::routing::get;
use updraft_core::Core;

/// What is served below `/image`.
pub fn routes() -> Router<Core> {
    let v2 = Router::new()
        .merge(images::routes())
        .merge(members::routes())
        .merge(info::routes())
        .merge(schemas::routes())
        .merge(metadefs::routes())
        .merge(tasks::routes())
        .merge(cache::routes());
    Router::new()
        .route("/", get(discovery::multiple_choices))
        .route("/versions", get(discovery::versions))
        .nest("/v2", v2)
}
