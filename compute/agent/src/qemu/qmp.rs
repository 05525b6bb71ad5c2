//! A client of QMP, QEMU's monitor protocol (docs/interop/qmp-spec): JSON documents, one a line; a greeting, then
//! commands answered by id, and events in between.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, oneshot};

/// How long QEMU may take for one answer. Its main loop stands still while it waits for a backend.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest line from QEMU, in bytes; a longer one ends the connection. A guest may own its QEMU.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// Events kept for a reader that lags behind; older ones are lost to it.
const EVENT_BACKLOG: usize = 64;

/// What went wrong with a command.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    #[error("QMP socket: {0}")]
    Io(#[from] std::io::Error),
    #[error("QEMU closed the QMP connection")]
    Closed,
    #[error("QEMU did not answer '{command}' within {} s", ANSWER_TIMEOUT.as_secs())]
    Timeout { command: String },
    #[error("QEMU refused '{command}': {class}: {description}")]
    Refused { command: String, class: String, description: String },
    #[error("QEMU sent what is not QMP: {0}")]
    Malformed(String),
}

/// Something that happened in QEMU, by its name (`SHUTDOWN`, `RESET`, …).
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

/// One connection. Clones of the inner state live as long as commands wait.
#[derive(Debug)]
pub struct Qmp {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    inner: Arc<Inner>,
    events: broadcast::Sender<Event>,
    next_id: AtomicU64,
    reader: tokio::task::JoinHandle<()>,
    /// QEMU's version, from the greeting.
    pub version: Version,
}

/// QEMU's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub micro: u32,
}

#[derive(Debug, Default)]
struct Inner {
    /// `None` once the connection is closed.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
}

type Answer = Result<Value, (String, String)>;

#[derive(Deserialize)]
struct Greeting {
    #[serde(rename = "QMP")]
    qmp: GreetingBody,
}
#[derive(Deserialize)]
struct GreetingBody {
    version: GreetingVersion,
}
#[derive(Deserialize)]
struct GreetingVersion {
    qemu: Version,
}
#[derive(Deserialize)]
struct Refusal {
    class: String,
    desc: String,
}
/// Any document after the greeting.
#[derive(Deserialize)]
struct Document {
    id: Option<u64>,
    #[serde(rename = "return")]
    result: Option<Value>,
    error: Option<Refusal>,
    event: Option<String>,
    #[serde(default)]
    data: Value,
}

impl Qmp {
    /// Connects, reads the greeting and negotiates (no) capabilities.
    ///
    /// # Errors
    /// Nobody listens, or who does speaks no QMP, or does not answer in time (QEMU serves one connection at a time).
    pub async fn connect(socket: &Path) -> Result<Self, QmpError> {
        tokio::time::timeout(ANSWER_TIMEOUT, Self::negotiate(socket))
            .await
            .unwrap_or_else(|_| Err(QmpError::Timeout { command: "greeting".into() }))
    }

    async fn negotiate(socket: &Path) -> Result<Self, QmpError> {
        let (read, write) = UnixStream::connect(socket).await?.into_split();
        let mut lines = BufReader::new(read);
        let greeting = read_line(&mut lines).await?.ok_or(QmpError::Closed)?;
        let greeting: Greeting = serde_json::from_slice(&greeting).map_err(malformed)?;
        let inner = Arc::new(Inner { waiting: Mutex::new(Some(HashMap::new())) });
        let events = broadcast::Sender::new(EVENT_BACKLOG);
        let reader = tokio::spawn(read_documents(lines, Arc::clone(&inner), events.clone()));
        let qmp = Self {
            writer: tokio::sync::Mutex::new(write),
            inner,
            events,
            next_id: AtomicU64::new(1),
            reader,
            version: greeting.qmp.version.qemu,
        };
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Runs a command and waits for its answer.
    ///
    /// # Errors
    /// The connection is closed, the answer does not come in time, or QEMU refuses.
    pub async fn execute(&self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.inner.lock().as_mut().ok_or(QmpError::Closed)?.insert(id, sender);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, async {
            let mut line = serde_json::to_vec(&json!({"execute": command, "arguments": arguments, "id": id}))
                .map_err(malformed)?;
            line.push(b'\n');
            self.writer.lock().await.write_all(&line).await?;
            receiver.await.map_err(|_| QmpError::Closed)
        })
        .await;
        match answer {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err((class, description)))) => {
                Err(QmpError::Refused { command: command.into(), class, description })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                if let Some(waiting) = self.inner.lock().as_mut() {
                    waiting.remove(&id);
                }
                Err(QmpError::Timeout { command: command.into() })
            }
        }
    }

    /// The events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// True until QEMU closes the connection.
    pub fn is_open(&self) -> bool {
        self.inner.lock().is_some()
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        // The reader holds the other half of the socket; without this QEMU would serve nobody else.
        self.reader.abort();
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Answer>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands each answer to who waits for it, until the connection ends.
async fn read_documents(
    mut lines: BufReader<OwnedReadHalf>,
    inner: Arc<Inner>,
    events: broadcast::Sender<Event>,
) {
    while let Ok(Some(line)) = read_line(&mut lines).await {
        let Ok(document) = serde_json::from_slice::<Document>(&line) else { break };
        if let Some(name) = document.event {
            // Nobody listening is fine.
            let _ = events.send(Event { name, data: document.data });
        } else if let Some(id) = document.id {
            let answer = match document.error {
                Some(refusal) => Err((refusal.class, refusal.desc)),
                None => Ok(document.result.unwrap_or(Value::Null)),
            };
            let sender = inner.lock().as_mut().and_then(|waiting| waiting.remove(&id));
            if let Some(sender) = sender {
                let _ = sender.send(answer);
            }
        }
    }
    // Dropping the senders tells everyone who waits.
    inner.lock().take();
}

async fn read_line(lines: &mut BufReader<OwnedReadHalf>) -> Result<Option<Vec<u8>>, QmpError> {
    let mut line = Vec::new();
    lines.take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(QmpError::Malformed(format!("a line of {} bytes without an end", line.len()))),
    }
}

fn malformed(error: serde_json::Error) -> QmpError {
    QmpError::Malformed(error.to_string())
}
