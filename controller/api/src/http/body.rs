use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use updraft_core::{Error, ErrorKind};

use super::fault::Fault;

/// A JSON request body. What does not parse is a 400 in the service's own envelope; one that is larger than
/// [`super::manners::MAX_BODY_BYTES`] is a 413.
#[derive(Clone, Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                Error::new(ErrorKind::TooLarge, "RequestTooLarge", "Request is too large.")
            }
            _ => Error::bad_request("MalformedRequestBody", "The request body could not be read."),
        })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Error::bad_request("ValidationError", invalid(&error)).into())
    }
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
