//! Notifications: sent together, each confirmed by itself.

use std::time::{Duration, SystemTime};

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};

use super::session::in_time;
use super::{BusError, Shared, count};
use crate::notification::envelope;
use crate::{Notification, Published};

/// How long the broker may take to confirm a batch. One that is blocked (its memory or disk is short) takes for ever.
const CONFIRM_LIMIT: Duration = Duration::from_secs(30);
/// Persistent (AMQP 0-9-1, `delivery-mode`).
const PERSISTENT: u8 = 2;

pub(super) async fn publish(shared: &Shared, batch: &[Notification]) -> Published {
    let (channel, session) = {
        let state = shared.state();
        (state.channel.clone(), state.session)
    };
    let Some(channel) = channel else {
        return Published { confirmed: Vec::new(), problem: Some(BusError::Away) };
    };
    let mut confirmed = Vec::new();
    let sent = send_all(shared, &channel, batch, &mut confirmed);
    let problem = in_time(CONFIRM_LIMIT, "confirm notifications", sent).await.err();
    if let Some(problem) = problem.clone() {
        // Queues are declared with a new connection, and what hangs does not hang there.
        shared.fail(session, problem);
    }
    Published { confirmed, problem }
}

async fn send_all(
    shared: &Shared,
    channel: &Channel,
    batch: &[Notification],
    confirmed: &mut Vec<String>,
) -> Result<(), BusError> {
    let mut waiting: Vec<(&str, PublisherConfirm)> = Vec::with_capacity(batch.len());
    let mut problem = None;
    for notification in batch {
        match send(shared, channel, notification).await {
            Ok(confirm) => waiting.push((notification.message_id.as_str(), confirm)),
            Err(error) => {
                problem = Some(error);
                break;
            }
        }
    }
    for (id, confirm) in waiting {
        let error = match confirm.await {
            Ok(Confirmation::Ack(None)) => {
                count(&shared.counters.published);
                confirmed.push(id.to_owned());
                continue;
            }
            // Confirmed, and in no queue.
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => {
                count(&shared.counters.returned);
                BusError::Unroutable
            }
            Ok(Confirmation::Nack(None) | Confirmation::NotRequested) => {
                count(&shared.counters.refused);
                BusError::Refused
            }
            Err(error) => BusError::broker("have a notification confirmed")(error),
        };
        problem.get_or_insert(error);
    }
    problem.map_or(Ok(()), Err)
}

async fn send(
    shared: &Shared,
    channel: &Channel,
    notification: &Notification,
) -> Result<PublisherConfirm, BusError> {
    let key = format!("{}.{}", shared.config.topic, notification.priority.key());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(notification.message_id.as_str().into())
        .with_timestamp(now);
    let body = envelope(&notification.message);
    let exchange = shared.config.exchange.as_str().into();
    let sending = channel.basic_publish(exchange, key.into(), options, body.as_bytes(), properties);
    sending.await.map_err(BusError::broker("send a notification"))
}
