use axum::extract::State;
use axum::http::StatusCode;
use updraft_core::Core;

/// `GET /healthz`: 200 `OK` while the database answers, 503 otherwise.
pub async fn healthz(State(core): State<Core>) -> (StatusCode, &'static str) {
    match core.read().await {
        Ok(_conn) => (StatusCode::OK, "OK\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
    }
}
