//! Runs every request that may change something as an audited operation (see [`updraft_core::audit`]).

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use updraft_core::Core;
use updraft_core::audit::{Operation, Outcome, Recorder, RequestFacts};

use super::envelope::Envelope;
use super::fault::Pending;
use super::request_id::RequestId;

/// Changes nothing that anybody asked for: a host tells what it sees, every few seconds.
const OBSERVATIONS: [&str; 1] = ["/host/v1/observed"];

/// One event a request: with its change if it made one, else after its answer is decided. Wraps the routes, so that the
/// path is matched by then; a path that nothing is at leaves no event.
pub(super) async fn record(State(core): State<Core>, request: Request, next: Next) -> Response {
    let Some(operation) = operation(&request) else { return next.run(request).await };
    let envelope = Envelope::of_path(request.uri().path());
    let response = operation.clone().scope(next.run(request)).await;
    let outcome = outcome(&response, envelope);
    // What was done in a transaction has its event there; a failure after that is one more thing to know.
    if outcome.is_some() && (!operation.is_recorded() || outcome != Some(Outcome::Success)) {
        Recorder::note(&core, &operation, &outcome.unwrap_or(Outcome::Success));
    }
    response
}

fn operation(request: &Request) -> Option<Operation> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    let template = request.extensions().get::<MatchedPath>()?.as_str();
    if (is_safe && !is_login(request, template)) || OBSERVATIONS.contains(&template) {
        return None;
    }
    let request_id = RequestId::of(request.extensions());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    Some(Operation::new(RequestFacts {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        template: template.to_owned(),
        request_id: request_id.as_str().to_owned(),
        global_request_id: request_id.global().map(str::to_owned),
        address: peer.map(|ConnectInfo(address)| address.ip().to_string()),
        agent: agent(request.headers()),
    }))
}

/// A browser that is back from an identity provider: with the state that it was sent there with.
fn is_login(request: &Request, template: &str) -> bool {
    let query = request.uri().query().unwrap_or_default();
    template.ends_with("/websso") && query.split('&').any(|field| field.starts_with("state="))
}

fn agent(headers: &HeaderMap) -> Option<String> {
    headers.get(header::USER_AGENT)?.to_str().ok().map(str::to_owned)
}

/// How it went; nothing for a method that the path does not have.
fn outcome(response: &Response, envelope: Envelope) -> Option<Outcome> {
    let Some(Pending(error)) = response.extensions().get::<Pending>() else {
        return match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => None,
            status if status.as_u16() < 400 => Some(Outcome::Success),
            status => Some(Outcome::Failure { status: status.as_u16(), message: None, cause: None }),
        };
    };
    let status = envelope.status(error.kind);
    // The words of a 400 may quote the body, and a body may hold a password.
    let message = (status != StatusCode::BAD_REQUEST).then(|| error.message.clone());
    let cause = error.source.as_ref().map(ToString::to_string);
    Some(Outcome::Failure { status: status.as_u16(), message, cause })
}
