//! A create that may be sent again: the same `Idempotency-Key` gives the same answer for a day, and one effect.
//!
//! The edge runs the use case inside [`Attempt::run`]; the first transaction that the use case commits then carries
//! the mark that the request was carried out, so either both are in the database or neither is. The answer is kept
//! right after. A controller that dies in between leaves the mark alone: the client is told that its request was
//! carried out, and nothing is done twice. Answers may hold secrets (a new server's password), so they are encrypted
//! with a key that comes from the client's own and is not kept.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use updraft_model::Timestamp;
use updraft_store::{StoreErrorKind, Tx, idempotency};

use crate::{Caller, Core, Error, Result};

/// How long a key is remembered.
pub const MEMORY: Duration = Duration::from_secs(24 * 3600);
/// How often older keys are forgotten.
const PURGE_PERIOD: Duration = Duration::from_secs(600);

tokio::task_local! {
    static ATTEMPT: Arc<Mark>;
}

/// What the transaction writes.
#[derive(Debug)]
pub(crate) struct Mark {
    scope_hash: String,
    body_hash: String,
    is_written: AtomicBool,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: carry the request out.
    None,
    /// It was carried out; this was the answer.
    Answered(Vec<u8>),
}

/// One request with a key.
#[derive(Clone)]
pub struct Attempt {
    mark: Arc<Mark>,
    answers: Fernet,
}

impl Attempt {
    /// `None` for a key that is none: 1 to 255 printable ASCII characters.
    pub fn new(caller: &Caller, method: &str, path: &str, key: &str, body: &[u8]) -> Option<Self> {
        let printable = key.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if key.is_empty() || key.len() > 255 || !printable {
            return None;
        }
        let digest = |purpose: &str| {
            let mut hash = Sha256::new();
            let project = caller.project_id.as_deref().or(caller.domain_id.as_deref()).unwrap_or_default();
            for part in [purpose, &caller.user_id, project, method, path, key] {
                hash.update(part.as_bytes());
                hash.update([0]);
            }
            hash.finalize()
        };
        let mark = Mark {
            scope_hash: hex(&digest("scope")),
            body_hash: hex(&Sha256::digest(body)),
            is_written: AtomicBool::new(false),
        };
        let answers = Fernet::new(&URL_SAFE.encode(digest("answer")))?;
        Some(Self { mark: Arc::new(mark), answers })
    }

    /// What became of an earlier request with this key; 409 when it was another request, or its answer is not known.
    pub async fn earlier(&self, core: &Core) -> Result<Earlier> {
        let since = core.clock.now().minus(MEMORY);
        let record = idempotency::get(&mut core.read().await?, &self.mark.scope_hash, since).await?;
        let Some(record) = record else { return Ok(Earlier::None) };
        if record.body_hash != self.mark.body_hash {
            return Err(refusal("This Idempotency-Key was used with another request body."));
        }
        let answer = record.answer.and_then(|answer| self.answers.decrypt(&answer).ok());
        answer.map(Earlier::Answered).ok_or_else(|| {
            refusal(
                "The request with this Idempotency-Key was carried out, but its answer is not known (yet).",
            )
        })
    }

    /// Runs the use case so that its first transaction carries the mark.
    pub async fn run<T>(&self, request: impl Future<Output = T>) -> T {
        ATTEMPT.scope(self.mark.clone(), request).await
    }

    /// Whether [`Attempt::run`] changed anything.
    pub fn was_carried_out(&self) -> bool {
        self.mark.is_written.load(Ordering::Acquire)
    }

    /// Keeps the answer for the next time.
    pub async fn keep(&self, core: &Core, answer: &[u8]) -> Result<()> {
        let (scope_hash, answer) = (self.mark.scope_hash.clone(), self.answers.encrypt(answer));
        core.write(move |tx| {
            Box::pin(async move { Ok(idempotency::set_answer(tx, &scope_hash, &answer).await?) })
        })
        .await
    }
}

/// The mark that the next transaction of this request has to write.
pub(crate) fn unwritten() -> Option<Arc<Mark>> {
    let mark = ATTEMPT.try_with(Arc::clone).ok()?;
    (!mark.is_written.load(Ordering::Acquire)).then_some(mark)
}

impl Mark {
    pub(crate) async fn write(&self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        let inserted = idempotency::insert(tx, &self.scope_hash, &self.body_hash, now).await;
        inserted.map_err(|error| match error.kind {
            StoreErrorKind::Duplicate => refusal("A request with this Idempotency-Key is under way."),
            _ => error.into(),
        })
    }

    /// The transaction is committed.
    pub(crate) fn is_committed(&self) {
        self.is_written.store(true, Ordering::Release);
    }
}

fn refusal(message: &str) -> Error {
    Error::conflict("IdempotencyConflict", message)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Forgets old keys, until `shutdown` turns true.
pub(crate) async fn purge_loop(core: Core, mut shutdown: watch::Receiver<bool>) {
    loop {
        let before = core.clock.now().minus(MEMORY);
        let purge = core.write(move |tx| Box::pin(async move { Ok(idempotency::purge(tx, before).await?) }));
        if let Err(error) = purge.await {
            tracing::warn!(%error, "old idempotency keys were not purged");
        }
        if tokio::time::timeout(PURGE_PERIOD, shutdown.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}
