//! The bus: wake-ups between controllers, and notifications for outside consumers.
//!
//! It only nudges. The database is the truth, so whatever is sent here may be lost, doubled or late and costs time only:
//! who waits for a nudge also looks by itself every polling period, and a notification stays in the outbox table until
//! the broker has confirmed it (at least once; `message_id` tells doubles apart).
//!
//! [`Bus`] has two implementations. In process, nudges reach the listeners of this controller and there are no outside
//! consumers. With RabbitMQ ([`rabbitmq`]) they reach the listeners of every controller, too.

mod notification;
mod nudge;
pub mod rabbitmq;
mod status;

use std::sync::Arc;

use tokio::sync::watch;

pub use notification::{Notification, Priority, envelope};
pub use nudge::{Listener, Nudge, Topic};
pub use rabbitmq::{BrokerUrl, BusError, RabbitMq, RabbitMqConfig};
pub use status::{BusCounters, BusStatus, Link};

/// What carries nudges and notifications. Cheap to clone; all clones are the same bus.
#[derive(Clone, Debug)]
pub enum Bus {
    /// One controller, nobody else listens.
    InProcess(Arc<Nudge>),
    /// Every controller at the broker, and outside consumers.
    RabbitMq(RabbitMq),
}

impl Default for Bus {
    fn default() -> Self {
        Self::InProcess(Arc::default())
    }
}

impl Bus {
    /// A bus at this broker; it connects once [`Self::run`] runs.
    pub fn rabbitmq(config: RabbitMqConfig) -> Self {
        Self::RabbitMq(RabbitMq::new(config))
    }

    /// Wakes who listens, here at once and elsewhere soon. Call it after the commit, never before.
    pub fn send(&self, topic: Topic) {
        match self {
            Self::InProcess(nudge) => nudge.send(topic),
            Self::RabbitMq(rabbitmq) => rabbitmq.send(topic),
        }
    }

    /// Make it before looking at the database, so that nothing falls in between.
    pub fn listen(&self, topic: Topic) -> Listener {
        match self {
            Self::InProcess(nudge) => nudge.listen(topic),
            Self::RabbitMq(rabbitmq) => rabbitmq.listen(topic),
        }
    }

    /// Whether anybody outside may hear notifications. Without, none need be written down.
    pub fn takes_notifications(&self) -> bool {
        matches!(self, Self::RabbitMq(_))
    }

    /// Sends notifications; those in the answer are confirmed to be on the disk of a majority of the broker's nodes. What
    /// is missing there is to be sent again. In process nothing is ever taken.
    pub async fn publish(&self, batch: &[Notification]) -> Published {
        match self {
            Self::InProcess(_) => Published { confirmed: Vec::new(), problem: Some(BusError::NoBroker) },
            Self::RabbitMq(rabbitmq) => rabbitmq.publish(batch).await,
        }
    }

    pub fn status(&self) -> BusStatus {
        match self {
            Self::InProcess(_) => BusStatus::in_process(),
            Self::RabbitMq(rabbitmq) => rabbitmq.status(),
        }
    }

    /// Keeps the connection up until `shutdown` turns true: for ever, whatever the broker does.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        match self {
            Self::InProcess(_) => drop(shutdown.wait_for(|stop| *stop).await),
            Self::RabbitMq(rabbitmq) => rabbitmq.run(shutdown).await,
        }
    }
}

/// How [`Bus::publish`] went.
#[derive(Debug)]
pub struct Published {
    /// The `message_id`s that the broker has confirmed.
    pub confirmed: Vec<String>,
    /// Why others are not among them.
    pub problem: Option<BusError>,
}
