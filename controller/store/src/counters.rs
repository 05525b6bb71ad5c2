use std::sync::atomic::{AtomicU64, Ordering};

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounters {
    /// Transactions that were committed.
    pub commits: u64,
    /// Times that a transaction was run again because another one was in its way.
    pub conflicts: u64,
    /// Times that a transaction was run again because its connection was lost before the commit.
    pub lost: u64,
    /// Commits whose answer did not come, so that the mark had to be looked for.
    pub unknown: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub commits: AtomicU64,
    pub conflicts: AtomicU64,
    pub lost: AtomicU64,
    pub unknown: AtomicU64,
}

impl Counters {
    pub fn read(&self) -> StoreCounters {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreCounters {
            commits: value(&self.commits),
            conflicts: value(&self.conflicts),
            lost: value(&self.lost),
            unknown: value(&self.unknown),
        }
    }
}

/// One more; the number before.
pub(crate) fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed)
}
