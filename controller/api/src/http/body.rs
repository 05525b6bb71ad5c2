use std::time::Duration;

use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use updraft_core::{Error, ErrorKind};

use super::envelope::Envelope;
use super::fault::Fault;
use super::json;

/// How long a client may take for a JSON body; more ends the request (a slow POST would keep it for ever).
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A JSON request body. What does not parse is a 400 in the service's own envelope; one that is larger than
/// [`super::manners::MAX_BODY_BYTES`] is a 413, one that says it is something else than JSON a 415 (400 by Keystone;
/// Glance reads JSON whatever it is called).
#[derive(Clone, Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let envelope = request.extensions().get().copied().unwrap_or(Envelope::Identity);
        check_type(request.headers(), envelope)?;
        let bytes = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await;
        let late = || Error::bad_request("RequestTimeout", "The request body did not arrive in time.");
        let bytes = bytes.map_err(|_| late())?.map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                Error::new(ErrorKind::TooLarge, "RequestTooLarge", "Request is too large.")
            }
            _ => Error::bad_request("MalformedRequestBody", "The request body could not be read."),
        })?;
        json::check(&bytes)
            .and_then(|()| serde_json::from_slice(&bytes))
            .map(Self)
            .map_err(|error| Error::bad_request("ValidationError", invalid(&error)).into())
    }
}

/// No request body: 400 for a request that brings one, as Glance has it of calls that take none and Neutron of deletions.
#[derive(Clone, Copy, Debug)]
pub struct NoBody;

impl<S: Send + Sync> FromRequestParts<S> for NoBody {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let is_empty = length.is_none_or(|length| length == "0");
        if is_empty && !parts.headers.contains_key(header::TRANSFER_ENCODING) {
            return Ok(Self);
        }
        Err(Error::bad_request("HTTPBadRequest", "A body is not expected with this request.").into())
    }
}

/// JSON in one of its names (`application/json`, the image service's patches), or nothing said.
fn check_type(headers: &HeaderMap, envelope: Envelope) -> Result<(), Error> {
    let Some(given) = headers.get(header::CONTENT_TYPE).filter(|_| envelope != Envelope::Image) else {
        return Ok(());
    };
    let essence = given.to_str().ok().and_then(|given| given.split(';').next()).unwrap_or("?").trim();
    let essence = essence.to_ascii_lowercase();
    if essence.is_empty()
        || essence == "application/json"
        || essence.ends_with("json-patch")
        || essence.ends_with("+json")
    {
        return Ok(());
    }
    if envelope == Envelope::Identity {
        let message = "Expecting to find application/json in Content-Type header. The server could not comply with \
                       the request since it is either malformed or otherwise incorrect. The client is assumed to be \
                       in error.";
        return Err(Error::bad_request("ValidationError", message));
    }
    let message = "Unsupported Content-Type";
    Err(Error::new(ErrorKind::UnsupportedMediaType, "UnsupportedMediaType", message))
}

/// The query string; one that does not fit is a 400 in the service's own envelope.
#[derive(Clone, Debug)]
pub struct Form<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Form<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let Query(value) = Query::from_request_parts(parts, state).await.map_err(|error| {
            Error::bad_request("BadQuery", format!("Invalid query: {}", error.body_text()))
        })?;
        Ok(Self(value))
    }
}

fn invalid(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => format!("Invalid input: {error}"),
        _ => format!("Malformed JSON in the request body: {error}"),
    }
}
