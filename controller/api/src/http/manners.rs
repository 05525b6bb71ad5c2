//! What wraps every request and answer.

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use updraft_core::{Core, Error, ErrorKind};

use super::audit;
use super::endpoint::endpoint_of;
use super::envelope::Envelope;
use super::fault::{Fault, Pending};
use super::request_id::RequestId;

/// The largest request body, image data apart: 1 MiB. More is a 413.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Wraps the services: this runs before the path is matched.
pub(crate) fn wrap(services: Router, core: Core) -> Router {
    let services = services
        .fallback(async || Fault::no_such_path())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(|_panic| {
            Fault::from(Error::internal("a handler panicked; the panic is in the log")).into_response()
        }))
        .layer(from_fn_with_state(core.clone(), audit::record));
    Router::new().fallback_service(services).layer(from_fn_with_state(core, manners))
}

async fn manners(State(core): State<Core>, mut request: Request, next: Next) -> Response {
    let request_id = RequestId::new(request.headers());
    request.extensions_mut().insert(request_id.clone());
    let uri = without_trailing_slash(request.uri());
    *request.uri_mut() = uri;
    let envelope = Envelope::of_path(request.uri().path());
    let endpoint = endpoint_of(&core, request.headers());
    let (method, path) = (request.method(), request.uri().path());
    let span = tracing::info_span!("request", id = request_id.as_str(), %method, path);
    async move {
        let mut response = rendered(next.run(request).await, envelope);
        if response.status() == StatusCode::UNAUTHORIZED {
            challenge(&mut response, &endpoint);
        }
        request_id.write_to(response.headers_mut(), envelope == Envelope::Compute);
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    }
    .instrument(span)
    .await
}

/// Gives a fault its status and body; anything else stays as it is.
fn rendered(mut response: Response, envelope: Envelope) -> Response {
    if let Some(Pending(error)) = response.extensions_mut().remove::<Pending>() {
        log(&error);
        let mut rendered = envelope.response(&error);
        // What a handler's own layers added (the microversion, say) stays.
        for (name, value) in response.headers() {
            if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
                rendered.headers_mut().append(name.clone(), value.clone());
            }
        }
        return rendered;
    }
    let is_routers_own =
        response.status() == StatusCode::METHOD_NOT_ALLOWED && response.body().size_hint().exact() == Some(0);
    if is_routers_own { rendered(Fault::no_such_method().into_response(), envelope) } else { response }
}

fn log(error: &Error) {
    let source = error.source.as_ref().map(|source| source.to_string());
    match error.kind {
        ErrorKind::Internal | ErrorKind::Unavailable => tracing::error!(%error, source, "request failed"),
        // Its words may quote the body, and a body may hold a password.
        ErrorKind::BadRequest => tracing::debug!(code = error.code, "request refused"),
        _ => tracing::debug!(%error, source, "request refused"),
    }
}

/// Tells where to log in (RFC 9110, section 11.6.1), as keystonemiddleware does.
fn challenge(response: &mut Response, endpoint: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("Keystone uri=\"{endpoint}/identity/v3\"")) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
}

/// `/v3/` and `/v3` are the same resource.
fn without_trailing_slash(uri: &Uri) -> Uri {
    let path = uri.path();
    if path.len() < 2 || !path.ends_with('/') {
        return uri.clone();
    }
    let trimmed = path.trim_end_matches('/');
    let path = if trimmed.is_empty() { "/" } else { trimmed };
    let whole = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    whole.parse().unwrap_or_else(|_| uri.clone())
}
