use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use updraft_core::{Error, ErrorKind};

/// What a handler gives back.
pub type Answer<T = Response> = Result<T, Fault>;

/// An error on its way out. It becomes a status and a body in [`super::manners`], which knows the service.
#[derive(Debug)]
pub struct Fault(Arc<Error>);

impl Fault {
    /// No route of that path.
    pub fn no_such_path() -> Self {
        Error::not_found("HTTPNotFound", "The resource could not be found.").into()
    }

    /// A route of that path, but not for that method.
    pub fn no_such_method() -> Self {
        let message = "The method is not allowed for the requested URL.";
        Error::new(ErrorKind::MethodNotAllowed, "HTTPMethodNotAllowed", message).into()
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

/// The error inside a response that has not been given its envelope yet.
#[derive(Clone, Debug)]
pub(super) struct Pending(pub Arc<Error>);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(Pending(self.0));
        response
    }
}
