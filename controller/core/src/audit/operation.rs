//! The request at work, known to whatever runs on its behalf.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use updraft_model::Timestamp;
use updraft_model::audit::AuditEvent;
use updraft_store::{Tx, audit};

use super::document;
use crate::{Caller, Result};

tokio::task_local! {
    static CURRENT: Operation;
}

/// What the edge knows of a request before anybody has looked at it.
#[derive(Clone, Debug, Default)]
pub struct RequestFacts {
    pub method: String,
    /// Without the query, which may hold what nobody else should read.
    pub path: String,
    /// The path with names in place of ids, `/v3/projects/{id}`.
    pub template: String,
    pub request_id: String,
    pub global_request_id: Option<String>,
    /// The client's address, as the connection has it.
    pub address: Option<String>,
    /// What the client calls itself.
    pub agent: Option<String>,
}

/// Who acts, as far as it is proved.
#[derive(Clone, Debug, Default)]
pub(super) struct Initiator {
    pub user_id: Option<String>,
    pub user_name: Option<String>,
    pub user_domain_id: Option<String>,
    pub project_id: Option<String>,
    pub domain_id: Option<String>,
    /// The token's audit id.
    pub audit_id: Option<String>,
    /// What the token was granted by, and its id: a trust or an application credential.
    pub granted_by: Option<(&'static str, String)>,
    /// A host acts, by itself; `user_id` is its name.
    pub is_host: bool,
}

/// How a request went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure {
        /// The status of the answer.
        status: u16,
        /// Why, as the client was told; nothing where that may quote what the client sent.
        message: Option<String>,
        /// Why, for operators alone.
        cause: Option<String>,
    },
}

/// One request, from its arrival to its answer. Cheap to clone; all clones are the same operation.
#[derive(Clone, Debug)]
pub struct Operation {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    facts: RequestFacts,
    learned: Mutex<Learned>,
    /// A transaction has the event, or is about to.
    claimed: AtomicBool,
}

/// What is found out on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned {
    pub initiator: Initiator,
    /// What is done to the target, where the method says only that something is: `os-start`.
    pub detail: Option<String>,
}

impl Operation {
    pub fn new(facts: RequestFacts) -> Self {
        let inner = Inner { facts, learned: Mutex::default(), claimed: AtomicBool::new(false) };
        Self { inner: Arc::new(inner) }
    }

    /// Runs `work` as this operation.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// Whether a transaction that was committed has the event.
    pub fn is_recorded(&self) -> bool {
        self.inner.claimed.load(Ordering::Acquire)
    }

    /// Whether it is known who acts.
    pub fn is_identified(&self) -> bool {
        self.learned().initiator.user_id.is_some()
    }

    /// The event; `made` are the rows (table, id) that were added on the way.
    pub fn event(&self, now: Timestamp, outcome: &Outcome, made: &[(String, String)]) -> AuditEvent {
        let learned = self.learned().clone();
        document::event(&self.inner.facts, &learned, now, outcome, made)
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        // Nothing is left half done under this lock.
        self.inner.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The present operation, for what goes on in a task of its own; see [`on_behalf_of`].
pub(crate) fn current() -> Option<Operation> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs `work` as this operation, in whatever task: its transaction holds the operation's event.
pub(crate) async fn on_behalf_of<T>(operation: Option<Operation>, work: impl Future<Output = T>) -> T {
    match operation {
        Some(operation) => operation.scope(work).await,
        None => work.await,
    }
}

/// Notes whose token it is that the present operation came with.
pub fn identify(caller: &Caller) {
    let trust = caller.trust.as_ref().map(|trust| ("trust_id", trust.id.clone()));
    let application_credential = caller.application_credential.as_ref();
    let application_credential =
        application_credential.map(|granted| ("application_credential_id", granted.id.clone()));
    let initiator = Initiator {
        user_id: Some(caller.user_id.clone()),
        user_name: Some(caller.user_name.clone()),
        user_domain_id: Some(caller.user_domain_id.clone()),
        project_id: caller.project_id.clone(),
        domain_id: caller.domain_id.clone(),
        audit_id: Some(caller.audit_id.clone()),
        granted_by: trust.or(application_credential),
        is_host: false,
    };
    let _ = CURRENT.try_with(|operation| operation.learned().initiator = initiator);
}

/// Notes as whom somebody tries to log in: a user that exists, so that no mistyped password is kept as a name.
pub fn identify_user(id: &str, name: &str, domain_id: &str) {
    let initiator = Initiator {
        user_id: Some(id.to_owned()),
        user_name: Some(name.to_owned()),
        user_domain_id: Some(domain_id.to_owned()),
        ..Initiator::default()
    };
    let _ = CURRENT.try_with(|operation| operation.learned().initiator = initiator);
}

/// Notes which host acts, by the name that its operator gave it.
pub fn identify_host(name: &str) {
    let user_id = Some(if name.is_empty() { "own host".to_owned() } else { name.to_owned() });
    let initiator = Initiator { user_id, is_host: true, ..Initiator::default() };
    let _ = CURRENT.try_with(|operation| operation.learned().initiator = initiator);
}

/// Notes what is done, where the method and path do not say it.
pub fn refine(detail: &str) {
    let _ = CURRENT.try_with(|operation| operation.learned().detail = Some(detail.to_owned()));
}

/// The right to put the present operation's event into a transaction. Another transaction of the same operation
/// gets none, unless this one fails.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    operation: Operation,
}

/// The present operation's claim, if there is an operation and nobody has it.
pub(crate) fn claim() -> Option<Claim> {
    let operation = CURRENT.try_with(Clone::clone).ok()?;
    let is_free = !operation.inner.claimed.swap(true, Ordering::AcqRel);
    is_free.then_some(Claim { operation })
}

impl Claim {
    /// Adds the event to the transaction of the change.
    pub async fn record(&self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        let event = self.operation.event(now, &Outcome::Success, tx.made());
        Ok(audit::insert(tx, &event).await?)
    }

    /// The transaction was rolled back.
    pub fn give_back(&self) {
        self.operation.inner.claimed.store(false, Ordering::Release);
    }
}
