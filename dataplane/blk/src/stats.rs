//! Counters of one queue: written by its thread, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::device::Operation;

/// Since the disk was opened.
#[derive(Debug, Default)]
pub struct QueueStats {
    reads: AtomicU64,
    writes: AtomicU64,
    flushes: AtomicU64,
    discards: AtomicU64,
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
    errors: AtomicU64,
    turns: AtomicU64,
}

/// A reading of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub reads: u64,
    pub writes: u64,
    pub flushes: u64,
    /// Discards and write-zeroes.
    pub discards: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
    /// Requests that were answered with anything but OK.
    pub errors: u64,
    /// How often the queues looked for work: an idle queue does not.
    pub turns: u64,
}

impl QueueStats {
    /// Counts a request that the device has done.
    #[inline]
    pub(crate) fn count(&self, operation: Operation) {
        match operation {
            Operation::Read { len_bytes, .. } => {
                add(&self.reads, 1);
                add(&self.read_bytes, len_bytes as u64);
            }
            Operation::Write { len_bytes, .. } => {
                add(&self.writes, 1);
                add(&self.written_bytes, len_bytes as u64);
            }
            Operation::Flush => add(&self.flushes, 1),
            Operation::Discard { .. } | Operation::WriteZeroes { .. } => add(&self.discards, 1),
        }
    }

    pub(crate) fn count_error(&self) {
        add(&self.errors, 1);
    }

    #[inline]
    pub(crate) fn count_turn(&self) {
        add(&self.turns, 1);
    }

    /// Adds this queue's counters to `totals`.
    pub fn add_to(&self, totals: &mut Totals) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        totals.reads += read(&self.reads);
        totals.writes += read(&self.writes);
        totals.flushes += read(&self.flushes);
        totals.discards += read(&self.discards);
        totals.read_bytes += read(&self.read_bytes);
        totals.written_bytes += read(&self.written_bytes);
        totals.errors += read(&self.errors);
        totals.turns += read(&self.turns);
    }
}

/// One thread writes, so a plain load and store do: no locked instruction on the hot path.
#[inline]
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}
