//! Three controllers on one MariaDB and one RabbitMQ, killed and restarted at random under load, the broker once: nothing
//! that was acknowledged is lost, nothing is done or told of twice, and `doctor` has nothing to say.
//!
//! `UPDRAFT_CONTROLLER_KILLS` sets how many kills there are (`make soak`: more), `UPDRAFT_SEED` their course.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use updraft_peers::Subscriber;

use cluster::{CONTROLLERS, Cluster, DATA_BYTES, Kind, PATIENCE};

/// Clients that work at the same time.
const WORKERS: usize = 4;

/// xorshift64*: a course of events that a seed repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

/// What a notification is about.
fn subject(message: &Value) -> String {
    let payload = &message["payload"];
    let places = ["/resource_info", "/network/id", "/id"];
    let found = places.iter().find_map(|place| payload.pointer(place)?.as_str());
    found.unwrap_or_default().to_owned()
}

/// What should be so in the end.
#[derive(Debug, Default)]
struct Book {
    there: BTreeMap<(Kind, String), String>,
    gone: BTreeMap<(Kind, String), String>,
    /// Images with data.
    active: BTreeSet<String>,
}

/// One client: makes things and deletes some, until it is told to stop.
async fn work(cluster: Arc<Cluster>, worker: usize, seed: u64, stop: Arc<AtomicBool>) -> Book {
    let (mut dice, mut book) = (Dice(seed), Book::default());
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let kind = Kind::ALL[dice.below(4) as usize];
        let name = format!("w{worker}-{number}");
        let id = cluster.create(kind, &name).await;
        if kind == Kind::Image && dice.below(3) > 0 {
            cluster.fill(&id, dice.below(2) == 0).await;
            book.active.insert(id.clone());
        }
        if dice.below(3) == 0 {
            cluster.delete(kind, &id).await;
            book.active.remove(&id);
            book.gone.insert((kind, id), name);
        } else {
            book.there.insert((kind, id), name);
        }
    }
    book
}

/// Kills controllers and brings them back; the broker once, while it is away for the time of one import.
async fn kill(cluster: Arc<Cluster>, mut dice: Dice, kills: u64) {
    for number in 0..kills {
        tokio::time::sleep(Duration::from_millis(200 + dice.below(800))).await;
        if number == kills / 2 {
            cluster.broker.kill();
            let id = cluster.create(Kind::Image, "no-broker").await;
            cluster.fill(&id, true).await;
            cluster.delete(Kind::Image, &id).await;
            let broker = Arc::clone(&cluster);
            tokio::task::spawn_blocking(move || broker.broker.restart()).await.unwrap();
        }
        let victim = dice.below(CONTROLLERS as u64) as usize;
        let pause = Duration::from_millis(dice.below(600));
        let cluster = Arc::clone(&cluster);
        let revived = tokio::task::spawn_blocking(move || {
            cluster.controllers[victim].kill();
            std::thread::sleep(pause);
            cluster.controllers[victim].start();
        });
        revived.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_loses_or_doubles_what_was_acknowledged() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = setting("UPDRAFT_CONTROLLER_KILLS").unwrap_or(12);
    let seed = setting("UPDRAFT_SEED").unwrap_or(0x5eed).max(1);
    println!("{kills} kills, UPDRAFT_SEED={seed}");
    let cluster = Arc::new(Cluster::prepare());
    for controller in &cluster.controllers {
        controller.start();
    }
    cluster.log_in().await;
    let queue = Subscriber::start(&cluster.broker.url(), "notifications.info");
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let seed = seed.wrapping_mul(31).wrapping_add(worker as u64 + 1);
            tokio::spawn(work(Arc::clone(&cluster), worker, seed, Arc::clone(&stop)))
        })
        .collect();
    let began = Instant::now();
    kill(Arc::clone(&cluster), Dice(seed), kills).await;
    stop.store(true, Ordering::Relaxed);
    let mut book = Book::default();
    for worker in workers {
        let Book { there, gone, active } = worker.await.unwrap();
        book.there.extend(there);
        book.gone.extend(gone);
        book.active.extend(active);
    }
    println!(
        "{} effects acknowledged, {} answers lost, in {:.1} s",
        cluster.acknowledged.load(Ordering::Relaxed),
        cluster.unknown.load(Ordering::Relaxed),
        began.elapsed().as_secs_f64()
    );
    check_resources(&cluster, &book).await;
    check_files(&cluster, &book).await;
    check_notifications(&cluster, &queue, &book).await;
    let (status, findings) = cluster.get("/host/v1/doctor").await;
    assert_eq!((status, findings), (StatusCode::OK, json!([])));
}

