//! The identity API, v3: the same at `/v3` and at `/identity/v3`.

pub mod discovery;

mod projects;

use axum::Router;
use axum::routing::get;
use updraft_core::Core;

/// What is served below `/` and below `/identity`.
pub fn routes() -> Router<Core> {
    Router::new().route("/v3", get(discovery::version)).nest("/v3", projects::routes())
}
