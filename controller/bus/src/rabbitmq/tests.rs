//! The bus at a real RabbitMQ, which is killed, cut off and lied to.

use std::time::{Duration, Instant};

use lapin::options::{BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use updraft_peers::{Cut, Proxy, RabbitMq, Subscriber};

use super::{BusError, RabbitMqConfig};
use crate::{Bus, BusStatus, Link, Notification, Priority, Topic};

/// Generous: the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// A bus that runs until it is dropped.
struct Running {
    bus: Bus,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    fn start(config: RabbitMqConfig) -> Self {
        let bus = Bus::rabbitmq(config);
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn({
            let bus = bus.clone();
            async move { bus.run(stopping).await }
        });
        Self { bus, stop, task: Some(task) }
    }

    async fn connected(config: RabbitMqConfig) -> Self {
        let running = Self::start(config);
        running.wait(|status| matches!(status.link, Link::Connected { .. })).await;
        running
    }

    async fn wait(&self, is_so: impl Fn(&BusStatus) -> bool) {
        let began = Instant::now();
        while !is_so(&self.bus.status()) {
            assert!(began.elapsed() < PATIENCE, "{:?}", self.bus.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(mut self) {
        self.stop.send_replace(true);
        self.task.take().unwrap().await.unwrap();
    }
}

/// A cloud of its own at the broker.
fn config(port: u16) -> RabbitMqConfig {
    let url = format!("amqp://guest@127.0.0.1:{port}/%2f").parse::<super::BrokerUrl>().unwrap();
    let name = format!("test-{}", uuid::Uuid::new_v4());
    RabbitMqConfig { exchange: name.clone(), topic: name, ..RabbitMqConfig::new(url.with_password("guest")) }
}

fn notification(number: usize, priority: Priority) -> Notification {
    let id = uuid::Uuid::new_v4().to_string();
    let time = "2026-01-02 03:04:05.000006";
    let payload = json!({"number": number});
    Notification::new(id, "image.update", priority, "image.here", time, payload, [])
}

async fn stranger(broker: &RabbitMq) -> (Connection, Channel) {
    let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nudge_wakes_the_listeners_of_every_controller_once() {
    let config = config(RabbitMq::shared().port());
    let (one, other) = tokio::join!(Running::connected(config.clone()), Running::connected(config.clone()));
    let (mut here, mut there) = (one.bus.listen(Topic::Tasks), other.bus.listen(Topic::Tasks));
    let mut elsewhere = other.bus.listen(Topic::HostPlan);
    one.bus.send(Topic::Tasks);
    assert!(here.wait(PATIENCE).await && there.wait(PATIENCE).await);
    other.wait(|status| status.counters.nudges_heard == 1).await;
    assert!(!elsewhere.wait(Duration::from_millis(200)).await, "topics do not disturb each other");
    let counters = one.bus.status().counters;
    assert_eq!((counters.nudges_sent, counters.nudges_heard), (1, 0), "nobody hears its own nudges");
    one.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_reach_outside_consumers_in_openstacks_envelope() {
    let broker = RabbitMq::shared();
    let config = config(broker.port());
    let running = Running::connected(config.clone()).await;
    let (info, error) = (notification(1, Priority::Info), notification(2, Priority::Error));
    let published = running.bus.publish(&[info.clone(), error.clone()]).await;
    assert!(published.problem.is_none(), "{:?}", published.problem);
    assert_eq!(published.confirmed, [info.message_id.clone(), error.message_id.clone()]);
    for (notification, key) in [(&info, "info"), (&error, "error")] {
        let queue = Subscriber::start(&broker.url(), &format!("{}.{key}", config.topic));
        assert!(queue.wait_for(1, PATIENCE).await, "{key}");
        let seen = &queue.seen()[&notification.message_id];
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        assert_eq!(body["oslo.version"], "2.0");
        assert_eq!(body["oslo.message"], notification.message.as_str());
        let properties = &seen.properties;
        assert_eq!(*properties.delivery_mode(), Some(2), "persistent");
        assert_eq!(properties.content_type().as_ref().unwrap().to_string(), "application/json");
        assert_eq!(properties.content_encoding().as_ref().unwrap().to_string(), "utf-8");
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_loses_nothing_that_it_confirmed_and_is_found_again() {
    let broker = RabbitMq::start();
    let config = config(broker.port());
    let (running, other) =
        tokio::join!(Running::connected(config.clone()), Running::connected(config.clone()));
    let batch: Vec<Notification> = (0..100).map(|number| notification(number, Priority::Info)).collect();
    assert_eq!(running.bus.publish(&batch).await.confirmed.len(), batch.len());
    broker.kill();
    running.wait(|status| matches!(&status.link, Link::Away { reason: Some(_), .. })).await;
    assert!(matches!(running.bus.publish(&batch).await.problem, Some(BusError::Away)));
    let mut listener = running.bus.listen(Topic::HostPlan);
    running.bus.send(Topic::HostPlan);
    assert!(listener.wait(PATIENCE).await, "who listens here hears without a broker");
    broker.restart();
    running.wait(|status| status.counters.connections == 2).await;
    other.wait(|status| status.counters.connections == 2).await;
    let mut listener = other.bus.listen(Topic::Tasks);
    running.bus.send(Topic::Tasks);
    assert!(listener.wait(PATIENCE).await, "nudges cross again");
    let queue = Subscriber::start(&broker.url(), &format!("{}.info", config.topic));
    assert!(queue.wait_for(batch.len(), PATIENCE).await, "{} of {} came", queue.seen().len(), batch.len());
    running.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_off_before_its_confirm_is_sent_again_and_known_by_its_id() {
    let broker = RabbitMq::shared();
    let proxy = Proxy::start(broker.port());
    let config = config(proxy.port());
    let running = Running::connected(config.clone()).await;
    let batch = [notification(1, Priority::Info)];
    let within = batch[0].message_id.as_bytes().to_vec();
    proxy.cut(Cut::After(within));
    let published = running.bus.publish(&batch).await;
    assert!(!proxy.is_armed() && published.confirmed.is_empty() && published.problem.is_some());
    running.wait(|status| status.counters.connections == 2).await;
    assert_eq!(running.bus.publish(&batch).await.confirmed.len(), 1);
    let queue = Subscriber::start(&broker.url(), &format!("{}.info", config.topic));
    assert!(queue.wait_for(1, PATIENCE).await);
    assert_eq!(queue.seen().len(), 1, "one notification, however often it came");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_counted_and_dropped() {
    let broker = RabbitMq::shared();
    let config = config(broker.port());
    let running = Running::connected(config.clone()).await;
    let (connection, channel) = stranger(broker).await;
    let poison: [&[u8]; 5] = [
        b"",
        b"\xff\xfe\x00",
        b"[[[[[[[[",
        br#"{"version":7,"from":"x","topic":"tasks"}"#,
        &vec![b' '; 5 << 20],
    ];
    let exchange = super::topology::nudge_exchange(&config);
    for body in poison {
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish(
            exchange.as_str().into(),
            "".into(),
            options,
            body,
            BasicProperties::default(),
        );
        sent.await.unwrap();
    }
    running.wait(|status| status.counters.dropped == poison.len() as u64).await;
    let mut listener = running.bus.listen(Topic::Tasks);
    let good = super::wake::write("somebody", Topic::Tasks);
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish(
        exchange.as_str().into(),
        "".into(),
        options,
        good.as_bytes(),
        BasicProperties::default(),
    );
    sent.await.unwrap();
    assert!(listener.wait(PATIENCE).await, "what follows poison is heard");
    assert_eq!(running.bus.status().counters.connections, 1);
    connection.close(200, "bye".into()).await.unwrap();
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_somebody_deletes_is_made_again() {
    let broker = RabbitMq::shared();
    let config = config(broker.port());
    let running = Running::connected(config.clone()).await;
    let (connection, channel) = stranger(broker).await;
    let name = format!("{}.info", config.topic);
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    let batch = [notification(1, Priority::Info)];
    let published = running.bus.publish(&batch).await;
    assert!(published.confirmed.is_empty(), "no queue took it");
    assert!(matches!(published.problem, Some(BusError::Unroutable)), "{:?}", published.problem);
    running.wait(|status| status.counters.connections == 2).await;
    assert_eq!(running.bus.publish(&batch).await.confirmed.len(), 1);
    connection.close(200, "bye".into()).await.unwrap();
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_another_type_is_used_as_it_is() {
    let broker = RabbitMq::shared();
    let config = config(broker.port());
    let (connection, channel) = stranger(broker).await;
    let name = format!("{}.info", config.topic);
    let classic = QueueDeclareOptions::durable();
    channel.queue_declare(name.as_str().into(), classic, FieldTable::default()).await.unwrap();
    let running = Running::connected(config).await;
    assert_eq!(running.bus.publish(&[notification(1, Priority::Info)]).await.confirmed.len(), 1);
    connection.close(200, "bye".into()).await.unwrap();
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_named_and_its_password_is_not() {
    let url = "amqp://cloud@127.0.0.1:1/%2f".parse::<super::BrokerUrl>().unwrap();
    let running = Running::start(RabbitMqConfig::new(url.with_password("correct horse")));
    running.wait(|status| matches!(&status.link, Link::Away { reason: Some(_), .. })).await;
    let shown = format!("{} {:?} {:?}", running.bus.status(), running.bus.status(), running.bus);
    assert!(shown.contains("away") && !shown.contains("correct horse"), "{shown}");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_a_reason_like_any_other() {
    let broker = RabbitMq::shared();
    let mut wrong = config(broker.port());
    wrong.url = wrong.url.with_password("wrong");
    let running = Running::start(wrong);
    running.wait(|status| matches!(&status.link, Link::Away { reason: Some(_), .. })).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_by_the_authority_that_was_named_and_no_other() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    let certificate = parameters.signed_by(&key, &issuer).unwrap();
    let broker = RabbitMq::start_with_tls(&certificate.pem(), &key.serialize_pem());
    let mut config = config(broker.tls_port());
    let url = format!("amqps://guest@localhost:{}/%2f", broker.tls_port());
    config.url = url.parse::<super::BrokerUrl>().unwrap().with_password("guest");
    let stranger = Running::start(config.clone());
    stranger.wait(|status| matches!(&status.link, Link::Away { reason: Some(_), .. })).await;
    stranger.end().await;
    config.authority = Some(authority.pem());
    let running = Running::connected(config).await;
    assert_eq!(running.bus.publish(&[notification(1, Priority::Info)]).await.confirmed.len(), 1);
    running.end().await;
}
