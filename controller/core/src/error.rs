//! The one error of use cases: what the tenant is told, and what only the log is.

use updraft_store::{StoreError, StoreErrorKind};

pub type Result<T> = std::result::Result<T, Error>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What kind of failure it is. The edge maps each to a status code, per service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    /// It was there when the request began.
    Gone,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    PreconditionFailed,
    OverQuota,
    TooLarge,
    UnsupportedMediaType,
    RangeNotSatisfiable,
    TooManyRequests,
    NotImplemented,
    Unavailable,
    Internal,
}

/// A refused or failed use case: `message` is for the tenant, `source` for the log alone.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Error {
    pub kind: ErrorKind,
    /// A name for programs; Neutron's clients match on it (`NetworkNotFound`).
    pub code: &'static str,
    pub message: String,
    #[source]
    pub source: Option<Source>,
}

impl Error {
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), source: None }
    }

    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, code, message)
    }

    /// A login or token that was not accepted: one message for every reason.
    pub fn unauthorized() -> Self {
        Self::new(
            ErrorKind::Unauthorized,
            "Unauthorized",
            "The request you have made requires authentication.",
        )
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, "Forbidden", message)
    }

    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, message)
    }

    /// A failure of ours: the tenant learns nothing but the request id.
    pub fn internal(source: impl Into<Source>) -> Self {
        Self {
            kind: ErrorKind::Internal,
            code: "InternalServerError",
            message: "An unexpected error prevented the server from fulfilling your request.".into(),
            source: Some(source.into()),
        }
    }

    /// The same error with its cause, for the log.
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl From<StoreError> for Error {
    /// A use case that expects a duplicate or a broken reference checks for it and gives its own error; what
    /// arrives here lost a race or is a failure.
    fn from(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::Duplicate => {
                Self::conflict("Conflict", "Something of that name or id exists already.").because(error)
            }
            StoreErrorKind::Reference => {
                Self::conflict("InUse", "It is in use, or refers to something that does not exist.")
                    .because(error)
            }
            StoreErrorKind::Full => {
                Self::new(ErrorKind::Unavailable, "StorageFull", "The controller's disk is full.")
                    .because(error)
            }
            StoreErrorKind::Busy | StoreErrorKind::Conflict => {
                Self::new(ErrorKind::Unavailable, "Busy", "The database is busy; try again.").because(error)
            }
            StoreErrorKind::TooLong => {
                Self::bad_request("TooLong", "A value is longer than what can be kept.").because(error)
            }
            StoreErrorKind::Corrupt | StoreErrorKind::Broken => Self::internal(error),
        }
    }
}
