//! What wraps every request and answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use updraft_core::{Core, Error, ErrorKind};

use super::audit;
use super::cors;
use super::endpoint::endpoint_of;
use super::envelope::Envelope;
use super::error_page::ErrorPage;
use super::fault::{Fault, Pending};
use super::idempotency;
use super::rate::{Counted, Limiter};
use super::request_id::RequestId;

/// The largest request body, image data apart: 1 MiB. More is a 413.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Requests at once, long polls of hosts and consoles apart. More are told to come again.
pub const MAX_REQUESTS: usize = 1024;
/// When one that was told so should.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// What the manners keep from one request to the next.
#[derive(Clone)]
struct Gate {
    core: Core,
    limiter: Arc<Limiter>,
    requests: Arc<Semaphore>,
}

/// Wraps the services: this runs before the path is matched.
pub(crate) fn wrap(services: Router, core: Core) -> Router {
    let services = services
        .fallback(async || Fault::no_such_path())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(core.clone(), idempotency::once))
        .layer(CatchPanicLayer::custom(|_panic| {
            Fault::from(Error::internal("a handler panicked; the panic is in the log")).into_response()
        }))
        .layer(from_fn_with_state(core.clone(), audit::record));
    let cors = cors::layer(&core.config.allowed_origins);
    let gate = Gate {
        limiter: Arc::new(Limiter::new(core.config.rate_limits)),
        requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
        core,
    };
    let wrapped = Router::new().fallback_service(services).layer(from_fn_with_state(gate, manners));
    match cors {
        Some(cors) => wrapped.layer(cors),
        None => wrapped,
    }
}

async fn manners(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let request_id = RequestId::new(request.headers());
    let uri = without_trailing_slash(request.uri());
    *request.uri_mut() = uri;
    let envelope = Envelope::of_path(request.uri().path());
    let extensions = request.extensions_mut();
    extensions.insert(request_id.clone());
    extensions.insert(envelope);
    extensions.insert(gate.limiter.clone());
    let endpoint = endpoint_of(&gate.core, request.headers());
    let page = ErrorPage::accepted(request.headers());
    let (method, path) = (request.method(), request.uri().path());
    let span = tracing::info_span!("request", id = request_id.as_str(), %method, path);
    async move {
        let answer = match gate.enter(&request) {
            Ok(_place) => next.run(request).await,
            Err(fault) => fault.into_response(),
        };
        let mut response = rendered(answer, envelope, page);
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

impl Gate {
    /// Counts the request and gives it a place among those under way; long polls and consoles need none.
    fn enter(&self, request: &Request) -> Result<Option<OwnedSemaphorePermit>, Fault> {
        let path = request.uri().path();
        if path.starts_with("/host/") || path.starts_with("/console/") {
            return Ok(None);
        }
        if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
            self.limiter.take(Counted::Address(peer.ip())).map_err(Fault::too_many)?;
            let is_by_password = request.method() == Method::POST && path.ends_with("/v3/auth/tokens");
            // It has us ask the identity provider.
            if is_by_password || path.ends_with("/websso") {
                self.limiter.take(Counted::Login(peer.ip())).map_err(Fault::too_many)?;
            }
        }
        self.requests.clone().try_acquire_owned().map(Some).map_err(|_| Fault::too_busy(BUSY_WAIT))
    }
}

/// Gives a fault its status and body; anything else stays as it is.
fn rendered(mut response: Response, envelope: Envelope, page: ErrorPage) -> Response {
    if let Some(Pending(error)) = response.extensions_mut().remove::<Pending>() {
        log(&error);
        let mut rendered = envelope.response(&error, page);
        // What a handler's own layers added (the microversion, say) stays.
        for (name, value) in response.headers() {
            if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
                rendered.headers_mut().append(name.clone(), value.clone());
            }
        }
        return rendered;
    }
    match routers_own(&response) {
        Some(fault) => {
            let mut rendered = rendered(fault.into_response(), envelope, page);
            // The methods that there are (RFC 9110, section 15.5.6).
            if let Some(allowed) = response.headers_mut().remove(header::ALLOW) {
                rendered.headers_mut().insert(header::ALLOW, allowed);
            }
            rendered
        }
        None => response,
    }
}

/// What axum refuses by itself (a path that is no text, a method that a route has not) comes as plain text or as
/// nothing at all, which no service answers with: it becomes a fault like any other.
fn routers_own(response: &Response) -> Option<Fault> {
    let status = response.status();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    let is_plain = response.headers().get(header::CONTENT_TYPE) == Some(&plain);
    let is_empty = response.body().size_hint().exact() == Some(0);
    match status {
        StatusCode::METHOD_NOT_ALLOWED if is_plain || is_empty => Some(Fault::no_such_method()),
        StatusCode::PAYLOAD_TOO_LARGE if is_plain => {
            Some(Error::new(ErrorKind::TooLarge, "RequestTooLarge", "Request is too large.").into())
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE if is_plain => {
            let message = "Unsupported Content-Type";
            Some(Error::new(ErrorKind::UnsupportedMediaType, "UnsupportedMediaType", message).into())
        }
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if is_plain => {
            let message = "The server could not comply with the request since it is either malformed or otherwise \
                           incorrect.";
            Some(Error::bad_request("BadRequest", message).into())
        }
        StatusCode::INTERNAL_SERVER_ERROR if is_plain => {
            Some(Error::internal("an extractor lacks what it needs").into())
        }
        _ => None,
    }
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
