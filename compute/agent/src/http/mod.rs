//! What the agent answers: the controller (with the host's credential) and health checks (without).

mod bridge;
mod inventory;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use serde::Deserialize;
use subtle::ConstantTimeEq;
use updraft_base::ServerId;
use updraft_compute_api::path;

use crate::agent::Host;
use crate::observe::problems;
use crate::server::console_log::last_lines;

/// The most lines of a console log in one answer.
const MAX_LINES: usize = 100_000;

/// Serves for ever.
pub async fn serve<L: Listener<Addr = SocketAddr>>(listener: L, host: Arc<Host>) {
    if let Err(error) = axum::serve(listener, router(host)).await {
        tracing::error!(%error, "the agent's HTTP server has ended");
    }
}

fn router(host: Arc<Host>) -> Router {
    let server = |name: &str| format!("{}/{{server_id}}/{name}", path::SERVERS);
    let consoles = bridge::Consoles::default();
    Router::new()
        .route(&server("console-log"), get(console_log))
        .route(&server("vnc"), get(bridge::vnc))
        .route(&server("serial"), get(bridge::serial))
        .route(path::INVENTORY, get(inventory::show))
        .layer(axum::Extension(consoles))
        .layer(from_fn_with_state(Arc::clone(&host), require_credential))
        .route(path::HEALTH, get(health))
        .with_state(host)
}

/// 401 unless the request carries the host's credential.
async fn require_credential(State(host): State<Arc<Host>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
    if bool::from(given.ct_eq(host.credentials.controllers.as_bytes())) {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, "the host's credential is required\n").into_response()
    }
}

async fn health(State(host): State<Arc<Host>>) -> Response {
    let problems = problems(&host);
    if problems.is_empty() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n").into_response()
    }
}

#[derive(Deserialize)]
struct ConsoleLogQuery {
    /// Lines from the end; all that are kept when absent.
    length: Option<usize>,
}

async fn console_log(
    State(host): State<Arc<Host>>,
    Path(server_id): Path<String>,
    Query(query): Query<ConsoleLogQuery>,
) -> Response {
    let Some(id) = known_server(&host, &server_id) else { return not_found() };
    let log = host.layout.console_log(id);
    let length = query.length.map(|length| length.min(MAX_LINES));
    let content = tokio::task::spawn_blocking(move || last_lines(&log, length)).await;
    match content.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(content) => ([(header::CONTENT_TYPE, "application/octet-stream")], content).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// The id, when it is one and its server has anything on this host.
fn known_server(host: &Host, text: &str) -> Option<ServerId> {
    let id = text.parse().ok()?;
    host.layout.server_dir(id).exists().then_some(id)
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "no such server on this host\n").into_response()
}
