//! What can go wrong for an operator.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{context}")]
    Io { context: String, source: io::Error },
    #[error("{} is not readable as what it should be", path.display())]
    BadFile { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("no cloud under {}: run `updraft up` first", state_dir.display())]
    NoCloud { state_dir: PathBuf },
    #[error("{0}")]
    Requirement(String),
    #[error("{what} did not become healthy within {seconds} s; its log is {}", log.display())]
    Unhealthy { what: &'static str, seconds: u64, log: PathBuf },
    #[error("network namespace {name}: {context}")]
    Namespace { name: String, context: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("a certificate cannot be made")]
    Certificate { source: rcgen::Error },
    #[error("{method} {url}: {answer}")]
    Api { method: &'static str, url: String, answer: String },
    #[error("{method} {url}")]
    Http { method: &'static str, url: String, source: reqwest::Error },
}

impl Error {
    /// For `map_err`: an I/O error with what was being done.
    pub fn io(context: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }

    /// For `map_err`: an I/O error about a path.
    pub fn path(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("cannot {doing} {}", path.display()))
    }

    /// For `map_err`: a file whose content is not what it should be.
    pub fn bad_file<E: std::error::Error + Send + Sync + 'static>(path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_path_buf();
        move |source| Self::BadFile { path, source: Box::new(source) }
    }
}
