//! A controller that serves one plan: the contract, and nothing behind it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use updraft_compute_api::observed::HostObserved;
use updraft_compute_api::path;
use updraft_compute_api::plan::HostPlan;

pub const CREDENTIAL: &str = "the-credential-of-this-host";

/// A running controller; dropping it closes its door.
pub struct Controller {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    server: JoinHandle<()>,
}

pub struct Shared {
    pub plan: watch::Sender<HostPlan>,
    pub observed: watch::Sender<Option<HostObserved>>,
    /// Image id → content.
    pub images: HashMap<String, Vec<u8>>,
    pub downloads: std::sync::atomic::AtomicUsize,
}

impl Controller {
    pub async fn start(address: SocketAddr, shared: Arc<Shared>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route(path::PLAN, get(plan))
            .route(path::OBSERVED, put(observed))
            .route(&format!("{}/{{id}}/file", path::IMAGES), get(image))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, shared, server }
    }

    /// Waits until the host observes what `wanted` says.
    pub async fn until(&self, what: &str, wanted: impl Fn(&HostObserved) -> bool) -> HostObserved {
        let mut observed = self.shared.observed.subscribe();
        let seen = observed.wait_for(|observed| observed.as_ref().is_some_and(&wanted));
        match tokio::time::timeout(Duration::from_secs(120), seen).await {
            Ok(seen) => seen.unwrap().clone().unwrap(),
            Err(_) => panic!("never {what}; last: {:#?}", *self.shared.observed.borrow()),
        }
    }

    /// Changes the plan, with a new generation.
    pub fn change(&self, change: impl FnOnce(&mut HostPlan)) {
        self.shared.plan.send_modify(|plan| {
            change(plan);
            plan.generation += 1;
            plan.network.generation = plan.generation;
        });
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn refused(headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given != Some(&format!("Bearer {CREDENTIAL}"))
}

async fn plan(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, u64>>,
    headers: HeaderMap,
) -> Response {
    if refused(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let known = query.get("known").copied();
    let wait = Duration::from_secs(query["wait_s"]);
    let mut plan = shared.plan.subscribe();
    let newer = plan.wait_for(|plan| Some(plan.generation) != known);
    match tokio::time::timeout(wait, newer).await {
        Ok(plan) => Json(plan.unwrap().clone()).into_response(),
        Err(_) => StatusCode::NOT_MODIFIED.into_response(),
    }
}

async fn observed(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(observed): Json<HostObserved>,
) -> StatusCode {
    if refused(&headers) {
        return StatusCode::UNAUTHORIZED;
    }
    shared.observed.send_replace(Some(observed));
    StatusCode::NO_CONTENT
}

async fn image(State(shared): State<Arc<Shared>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if refused(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    shared.downloads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    match shared.images.get(&id) {
        Some(content) => content.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
