//! The host contract (`updraft_compute_api`), and what the operator's command asks. Below `/host/v1`.

mod contract;
mod operator;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};
use updraft_core::Core;

/// The largest report of a host, in bytes: some ten thousand servers.
const LARGEST_REPORT: usize = 8 << 20;

/// What is served below the service's prefix.
pub fn routes() -> Router<Core> {
    Router::new()
        .route("/plan", get(contract::plan))
        .route("/enrolment", post(contract::enrol))
        .route("/credential", post(contract::rotate))
        .route("/hosts", get(operator::hosts).post(operator::add_host))
        .route("/hosts/{name}", delete(operator::revoke_host))
        .route("/observed", put(contract::observed).layer(DefaultBodyLimit::max(LARGEST_REPORT)))
        .route("/images/{id}/file", get(contract::image))
        .route("/doctor", get(operator::doctor))
        .route("/status", get(operator::status))
        .route("/ops", get(operator::ops))
        .route("/why/{id}", get(operator::why))
        .route("/audit", get(operator::audit_events))
}
