//! `Idempotency-Key` on a POST: sent again within a day, the request gets its first answer and has no second effect.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use updraft_core::idempotency::{Attempt, Earlier};
use updraft_core::{Core, Error, ErrorKind};

use super::auth::TOKEN_HEADER;
use super::fault::{Fault, Pending};
use super::manners::MAX_BODY_BYTES;
use super::request_id::RequestId;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that is an earlier one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The largest answer that is kept, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Goes around a service's handlers. A login is no create: its answer is a token, which is not kept.
pub(super) async fn once(State(core): State<Core>, request: Request, next: Next) -> Response {
    let key = request.headers().get(KEY).cloned();
    let is_login = request.uri().path().ends_with("/auth/tokens");
    match key {
        Some(key) if request.method() == Method::POST && !is_login => {
            keyed(&core, &key, request, next).await.unwrap_or_else(IntoResponse::into_response)
        }
        _ => next.run(request).await,
    }
}

async fn keyed(core: &Core, key: &HeaderValue, request: Request, next: Next) -> Result<Response, Fault> {
    let token = request.headers().get(TOKEN_HEADER).and_then(|token| token.to_str().ok());
    let request_id = RequestId::of(request.extensions());
    let token = token.ok_or_else(Error::unauthorized)?;
    let caller = updraft_core::identity::token::authenticate(core, token, request_id.as_str()).await?;
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|_| Error::new(ErrorKind::TooLarge, "RequestTooLarge", "Request is too large."))?;
    let uri = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let attempt =
        key.to_str().ok().and_then(|key| Attempt::new(&caller, parts.method.as_str(), uri, key, &bytes));
    let attempt = attempt.ok_or_else(|| {
        Error::bad_request("BadIdempotencyKey", "An Idempotency-Key has 1 to 255 printable characters.")
    })?;
    if let Earlier::Answered(answer) = attempt.earlier(core).await? {
        return Ok(replay(&answer)?);
    }
    let response = attempt.run(next.run(Request::from_parts(parts, Body::from(bytes)))).await;
    let is_fault = response.extensions().get::<Pending>().is_some();
    if is_fault || !attempt.was_carried_out() || !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(Error::internal)?;
    let headers = parts.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH);
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    };
    let kept = Kept {
        status: parts.status.as_u16(),
        headers: headers.filter_map(text).collect(),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    // The create is done: that its answer cannot be kept is for the log, not for the client.
    let kept = serde_json::to_vec(&kept).map_err(Error::internal)?;
    if let Err(error) = attempt.keep(core, &kept).await {
        tracing::warn!(%error, "an answer was not kept for its Idempotency-Key");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replay(answer: &[u8]) -> Result<Response, Error> {
    let kept: Kept = serde_json::from_slice(answer).map_err(Error::internal)?;
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).map_err(Error::internal)?;
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
