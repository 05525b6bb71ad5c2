//! What we need at the broker; declared anew with every connection, so that a broker that lost everything gets it back.

use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, Connection, Consumer, ExchangeKind};

use super::{BusError, RabbitMqConfig};
use crate::Priority;

/// Where nudges go: every queue that is bound gets each of them. Beside the exchange of notifications, so that clouds that
/// share a broker do not wake each other when they are told apart there.
pub(super) fn nudge_exchange(config: &RabbitMqConfig) -> String {
    format!("{}.updraft-nudges", config.exchange)
}

/// Nudges that wait at the broker for one process; more push the oldest out. All of a topic say the same.
const MAX_WAITING: i32 = 1000;
/// How long a nudge is of use: polling is quicker than this.
const NUDGE_TTL_MS: i32 = 10_000;
/// Nudges on their way to us at once.
const PREFETCH: u16 = 64;

/// The exchange of nudges and a queue of our own, which is gone with the connection.
pub(super) async fn nudges(channel: &Channel, config: &RabbitMqConfig) -> Result<Consumer, BusError> {
    let source = nudge_exchange(config);
    exchange(channel, &source, ExchangeKind::Fanout).await?;
    // A name of its own for each connection: the broker may not have noticed yet that the last one is dead.
    let name = format!("{source}.{}", uuid::Uuid::new_v4());
    let options =
        QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(MAX_WAITING));
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(NUDGE_TTL_MS));
    let declared = channel.queue_declare(name.as_str().into(), options, arguments).await;
    declared.map_err(BusError::broker("declare the queue of nudges"))?;
    bind(channel, &name, &source, "").await?;
    let limited = channel.basic_qos(PREFETCH, BasicQosOptions::default()).await;
    limited.map_err(BusError::broker("limit deliveries"))?;
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let consumer =
        channel.basic_consume(name.as_str().into(), "nudges".into(), options, FieldTable::default());
    consumer.await.map_err(BusError::broker("listen to nudges"))
}

/// The exchange and the queues of notifications, and a channel whose messages are confirmed.
///
/// The queues have no arguments but their type, so that oslo.messaging's consumers with `rabbit_quorum_queue` find them
/// as they would declare them; limits are for the broker's policies.
pub(super) async fn notifications(
    connection: &Connection,
    config: &RabbitMqConfig,
) -> Result<Channel, BusError> {
    let channel = open(connection).await?;
    exchange(&channel, &config.exchange, ExchangeKind::Topic).await?;
    for priority in Priority::ALL {
        // A channel of its own: the broker closes it when there is a queue of that name and another type.
        let name = format!("{}.{}", config.topic, priority.key());
        let declared = open(connection).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from("quorum")));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        match declared.queue_declare(name.as_str().into(), options, arguments).await {
            Ok(_) => {}
            Err(error) if error.is_amqp_soft_error() => {
                tracing::warn!(queue = name, %error, "a queue of notifications is another one than we want; it is used as it is");
            }
            Err(error) => return Err(BusError::broker("declare a queue of notifications")(error)),
        }
        bind(&channel, &name, &config.exchange, &name).await?;
    }
    let confirming = channel.confirm_select(ConfirmSelectOptions::default()).await;
    confirming.map_err(BusError::broker("ask for confirms"))?;
    Ok(channel)
}

pub(super) async fn open(connection: &Connection) -> Result<Channel, BusError> {
    connection.create_channel().await.map_err(BusError::broker("open a channel"))
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> Result<(), BusError> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await;
    declared.map_err(BusError::broker("declare an exchange"))
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), BusError> {
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    let bound = channel.queue_bind(queue.into(), exchange.into(), key.into(), options, arguments).await;
    bound.map_err(BusError::broker("bind a queue"))
}
