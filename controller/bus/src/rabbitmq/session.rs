//! One connection, from its making to its end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use lapin::tcp::OwnedTLSConfig;
use lapin::{BasicProperties, Channel, Connect, Connection, ConnectionProperties, Event};

use super::{BusError, RabbitMqConfig, Shared, count, topology, wake};
use crate::Topic;

/// How long the broker may take until it is connected and everything is declared.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// How long one nudge may take to be written.
const SEND_LIMIT: Duration = Duration::from_secs(20);

/// Connects, and stays until the connection is of no more use; why.
pub(super) async fn run(shared: &Shared) -> BusError {
    match serve(shared).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn serve(shared: &Shared) -> Result<std::convert::Infallible, BusError> {
    let setup = async {
        let connection = connect(&shared.config).await?;
        let nudges = topology::open(&connection).await?;
        let consumer = topology::nudges(&nudges, &shared.config).await?;
        let notifications = topology::notifications(&connection, &shared.config).await?;
        Ok::<_, BusError>((connection, nudges, consumer, notifications))
    };
    let (connection, nudges, mut consumer, notifications) = in_time(CONNECT_LIMIT, "connect", setup).await?;
    let mut events = Box::pin(connection.events_listener());
    shared.connected(notifications);
    loop {
        tokio::select! {
            () = shared.is_pending.notified() => send_pending(shared, &nudges).await?,
            delivery = consumer.next() => match delivery {
                Some(Ok(delivery)) => hear(shared, delivery).await?,
                Some(Err(error)) => return Err(BusError::broker("listen to nudges")(error)),
                None => return Err(BusError::Closed),
            },
            event = events.next() => match event {
                Some(Event::Error(error)) => return Err(BusError::broker("keep the connection")(error)),
                Some(Event::ConnectionBlocked(reason)) => shared.blocked(Some(reason)),
                Some(Event::ConnectionUnblocked) => shared.blocked(None),
                Some(_) => {}
                None => return Err(BusError::Closed),
            },
            error = shared.failed() => return Err(error),
        }
    }
}

async fn connect(config: &RabbitMqConfig) -> Result<Connection, BusError> {
    let step = BusError::broker("connect");
    let properties = ConnectionProperties::default().with_connection_name("updraft-controller".into());
    let tls = OwnedTLSConfig { identity: None, cert_chain: config.authority.clone() };
    let runtime = match lapin::runtime::default_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Err(step(error)),
    };
    config.url.uri().connect_with_config(properties, tls, runtime).await.map_err(step)
}

async fn send_pending(shared: &Shared, channel: &Channel) -> Result<(), BusError> {
    for topic in Topic::ALL {
        if !shared.pending[topic as usize].swap(false, Ordering::AcqRel) {
            continue;
        }
        let body = wake::write(&shared.id, topic);
        let (exchange, options) =
            (topology::nudge_exchange(&shared.config).into(), BasicPublishOptions::default());
        let sending =
            channel.basic_publish(exchange, "".into(), options, body.as_bytes(), BasicProperties::default());
        let sent = async { sending.await.map(drop).map_err(BusError::broker("send a nudge")) };
        in_time(SEND_LIMIT, "send a nudge", sent).await?;
        count(&shared.counters.nudges_sent);
    }
    Ok(())
}

/// A nudge, or something that is none: it comes from outside.
async fn hear(shared: &Shared, delivery: Delivery) -> Result<(), BusError> {
    match wake::read(&delivery.data) {
        Some((from, _)) if from == shared.id => {}
        Some((_, topic)) => {
            count(&shared.counters.nudges_heard);
            shared.local.send(topic);
        }
        None => {
            count(&shared.counters.dropped);
            tracing::debug!(bytes = delivery.data.len(), "a message that is no nudge was dropped");
        }
    }
    let acknowledged = delivery.ack(BasicAckOptions::default()).await;
    acknowledged.map(drop).map_err(BusError::broker("acknowledge a nudge"))
}

pub(super) async fn in_time<T>(
    limit: Duration,
    step: &'static str,
    work: impl Future<Output = Result<T, BusError>>,
) -> Result<T, BusError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(BusError::TimedOut { step, limit }))
}
