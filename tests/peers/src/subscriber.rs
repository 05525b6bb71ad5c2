use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};

/// A message as an outside consumer got it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub body: String,
    pub properties: BasicProperties,
    /// How often it came: more than once when a sender or the broker was not sure.
    pub times: usize,
}

/// An outside consumer of a queue: acknowledges everything, comes back whenever the broker does, and knows messages again
/// by their `message_id`.
#[derive(Debug)]
pub struct Subscriber {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const RETRY: Duration = Duration::from_millis(200);

impl Subscriber {
    /// Listens until it is dropped. The queue may come later.
    pub fn start(url: &str, queue: &str) -> Self {
        let (seen, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (url, queue, seen, stop) =
                (url.to_owned(), queue.to_owned(), Arc::clone(&seen), Arc::clone(&stop));
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    while !stop.load(Ordering::Relaxed) {
                        let _lost = listen(&url, &queue, &seen, &stop).await;
                        tokio::time::sleep(RETRY).await;
                    }
                });
            }
        });
        Self { seen, stop, thread: Some(thread) }
    }

    /// What came so far, by `message_id`.
    pub fn seen(&self) -> BTreeMap<String, Seen> {
        self.lock().clone()
    }

    /// Waits until so many different messages came; false when they did not in time.
    pub async fn wait_for(&self, count: usize, patience: Duration) -> bool {
        let began = Instant::now();
        while self.lock().len() < count {
            if began.elapsed() > patience {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

async fn listen(
    url: &str,
    queue: &str,
    seen: &Mutex<BTreeMap<String, Seen>>,
    stop: &AtomicBool,
) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(queue.into(), "subscriber".into(), options, FieldTable::default());
    let mut consumer = consumer.await?;
    while !stop.load(Ordering::Relaxed) {
        let delivery = match tokio::time::timeout(RETRY, consumer.next()).await {
            Err(_) => continue,
            Ok(None) => return Ok(()),
            Ok(Some(delivery)) => delivery?,
        };
        let id = delivery.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
        let body = String::from_utf8_lossy(&delivery.data).into_owned();
        let fresh = Seen { body, properties: delivery.properties.clone(), times: 0 };
        seen.lock().unwrap().entry(id).or_insert(fresh).times += 1;
        delivery.ack(BasicAckOptions::default()).await?;
    }
    connection.close(200, "bye".into()).await
}
