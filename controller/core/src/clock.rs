use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use updraft_model::Timestamp;

/// The time that use cases see: the system's, plus what a test moved it on by.
#[derive(Debug, Default)]
pub struct Clock {
    ahead_us: AtomicI64,
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        Timestamp(Timestamp::now().0 + self.ahead_us.load(Ordering::Relaxed))
    }

    /// Moves the time on, to see what expires.
    pub fn advance(&self, by: Duration) {
        self.ahead_us.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}
