//! What can go wrong with maps, programs and links.

use std::path::PathBuf;

/// What was attempted when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Kind {
    #[error("mounting bpffs")]
    Mount,
    #[error("mapping a table into memory")]
    Map,
    #[error("reading a pin")]
    Pin,
    #[error("loading the XDP program")]
    Load,
    #[error("attaching the XDP program")]
    Attach,
    #[error("entering the network namespace")]
    Namespace,
    #[error("registering an AF_XDP socket")]
    Socket,
    #[error("running the XDP program on a test packet")]
    TestRun,
}

/// A failure, what it was about and why.
#[derive(Debug, thiserror::Error)]
#[error("{kind} failed: {context}")]
pub struct Error {
    pub kind: Kind,
    /// The object: a path, an interface, a table.
    pub context: String,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: Kind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// For `map_err`: adds what was attempted, and on what.
    pub(crate) fn of<E>(kind: Kind, context: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let context = context.into();
        move |source| {
            let source = source.into();
            Self { kind, context: format!("{context}: {}", chain(&*source)), source: Some(source) }
        }
    }

    pub(crate) fn at<E>(kind: Kind, path: &std::path::Path) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::of(kind, PathBuf::from(path).display().to_string())
    }
}

/// An error and its causes on one line: the verifier's or the kernel's word is at the end of it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
