use std::sync::Arc;
use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use updraft_core::{Error, ErrorKind};

/// What a handler gives back.
pub type Answer<T = Response> = Result<T, Fault>;

/// An error on its way out. It becomes a status and a body in [`super::manners`], which knows the service.
#[derive(Debug)]
pub struct Fault {
    error: Arc<Error>,
    /// When to come again.
    retry_after: Option<Duration>,
}

impl Fault {
    /// No route of that path.
    pub fn no_such_path() -> Self {
        Error::not_found("HTTPNotFound", "The resource could not be found.").into()
    }

    /// More requests than the operator allows; another may come after `wait`.
    pub fn too_many(wait: Duration) -> Self {
        let message = "Too many requests were sent in too short a time.";
        let error = Error::new(ErrorKind::TooManyRequests, "OverLimit", message);
        Self { error: Arc::new(error), retry_after: Some(wait) }
    }

    /// More requests at once than the controller takes.
    pub fn too_busy(wait: Duration) -> Self {
        let message = "The controller is busy; try again.";
        let error = Error::new(ErrorKind::Unavailable, "Busy", message);
        Self { error: Arc::new(error), retry_after: Some(wait) }
    }

    /// A route of that path, but not for that method.
    pub fn no_such_method() -> Self {
        let message = "The method is not allowed for the requested URL.";
        Error::new(ErrorKind::MethodNotAllowed, "HTTPMethodNotAllowed", message).into()
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error: Arc::new(error), retry_after: None }
    }
}

/// The error inside a response that has not been given its envelope yet.
#[derive(Clone, Debug)]
pub(super) struct Pending(pub Arc<Error>);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(Pending(self.error));
        if let Some(wait) = self.retry_after {
            // Whole seconds, and never "at once".
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
