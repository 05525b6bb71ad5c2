//! Notifications: what OpenStack's services tell outside consumers, under OpenStack's names.
//!
//! They are written into the outbox table in the transaction of what they tell of, so neither is there without the other,
//! and sent from there ([`outbox`]). Without a broker nobody listens, and nothing is written.
//!
//! Two sources: use cases of images and servers say what happened ([`updraft_store::Tx::notice`], with [`image`] and
//! [`compute`] for the payloads); for identity and networks it follows from the request and from the rows that were made
//! ([`identity`], [`network`]).

pub(crate) mod compute;
mod identity;
pub(crate) mod image;
pub(crate) mod network;
pub mod outbox;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use updraft_bus::{Notification, Priority};
use updraft_model::Timestamp;
use updraft_store::outbox::Entry;
use updraft_store::{Notice, Tx};

use crate::audit::{self, Operation};
use crate::{Core, Result, Topic};

/// The longest inner message, in bytes. Of a longer one the payload is left out but for what is short.
const MAX_MESSAGE_BYTES: usize = 256 << 10;
/// What counts as short.
const MAX_SHORT_BYTES: usize = 255;

/// What a transaction still has to write at its end: its audit event, and what outside consumers are to hear.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    claim: Option<audit::Claim>,
    operation: Option<Operation>,
    now: Timestamp,
    /// Whom notifications are from, after the name of the service.
    host: Arc<str>,
    has_notices: Arc<AtomicBool>,
}

impl Ending {
    /// `None` when there is nothing to write for sure.
    pub fn of(core: &Core) -> Option<Self> {
        let claim = audit::claim();
        if claim.is_none() && !core.nudge.takes_notifications() {
            return None;
        }
        Some(Self {
            claim,
            operation: audit::current(),
            now: core.clock.now(),
            host: Arc::clone(&core.host_name),
            has_notices: Arc::default(),
        })
    }

    /// What is about to go, as it is now: nobody can tell afterwards.
    pub async fn look_before(&self, tx: &mut Tx) -> Result<Option<Value>> {
        match self.claimed(tx) {
            Some(operation) => network::look_before(tx, operation.facts()).await,
            None => Ok(None),
        }
    }

    /// The last writes of the transaction.
    pub async fn write(&self, tx: &mut Tx, before: Option<Value>) -> Result<()> {
        if tx.collects_notices() {
            let mut notices = tx.take_notices();
            notices.extend(self.derived(tx, before).await?);
            for notice in notices {
                let entry = self.entry(notice);
                updraft_store::outbox::insert(tx, &entry).await?;
                self.has_notices.store(true, Ordering::Relaxed);
            }
        }
        match &self.claim {
            Some(claim) => claim.record(tx, self.now).await,
            None => Ok(()),
        }
    }

    /// The transaction is committed.
    pub fn committed(&self, core: &Core) {
        if self.has_notices.load(Ordering::Relaxed) {
            core.nudge.send(Topic::Outbox);
        }
    }

    /// The transaction was rolled back.
    pub fn give_back(&self) {
        if let Some(claim) = &self.claim {
            claim.give_back();
        }
    }

    /// The request whose change this is, when somebody listens.
    fn claimed(&self, tx: &Tx) -> Option<&Operation> {
        self.operation.as_ref().filter(|_| self.claim.is_some() && tx.collects_notices())
    }

    async fn derived(&self, tx: &mut Tx, before: Option<Value>) -> Result<Vec<Notice>> {
        let made = tx.made().to_vec();
        let mut notices = identity::made(&made, self.operation.as_ref(), self.now);
        if let Some(operation) = self.claimed(tx) {
            notices.extend(identity::changed(operation, self.now));
            notices.extend(network::changed(tx, operation.facts(), before).await?);
        }
        notices.extend(network::made(tx, &made, self.operation.as_ref().map(Operation::facts)).await?);
        Ok(notices)
    }

    fn entry(&self, notice: Notice) -> Entry {
        // In the order of time, so that the index grows at one end.
        let message_id = uuid::Uuid::now_v7().to_string();
        let service = notice.event_type.split('.').next().unwrap_or_default();
        let service = if matches!(service, "identity" | "image" | "compute") { service } else { "network" };
        let priority = if notice.is_error { Priority::Error } else { Priority::Info };
        let mut context = notice.context;
        if context.is_empty() {
            context = self.operation.as_ref().map(Operation::context).unwrap_or_default();
        }
        let write = |payload: Value| {
            Notification::new(
                message_id.clone(),
                &notice.event_type,
                priority,
                &format!("{service}.{}", self.host),
                &self.now.micros_bare().replace('T', " "),
                payload,
                context.clone(),
            )
        };
        let mut written = write(notice.payload.clone());
        if written.message.len() > MAX_MESSAGE_BYTES {
            written = write(shortened(&notice.payload));
        }
        Entry {
            message_id: written.message_id,
            created_at: self.now,
            priority: written.priority.as_str().to_owned(),
            message: written.message,
        }
    }
}

/// A payload without what is long; a consumer that needs it asks the API.
fn shortened(payload: &Value) -> Value {
    let mut short = json!({"truncated": true});
    for (key, value) in payload.as_object().into_iter().flatten() {
        let is_short = match value {
            Value::String(text) => text.len() <= MAX_SHORT_BYTES,
            Value::Object(_) | Value::Array(_) => false,
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        };
        if is_short && key.len() <= MAX_SHORT_BYTES {
            short[key] = value.clone();
        }
    }
    short
}

/// A notice of something that happened on a request's behalf.
fn info(event_type: impl Into<String>, payload: Value) -> Notice {
    Notice { event_type: event_type.into(), is_error: false, payload, context: Vec::new() }
}

/// The path of a request in pairs of what the template calls a segment and what it is, from `start` on.
fn segments<'a>(facts: &'a audit::RequestFacts, start: &str) -> Option<Vec<(&'a str, &'a str)>> {
    let pairs = facts.template.split('/').zip(facts.path.split('/'));
    let mut pairs = pairs.skip_while(|(name, _)| *name != start);
    pairs.next()?;
    Some(pairs.collect())
}

/// This machine's name, for `publisher_id`.
pub(crate) fn host_name() -> Arc<str> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".into(),
        name => name.into(),
    }
}
