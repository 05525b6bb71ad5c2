use std::time::Duration;

/// Why the bus does not do what it is asked for. What was to be sent is sent again later.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BusError {
    #[error("there is no broker")]
    NoBroker,
    #[error("the broker is not reached")]
    Away,
    #[error("cannot {step}")]
    Broker { step: &'static str, source: lapin::Error },
    #[error("to {step} took more than {} s", limit.as_secs())]
    TimedOut { step: &'static str, limit: Duration },
    #[error("the broker closed the connection")]
    Closed,
    #[error("no queue is bound to the exchange of notifications")]
    Unroutable,
    #[error("the broker refused a notification")]
    Refused,
    /// Of the configuration: what a URL of a broker has to be.
    #[error("{problem}")]
    Url { problem: &'static str },
}

impl BusError {
    pub(super) fn broker(step: &'static str) -> impl FnOnce(lapin::Error) -> Self {
        move |source| Self::Broker { step, source }
    }

    /// The error and what caused it, in one line.
    pub(super) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            text.push_str(": ");
            text.push_str(&source.to_string());
            cause = source.source();
        }
        text
    }
}
