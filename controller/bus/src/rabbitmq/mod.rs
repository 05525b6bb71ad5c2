//! The bus at a RabbitMQ broker.
//!
//! One connection a controller, made anew for ever with growing, random pauses. On it:
//!
//! - nudges: a fanout exchange, and one exclusive queue a process, which goes with the connection. They need to survive
//!   nothing: whoever has just connected wakes all its listeners, because it may have missed some.
//! - notifications: a durable topic exchange and durable quorum queues `<topic>.info` and `<topic>.error`, persistent
//!   messages, each confirmed by the broker or counted as not sent.
//!
//! Whoever consumes here expects anything: a message of another version, too large or of no sense is counted and dropped.

mod broker_url;
mod error;
mod publish;
mod session;
mod topology;
mod wake;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lapin::Channel;
use tokio::sync::{Notify, watch};

pub use broker_url::BrokerUrl;
pub use error::BusError;

use crate::status::{BusCounters, BusStatus, Link};
use crate::{Listener, Notification, Nudge, Published, Topic};

/// The longest pause after the first failure; it doubles with each, up to [`LONGEST_PAUSE`]. The real pause is drawn from
/// the upper half of it, so that controllers do not come back all at once.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A connection that lasted for so long starts over with short pauses.
const STABLE: Duration = Duration::from_secs(30);

/// Where the broker is, and what our things there are called.
#[derive(Clone, Debug)]
pub struct RabbitMqConfig {
    pub url: BrokerUrl,
    /// Authorities (PEM) that the broker's certificate may be of, besides those that the system trusts.
    pub authority: Option<String>,
    /// The topic exchange of notifications: oslo.messaging's `control_exchange`.
    pub exchange: String,
    /// The first part of the routing key and of the queues' names: `notifications` in OpenStack.
    pub topic: String,
}

impl RabbitMqConfig {
    /// oslo.messaging's own names.
    pub fn new(url: BrokerUrl) -> Self {
        Self { url, authority: None, exchange: "openstack".into(), topic: "notifications".into() }
    }
}

/// The bus at a broker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RabbitMq {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: RabbitMqConfig,
    /// Whom our nudges are from, so that we do not hear our own.
    id: String,
    local: Nudge,
    /// Topics that other controllers have yet to hear of.
    pending: [AtomicBool; Topic::ALL.len()],
    is_pending: Notify,
    state: Mutex<State>,
    /// Ends the present session; why is in `State::failure`.
    has_failed: Notify,
    counters: Counters,
}

#[derive(Debug)]
struct State {
    /// Since when it is as it is.
    since: Instant,
    /// For notifications, in confirm mode, while there is a connection; and which connection it is of.
    channel: Option<Channel>,
    session: u64,
    blocked: Option<String>,
    reason: Option<String>,
    failure: Option<BusError>,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    nudges_sent: AtomicU64,
    nudges_heard: AtomicU64,
    dropped: AtomicU64,
    published: AtomicU64,
    returned: AtomicU64,
    refused: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl RabbitMq {
    pub(crate) fn new(config: RabbitMqConfig) -> Self {
        let state = State {
            since: Instant::now(),
            channel: None,
            session: 0,
            blocked: None,
            reason: None,
            failure: None,
        };
        let shared = Shared {
            config,
            id: uuid::Uuid::new_v4().to_string(),
            local: Nudge::default(),
            pending: Default::default(),
            is_pending: Notify::new(),
            state: Mutex::new(state),
            has_failed: Notify::new(),
            counters: Counters::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn send(&self, topic: Topic) {
        self.shared.local.send(topic);
        self.shared.pending[topic as usize].store(true, Ordering::Release);
        self.shared.is_pending.notify_one();
    }

    pub(crate) fn listen(&self, topic: Topic) -> Listener {
        self.shared.local.listen(topic)
    }

    pub(crate) async fn publish(&self, batch: &[Notification]) -> Published {
        publish::publish(&self.shared, batch).await
    }

    pub(crate) fn status(&self) -> BusStatus {
        let state = self.shared.state();
        let for_s = state.since.elapsed().as_secs();
        let link = match &state.channel {
            Some(_) => Link::Connected { for_s, blocked: state.blocked.clone() },
            None => Link::Away { for_s, reason: state.reason.clone() },
        };
        BusStatus { kind: "rabbitmq", link, counters: self.shared.counters.read() }
    }

    pub(crate) async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let mut longest = FIRST_PAUSE;
        loop {
            let error = tokio::select! {
                error = session::run(&self.shared) => error,
                _ = shutdown.wait_for(|stop| *stop) => break,
            };
            if self.shared.lost(&error) >= STABLE {
                longest = FIRST_PAUSE;
            }
            let pause = longest.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            if tokio::time::timeout(pause, shutdown.wait_for(|stop| *stop)).await.is_ok() {
                break;
            }
            longest = (longest * 2).min(LONGEST_PAUSE);
        }
        self.shared.state().channel = None;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is a connection, and `channel` takes notifications.
    fn connected(&self, channel: Channel) {
        let mut state = self.state();
        *state = State {
            since: Instant::now(),
            channel: Some(channel),
            session: state.session + 1,
            blocked: None,
            reason: None,
            failure: None,
        };
        drop(state);
        count(&self.counters.connections);
        let url = &self.config.url;
        tracing::info!(%url, "the bus is connected");
        // What was sent while we were away is lost, and what waits here may be on its way at last.
        Topic::ALL.into_iter().for_each(|topic| self.local.send(topic));
    }

    /// There is no connection (any more); how long there was one.
    fn lost(&self, error: &BusError) -> Duration {
        let reason = error.with_causes();
        let mut state = self.state();
        let was_connected = state.channel.take().is_some();
        let lasted = if was_connected { state.since.elapsed() } else { Duration::ZERO };
        let is_news = was_connected || state.reason.as_ref() != Some(&reason);
        if was_connected {
            state.since = Instant::now();
        }
        state.reason = Some(reason.clone());
        drop(state);
        let url = &self.config.url;
        if is_news {
            tracing::warn!(%url, reason, "the bus is away; everything goes on by polling");
        } else {
            tracing::debug!(%url, reason, "the bus is still away");
        }
        lasted
    }

    fn blocked(&self, reason: Option<String>) {
        self.state().blocked = reason;
    }

    /// Ends this session, if it has not ended by itself: another connection may do better.
    fn fail(&self, session: u64, error: BusError) {
        let mut state = self.state();
        if state.session == session {
            state.failure = Some(error);
            self.has_failed.notify_one();
        }
    }

    async fn failed(&self) -> BusError {
        loop {
            self.has_failed.notified().await;
            if let Some(error) = self.state().failure.take() {
                return error;
            }
        }
    }
}

impl Counters {
    fn read(&self) -> BusCounters {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BusCounters {
            connections: value(&self.connections),
            nudges_sent: value(&self.nudges_sent),
            nudges_heard: value(&self.nudges_heard),
            dropped: value(&self.dropped),
            published: value(&self.published),
            returned: value(&self.returned),
            refused: value(&self.refused),
        }
    }
}
