//! What is told is what was committed: with a real broker that dies, senders that die, and none at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use updraft_bus::{BrokerUrl, Bus, Link, RabbitMqConfig, Topic};
use updraft_peers::{RabbitMq, Subscriber};
use updraft_store::outbox as table;

use super::outbox;
use crate::audit::{Operation, RequestFacts};
use crate::tests::TestCore;
use crate::{Caller, Core, Error, image, network};

/// Generous: the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

fn config(port: u16) -> RabbitMqConfig {
    let url = format!("amqp://guest@127.0.0.1:{port}/%2f").parse::<BrokerUrl>().unwrap();
    let name = format!("test-{}", uuid::Uuid::new_v4());
    RabbitMqConfig { exchange: name.clone(), topic: name, ..RabbitMqConfig::new(url.with_password("guest")) }
}

/// A bus at a broker that is not there.
fn away() -> Bus {
    Bus::rabbitmq(config(1))
}

fn caller() -> Caller {
    Caller {
        user_id: "u".into(),
        project_id: Some("p".into()),
        roles: ["admin", "member", "reader"].map(String::from).into_iter().collect(),
        ..Caller::default()
    }
}

/// The bus and the sender of one controller.
struct Running {
    core: Core,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(core: Core) -> Self {
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn({
            let core = core.clone();
            async move {
                let bus = core.nudge.clone();
                tokio::join!(bus.run(stopping.clone()), outbox::run(core, stopping));
            }
        });
        Self { core, stop, task }
    }

    async fn connected(core: Core) -> Self {
        let running = Self::start(core).await;
        let is_connected = || matches!(running.core.nudge.status().link, Link::Connected { .. });
        until(async || is_connected()).await;
        running
    }

