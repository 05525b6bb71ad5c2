//! The host API.

use axum::Router;
use updraft_core::Core;

/// What is served below the service's prefix.
pub fn routes() -> Router<Core> {
    Router::new()
}
