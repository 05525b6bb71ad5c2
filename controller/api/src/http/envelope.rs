//! Each service's own way to say what went wrong.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use updraft_core::{Error, ErrorKind};

use super::error_page::ErrorPage;

/// The services by their envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Envelope {
    /// `{"error": {"code", "message", "title"}}`
    Identity,
    /// A page: HTML, or what else the client accepts.
    Image,
    /// One key that names the fault: `{"itemNotFound": {"code", "message"}}`
    Compute,
    /// `{"NeutronError": {"type", "message", "detail"}}`
    Network,
    /// `{"error": {"code", "message"}}`; between our own programs.
    Host,
}

impl Envelope {
    pub fn of_path(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("image") => Self::Image,
            Some("compute") => Self::Compute,
            Some("network") => Self::Network,
            Some("host") => Self::Host,
            _ => Self::Identity,
        }
    }

    /// The error as this service says it; `page` is the form that the client accepts, of a service that has several.
    pub fn response(self, error: &Error, page: ErrorPage) -> Response {
        let status = self.status(error.kind);
        match self {
            Self::Identity => json_response(status, &keystone(status, error)),
            Self::Image => page.response(status, &error.message),
            Self::Compute => json_response(status, &nova(status, error)),
            Self::Network => json_response(status, &neutron(error)),
            Self::Host => {
                json_response(status, &json!({"error": {"code": error.code, "message": error.message}}))
            }
        }
    }

    /// The status of a fault, which for some kinds depends on the service.
    pub fn status(self, kind: ErrorKind) -> StatusCode {
        match kind {
            ErrorKind::BadRequest => StatusCode::BAD_REQUEST,
            ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Gone => StatusCode::GONE,
            ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorKind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            ErrorKind::OverQuota => match self {
                Self::Network | Self::Host => StatusCode::CONFLICT,
                Self::Image => StatusCode::PAYLOAD_TOO_LARGE,
                Self::Compute | Self::Identity => StatusCode::FORBIDDEN,
            },
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorKind::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            ErrorKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            ErrorKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What a service's faults look like, for its description: the JSON Schema by the media type.
pub(crate) fn described(path: &str) -> Value {
    let text = || json!({"type": "string"});
    let object = |members: Value| {
        let required: Vec<&String> =
            members.as_object().into_iter().flatten().map(|(name, _)| name).collect();
        json!({"type": "object", "properties": members, "required": required})
    };
    let code = || json!({"type": "integer"});
    let schema = match Envelope::of_path(path) {
        Envelope::Image => {
            let page = object(json!({"code": text(), "message": text(), "title": text()}));
            let text = json!({"schema": text()});
            return json!({"text/html": text, "application/json": {"schema": page}, "text/plain": text});
        }
        Envelope::Identity => {
            object(json!({"error": object(json!({"code": code(), "message": text(), "title": text()}))}))
        }
        Envelope::Compute => {
            let fault = object(json!({"code": code(), "message": text()}));
            json!({"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": fault})
        }
        Envelope::Network => {
            let fault = object(json!({"type": text(), "message": text(), "detail": text()}));
            object(json!({"NeutronError": fault}))
        }
        Envelope::Host => object(json!({"error": object(json!({"code": text(), "message": text()}))})),
    };
    json!({"application/json": {"schema": schema}})
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

fn keystone(status: StatusCode, error: &Error) -> Value {
    json!({"error": {"code": status.as_u16(), "message": error.message, "title": reason(status)}})
}

/// Names of faults: nova's `nova/api/openstack/wsgi.py`, as the API guide lists them
/// (<https://docs.openstack.org/api-guide/compute/faults.html>).
fn nova(status: StatusCode, error: &Error) -> Value {
    let name = match status.as_u16() {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };
    json!({name: {"code": status.as_u16(), "message": error.message}})
}

fn neutron(error: &Error) -> Value {
    // Neutron has no word of its own for JSON that does not parse.
    let kind = if error.code == "ValidationError" { "HTTPBadRequest" } else { error.code };
    json!({"NeutronError": {"type": kind, "message": error.message, "detail": ""}})
}

fn json_response(status: StatusCode, value: &Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], value.to_string()).into_response()
}