    /// `kill -9`: nothing is given back.
    async fn kill(self) {
        self.task.abort();
        let _aborted = self.task.await;
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

async fn until(is_so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "it does not come true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn make_image(core: &Core, name: &str) -> String {
    let fields = BTreeMap::from([("name".to_owned(), json!(name))]);
    image::create(core, &caller(), fields).await.unwrap().id
}

async fn waiting(core: &Core) -> Vec<Value> {
    let entries = table::oldest(&mut core.read().await.unwrap(), 1000).await.unwrap();
    entries.iter().map(|entry| serde_json::from_str(&entry.message).unwrap()).collect()
}

fn inner(body: &str) -> Value {
    let envelope: Value = serde_json::from_str(body).unwrap();
    serde_json::from_str(envelope["oslo.message"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn nothing_is_written_down_for_nobody() {
    let cloud = TestCore::start().await;
    let core = cloud.core().await;
    make_image(&core, "a").await;
    assert_eq!(waiting(&core).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_was_rolled_back_is_not_told() {
    let cloud = TestCore::start().await;
    let core = cloud.core_on(away()).await;
    let failed = core.write::<(), _>(|tx| {
        Box::pin(async move {
            tx.notice(|| super::info("image.create", json!({})));
            Err(Error::forbidden("no"))
        })
    });
    assert!(failed.await.is_err());
    assert_eq!(waiting(&core).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_broker_that_stays_away_costs_the_oldest_and_they_are_counted() {
    let cloud = TestCore::start().await;
    let mut core = cloud.core_on(away()).await;
    std::sync::Arc::get_mut(&mut core.parts).unwrap().config.max_waiting_notifications = 3;
    for name in ["a", "b", "c", "d", "e"] {
        make_image(&core, name).await;
    }
    outbox::trim(core.clone()).await.unwrap();
    let names: Vec<Value> =
        waiting(&core).await.iter().map(|message| message["payload"]["name"].clone()).collect();
    assert_eq!(names, ["c", "d", "e"]);
    let status = outbox::status(&core).await.unwrap();
    assert_eq!((status.waiting, status.dropped), (3, 2));
}

#[tokio::test]
async fn a_long_payload_is_left_out_but_for_what_is_short() {
    let cloud = TestCore::start().await;
    let core = cloud.core_on(away()).await;
    let long = "x".repeat(super::MAX_MESSAGE_BYTES);
    let told = core.write(move |tx| {
        Box::pin(async move {
            tx.notice(|| super::info("image.update", json!({"id": "i", "properties": {"a": long}})));
            Ok(())
        })
    });
    told.await.unwrap();
    assert_eq!(waiting(&core).await[0]["payload"], json!({"id": "i", "truncated": true}));
}

#[tokio::test]
async fn requests_are_told_of_with_who_asked() {
    let cloud = TestCore::start().await;
    let core = cloud.core_on(away()).await;
    let request = |method: &str, template: &str, path: String| {
        let (method, template) = (method.to_owned(), template.to_owned());
        let request_id = "req-1".to_owned();
        Operation::new(RequestFacts { method, template, path, request_id, ..RequestFacts::default() })
    };
    let collection = "/network/v2.0/networks";
    let fields = vec![serde_json::from_value(json!({"name": "n"})).unwrap()];
    let creating = request("POST", collection, collection.into());
    let made = creating.scope(network::network::create(&core, &caller(), fields)).await.unwrap();
    let id = &made[0].id;
    let deleting = request("DELETE", "/network/v2.0/networks/{id}", format!("{collection}/{id}"));
    deleting.scope(network::network::delete(&core, &caller(), id)).await.unwrap();
    let told = waiting(&core).await;
    let types: Vec<&str> = told.iter().filter_map(|message| message["event_type"].as_str()).collect();
    assert_eq!(types, ["network.create.end", "network.delete.end"]);
    assert_eq!(told[0]["payload"]["network"]["name"], "n");
    assert_eq!(told[1]["payload"]["network_id"], id.as_str());
    assert_eq!(told[1]["payload"]["network"]["name"], "n", "as it was");
    for message in &told {
        assert_eq!(message["_context_request_id"], "req-1");
        assert!(message["publisher_id"].as_str().unwrap().starts_with("network."), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nudge_of_one_controller_wakes_another() {
    let cloud = TestCore::start().await;
    let config = config(RabbitMq::shared().port());
    let one = Running::connected(cloud.core_on(Bus::rabbitmq(config.clone())).await).await;
    let other = Running::connected(cloud.core_on(Bus::rabbitmq(config)).await).await;
    let mut listener = other.core.nudge.listen(Topic::HostPlan);
    one.core.nudge.send(Topic::HostPlan);
    assert!(listener.wait(PATIENCE).await);
    one.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_dies_before_it_forgets_is_followed_by_one_that_sends_the_same_again() {
    let cloud = TestCore::start().await;
    let broker = RabbitMq::shared();
    let config = config(broker.port());
    let queue = Subscriber::start(&broker.url(), &format!("{}.info", config.topic));
    let first = Running::connected(cloud.core_on(Bus::rabbitmq(config.clone())).await).await;
    make_image(&first.core, "a").await;
    assert!(queue.wait_for(1, PATIENCE).await);
    let sent = queue.seen().into_values().next().unwrap();
    first.kill().await;
    // As it was before the sender forgot it.
    let heir = cloud.core_on(Bus::rabbitmq(config)).await;
    let message = inner(&sent.body);
    let entry = table::Entry {
        message_id: message["message_id"].as_str().unwrap().to_owned(),
        created_at: heir.clock.now(),
        priority: "INFO".into(),
        message: message.to_string(),
    };
    let id = entry.message_id.clone();
    let restored = heir.write(move |tx| {
        Box::pin(async move {
            table::forget(tx, std::slice::from_ref(&entry.message_id)).await?;
            Ok(table::insert(tx, &entry).await?)
        })
    });
    restored.await.unwrap();
    // The lease of the dead sender is over.
    heir.clock.advance(Duration::from_secs(60));
    let heir = Running::connected(heir).await;
    until(async || queue.seen()[&id].times == 2).await;
    assert_eq!(queue.seen().len(), 1);
    until(async || waiting(&heir.core).await.is_empty()).await;
    heir.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told_of_once_whatever_becomes_of_the_broker() {
    const CHANGES: usize = 150;
    let cloud = TestCore::start().await;
    let broker = RabbitMq::start();
    let config = config(broker.port());
    let queue = Subscriber::start(&broker.url(), &format!("{}.info", config.topic));
    let one = Running::connected(cloud.core_on(Bus::rabbitmq(config.clone())).await).await;
    let other = Running::connected(cloud.core_on(Bus::rabbitmq(config)).await).await;
    let mut made = BTreeSet::new();
    for number in 0..CHANGES {
        let core = if number % 2 == 0 { &one.core } else { &other.core };
        made.insert(make_image(core, &number.to_string()).await);
        match number {
            50 => broker.kill(),
            100 => broker.restart(),
            _ => {}
        }
    }
    assert!(queue.wait_for(CHANGES, PATIENCE).await, "{} of {CHANGES}", queue.seen().len());
    until(async || waiting(&one.core).await.is_empty()).await;
    let seen = queue.seen();
    let told: Vec<String> =
        seen.values().map(|seen| inner(&seen.body)["payload"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told.len(), CHANGES, "each is told of by one message_id");
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), made);
    assert_eq!(outbox::status(&one.core).await.unwrap().dropped, 0);
    one.end().await;
    other.end().await;
}

/// How quickly a backlog goes: printed, since it is the machine's speed as much as ours.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement; `make soak` prints it"]
async fn how_quickly_a_backlog_drains() {
    const BACKLOG: usize = 20_000;
    let cloud = TestCore::start().await;
    let config = config(RabbitMq::shared().port());
    let core = cloud.core_on(Bus::rabbitmq(config)).await;
    let text = "x".repeat(1000);
    for _ in 0..BACKLOG / 1000 {
        let text = text.clone();
        let told = core.write(move |tx| {
            Box::pin(async move {
                for _ in 0..1000 {
                    tx.notice(|| super::info("image.update", json!({"text": text})));
                }
                Ok(())
            })
        });
        told.await.unwrap();
    }
    let running = Running::connected(core).await;
    let began = Instant::now();
    until(async || waiting(&running.core).await.is_empty()).await;
    let rate = BACKLOG as f64 / began.elapsed().as_secs_f64();
    println!("{BACKLOG} notifications of 1 KiB drained at {rate:.0} a second");
    running.end().await;
}