/// Each thing that was made is there once, and no other; each that was deleted is not.
async fn check_resources(cluster: &Cluster, book: &Book) {
    for kind in Kind::ALL {
        let (_, body) = cluster.get(&format!("{}?limit=1000", kind.path())).await;
        let items = body[kind.collection()].as_array().unwrap();
        let is_ours = |name: &str| name.starts_with('w') && name.contains('-');
        let mut found = BTreeMap::new();
        for item in items.iter().filter(|item| item["name"].as_str().is_some_and(is_ours)) {
            let text = |key: &str| item[key].as_str().unwrap().to_owned();
            assert_eq!(
                found.insert(text("name"), text("id")),
                None,
                "{kind:?} {} is there twice",
                item["name"]
            );
        }
        let expected = book.there.iter().filter(|((known, _), _)| *known == kind);
        let expected: BTreeMap<_, _> = expected.map(|((_, id), name)| (name.clone(), id.clone())).collect();
        assert_eq!(found, expected, "{kind:?}");
        println!("{kind:?}: {} there", found.len());
    }
    for id in &book.active {
        let (_, image) = cluster.get(&format!("{}/{id}", Kind::Image.path())).await;
        assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(DATA_BYTES)), "{id}");
    }
}

/// One file for each image with data, and no other.
async fn check_files(cluster: &Cluster, book: &Book) {
    let owners = || {
        let entries = fs::read_dir(cluster.directory.path().join("images")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut owners: Vec<String> = names.map(|name| name[..36].to_owned()).collect();
        owners.sort();
        owners
    };
    let expected: Vec<String> = book.active.iter().cloned().collect();
    let began = Instant::now();
    while owners() != expected && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(owners(), expected);
}

/// Each making and each end was told of, by one message however often it came; what is not so was not told of.
async fn check_notifications(cluster: &Cluster, queue: &Subscriber, book: &Book) {
    let began = Instant::now();
    loop {
        let (_, status) = cluster.get("/host/v1/status").await;
        if status["outbox"]["waiting"] == 0 {
            assert_eq!(status["outbox"]["dropped"], 0);
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the outbox is not emptied: {status}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let known = || {
        let mut told: BTreeMap<(String, String), usize> = BTreeMap::new();
        for seen in queue.seen().values() {
            let envelope: Value = serde_json::from_str(&seen.body).unwrap();
            let message: Value = serde_json::from_str(envelope["oslo.message"].as_str().unwrap()).unwrap();
            let event = message["event_type"].as_str().unwrap().to_owned();
            *told.entry((event, subject(&message))).or_default() += 1;
        }
        told
    };
    let mut expected = BTreeSet::new();
    for ((kind, id), _) in book.there.iter().chain(&book.gone) {
        expected.insert((kind.events().0.to_owned(), id.clone()));
    }
    for (kind, id) in book.gone.keys() {
        expected.insert((kind.events().1.to_owned(), id.clone()));
    }
    for id in &book.active {
        expected.insert(("image.activate".to_owned(), id.clone()));
    }
    let mut told = known();
    while !expected.iter().all(|pair| told.contains_key(pair)) && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(200)).await;
        told = known();
    }
    let missing: Vec<_> = expected.iter().filter(|pair| !told.contains_key(*pair)).collect();
    assert!(missing.is_empty(), "not told of: {missing:?}");
    let is_once =
        |event: &str| Kind::ALL.iter().any(|kind| event == kind.events().0 || event == kind.events().1);
    let twice: Vec<_> = told.iter().filter(|((event, _), times)| **times > 1 && is_once(event)).collect();
    assert!(twice.is_empty(), "told of by two messages: {twice:?}");
    let deleted: BTreeSet<&String> = book.gone.keys().map(|(_, id)| id).collect();
    let wrong = told.keys().filter(|(event, id)| {
        let is_end = Kind::ALL.iter().any(|kind| event == kind.events().1);
        is_end && !deleted.contains(id) && book.there.keys().any(|(_, known)| known == id)
    });
    assert_eq!(wrong.count(), 0, "told of an end that was none");
    println!("{} notifications, {} kinds of facts", queue.seen().len(), told.len());
}
