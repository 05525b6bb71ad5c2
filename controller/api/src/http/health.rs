use axum::extract::State;
use axum::http::StatusCode;
use updraft_core::Core;

/// `GET /healthz`: 200 while the database answers, 503 otherwise. The first line says which; the second says how the bus
/// is, which is no reason to be unhealthy: everything goes on by polling.
pub async fn healthz(State(core): State<Core>) -> (StatusCode, String) {
    let (status, database) = match core.read().await {
        Ok(_conn) => (StatusCode::OK, "OK"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer"),
    };
    (status, format!("{database}\nbus: {}\n", core.nudge.status()))
}
