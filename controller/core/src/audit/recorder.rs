//! Events that belong to no change: logins and refusals. Many wait for one transaction, so a flood of them costs few.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use updraft_model::Timestamp;
use updraft_model::audit::AuditEvent;
use updraft_store::audit;

use super::operation::{Operation, Outcome, RequestFacts};
use crate::Core;

/// Events that wait to be written, at most. Beyond, when the database has been away for long, they are counted only.
const MAX_WAITING: usize = 10_000;
/// Events of one transaction.
const BATCH: usize = 500;
/// Refusals without a good token that are listed in one second. Of the rest one event says how many: who cannot log
/// in shall not fill the disk.
const ANONYMOUS_PER_S: u32 = 50;
/// The pause after the database refused a batch.
const RETRY: Duration = Duration::from_secs(1);

/// Writes events after the answer, in batches.
#[derive(Debug, Default)]
pub struct Recorder {
    queue: Mutex<Queue>,
    /// Held by whoever writes a batch.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<AuditEvent>,
    /// The second that `anonymous` counts, since the epoch.
    second: i64,
    anonymous: u32,
    /// Not listed, for one reason or the other.
    unlisted: u64,
    has_writer: bool,
}

impl Recorder {
    /// Takes the event of an operation that has none yet, or that failed after all.
    pub fn note(core: &Core, operation: &Operation, outcome: &Outcome) {
        let now = core.clock.now();
        let is_anonymous = *outcome != Outcome::Success && !operation.is_identified();
        let event = || operation.event(now, outcome, &[]);
        if core.audit.queue().take(now, is_anonymous, event) {
            let core = core.clone();
            tokio::spawn(async move {
                loop {
                    core.audit.flush(&core).await;
                    if core.audit.queue().is_done() {
                        return;
                    }
                }
            });
        }
    }

    /// Writes what waits; returns when it is written, or when the database refuses.
    pub async fn flush(&self, core: &Core) {
        let _turn = self.writing.lock().await;
        loop {
            let batch = self.queue().batch(core.clock.now());
            if batch.is_empty() {
                return;
            }
            let rows = batch.clone();
            let written = core.store.write::<_, updraft_store::StoreError, _>(move |tx| {
                Box::pin(async move {
                    for event in &rows {
                        audit::insert(tx, event).await?;
                    }
                    Ok(())
                })
            });
            if let Err(error) = written.await {
                tracing::error!(%error, events = batch.len(), "audit events could not be written yet");
                self.queue().put_back(batch);
                tokio::time::sleep(RETRY).await;
                return;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing is left half done under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Adds an event or counts it; true when a writer has to be started.
    fn take(&mut self, now: Timestamp, is_anonymous: bool, event: impl FnOnce() -> AuditEvent) -> bool {
        if is_anonymous {
            let second = now.0 / 1_000_000;
            if self.second != second {
                (self.second, self.anonymous) = (second, 0);
            }
            self.anonymous += 1;
        }
        if self.waiting.len() >= MAX_WAITING || (is_anonymous && self.anonymous > ANONYMOUS_PER_S) {
            self.unlisted += 1;
            return false;
        }
        self.waiting.push_back(event());
        !std::mem::replace(&mut self.has_writer, true)
    }

    fn batch(&mut self, now: Timestamp) -> Vec<AuditEvent> {
        let count = self.waiting.len().min(BATCH);
        let mut batch: Vec<AuditEvent> = self.waiting.drain(..count).collect();
        let is_over = self.second != now.0 / 1_000_000;
        if self.unlisted > 0 && is_over {
            batch.push(summary(now, std::mem::take(&mut self.unlisted)));
        }
        batch
    }

    /// Whether the writer may end; another is started by what comes next.
    fn is_done(&mut self) -> bool {
        self.has_writer = !self.waiting.is_empty();
        !self.has_writer
    }

    fn put_back(&mut self, batch: Vec<AuditEvent>) {
        for event in batch.into_iter().rev() {
            self.waiting.push_front(event);
        }
    }
}

/// One event for many that are not listed.
fn summary(now: Timestamp, count: u64) -> AuditEvent {
    let facts = RequestFacts { method: "POST".into(), ..RequestFacts::default() };
    let message = format!("{count} more requests were refused and are not listed one by one");
    let outcome = Outcome::Failure { status: 401, message: Some(message), cause: None };
    Operation::new(facts).event(now, &outcome, &[])
}
