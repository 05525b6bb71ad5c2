//! From the outbox table to the broker: one controller sends (a [`Duty`]), publish → confirm → delete.
//!
//! At least once: a sender that is killed between the confirm and the delete is followed by one that sends again, with
//! the same `message_id`. Nothing is kept in memory but the batch at work.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use updraft_bus::{Link, Notification, Priority};
use updraft_store::outbox;

use crate::duty::{self, Duty};
use crate::{Core, Result, Topic};

/// Notifications that are sent and confirmed together: with the longest allowed ones, 50 MiB.
const BATCH: u32 = 200;
/// How often the sender looks without having been nudged.
const POLL: Duration = Duration::from_secs(1);
/// The pause after the broker did not take a batch.
const RETRY: Duration = Duration::from_secs(1);
/// How long another controller waits for a sender that is silent.
const SENDER_LEASE: Duration = Duration::from_secs(10);
/// How often it is looked whether too many wait.
const TRIM_PERIOD: Duration = Duration::from_secs(60);
/// Of those that are given up, how many go in one transaction.
const TRIM_BATCH: u32 = 1000;

/// The outbox, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OutboxStatus {
    /// Notifications that wait for the broker.
    pub waiting: u64,
    /// Those that were given up, ever, because too many waited.
    pub dropped: u64,
}

pub async fn status(core: &Core) -> Result<OutboxStatus> {
    let mut conn = core.read().await?;
    Ok(OutboxStatus { waiting: outbox::count(&mut conn).await?, dropped: outbox::losses(&mut conn).await? })
}

/// Sends what waits, until `shutdown` turns true. Nothing to do without a broker.
pub async fn run(core: Core, shutdown: watch::Receiver<bool>) {
    if !core.nudge.takes_notifications() {
        return;
    }
    let sender = Duty {
        lease: SENDER_LEASE,
        is_ready: is_connected,
        ..Duty::new("outbox-sender", Duration::from_millis(100))
    };
    let stop = shutdown.clone();
    let sending = duty::run(core.clone(), sender, shutdown.clone(), move |core| send(core, stop.clone()));
    let trimming = duty::run(core, Duty::new("outbox-trim", TRIM_PERIOD), shutdown, trim);
    tokio::join!(sending, trimming);
}

fn is_connected(core: &Core) -> bool {
    matches!(core.nudge.status().link, Link::Connected { .. })
}

/// Sends while this controller reaches the broker; then another one may have better luck.
async fn send(core: Core, mut shutdown: watch::Receiver<bool>) -> Result<()> {
    let mut nudges = core.nudge.listen(Topic::Outbox);
    while is_connected(&core) && !*shutdown.borrow() {
        let pause = match send_batch(&core).await? {
            Sent::All => continue,
            Sent::Nothing => POLL,
            Sent::Some => RETRY,
        };
        tokio::select! {
            _ = nudges.wait(pause) => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }
    Ok(())
}

/// How a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Everything that was there, or a whole batch of it.
    All,
    /// The broker did not confirm all.
    Some,
    /// There was nothing.
    Nothing,
}

/// Sends those that have waited longest; what the broker has confirmed is forgotten.
pub async fn send_batch(core: &Core) -> Result<Sent> {
    let entries = outbox::oldest(&mut core.read().await?, BATCH).await?;
    if entries.is_empty() {
        return Ok(Sent::Nothing);
    }
    let batch: Vec<Notification> = entries
        .into_iter()
        .map(|entry| Notification {
            message_id: entry.message_id,
            priority: Priority::parse(&entry.priority).unwrap_or(Priority::Info),
            message: entry.message,
        })
        .collect();
    let published = core.nudge.publish(&batch).await;
    let confirmed = published.confirmed;
    if !confirmed.is_empty() {
        core.write(move |tx| Box::pin(async move { Ok(outbox::forget(tx, &confirmed).await?) })).await?;
    }
    match published.problem {
        None => Ok(Sent::All),
        Some(error) => {
            tracing::warn!(%error, "notifications are sent again");
            Ok(Sent::Some)
        }
    }
}

/// Gives up what has waited longest beyond the limit, so that a broker that is away for good does not fill the disk.
pub async fn trim(core: Core) -> Result<()> {
    loop {
        let waiting = outbox::count(&mut core.read().await?).await?;
        let surplus = waiting.saturating_sub(core.config.max_waiting_notifications);
        let count = u32::try_from(surplus).unwrap_or(u32::MAX).min(TRIM_BATCH);
        if count == 0 {
            return Ok(());
        }
        let given_up = core.write(move |tx| Box::pin(async move { Ok(outbox::give_up(tx, count).await?) }));
        let (given_up, limit) = (given_up.await?, core.config.max_waiting_notifications);
        tracing::warn!(given_up, limit, "the broker is away for too long: the oldest notifications are lost");
    }
}
