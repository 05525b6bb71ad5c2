use std::path::{Path, PathBuf};

/// Why the controller does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{context}")]
    Io { context: String, source: std::io::Error },
    #[error("{path}")]
    Config { path: PathBuf, source: toml::de::Error },
    #[error("{path}: {problem}")]
    Setting { path: PathBuf, problem: String },
    #[error("cannot open the database")]
    Store { source: updraft_store::StoreError },
    #[error("cannot open the token keys")]
    Keys { source: updraft_token::KeyError },
    #[error("cannot serve with TLS")]
    Tls { source: crate::tls::TlsError },
    #[error("the rules cannot take effect")]
    Policy { source: Box<updraft_core::policy::PolicyError> },
    #[error("cannot prepare the cloud")]
    Bootstrap { source: updraft_core::Error },
}

impl Error {
    pub fn io(context: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }

    pub fn setting(path: &Path, problem: impl Into<String>) -> Self {
        Self::Setting { path: path.to_owned(), problem: problem.into() }
    }
}

/// The error and what caused it, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
