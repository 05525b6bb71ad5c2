//! A simulated host behind HTTP: pulls its plan, pushes what it observes, answers for consoles.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use updraft_compute_api::inventory::HostInventory;
use updraft_compute_api::path;
use updraft_compute_api::plan::HostPlan;

use crate::SimulatedHost;

/// How long one pull waits for a new plan, in seconds.
const WAIT_S: u64 = 10;
/// Before it tries again what failed.
const PAUSE: Duration = Duration::from_millis(200);
/// The largest request head that is looked at, in bytes.
const HEAD: usize = 4096;
/// What every guest has on its serial console.
pub const CONSOLE_LOG: &str = "simulated guest\nlogin: ";

/// A simulated host that several parties look at.
pub type Shared = Arc<Mutex<SimulatedHost>>;

/// Why the simulation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("the controller cannot be reached: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the controller answered {0}")]
    Status(StatusCode),
    #[error("consoles cannot be served: {0}")]
    Listen(#[from] std::io::Error),
}

fn locked(host: &Shared) -> std::sync::MutexGuard<'_, SimulatedHost> {
    host.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the host against the controller at `url` until it is dropped.
///
/// # Errors
/// Consoles cannot be served. A controller that is away is waited for.
pub async fn run(host: Shared, url: String, credential: String) -> Result<(), AgentError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    locked(&host).agent_url = format!("http://{}", listener.local_addr()?);
    let consoles = serve(listener, Arc::clone(&host), credential.clone());
    let plan = follow_plan(host, url, credential);
    tokio::select! {
        () = consoles => Ok(()),
        () = plan => Ok(()),
    }
}

async fn follow_plan(host: Shared, url: String, credential: String) {
    let client = Client::builder().no_proxy().build().unwrap_or_default();
    let mut known = None;
    loop {
        match turn(&client, &host, &url, &credential, known).await {
            Ok(generation) => known = generation,
            Err(error) => {
                tracing::debug!(%error, "simulated agent");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Pushes what is so, then waits for a plan that is not `known`, and applies it.
async fn turn(
    client: &Client,
    host: &Shared,
    url: &str,
    credential: &str,
    known: Option<u64>,
) -> Result<Option<u64>, AgentError> {
    let observed = locked(host).observed();
    let push =
        client.put(format!("{url}{}", path::OBSERVED)).bearer_auth(credential).json(&observed).send().await?;
    if push.status() != StatusCode::NO_CONTENT {
        return Err(AgentError::Status(push.status()));
    }
    let known_query = known.map(|known| format!("&known={known}")).unwrap_or_default();
    let pull = format!("{url}{}?wait_s={WAIT_S}{known_query}", path::PLAN);
    let answer = client.get(pull).bearer_auth(credential).send().await?;
    match answer.status() {
        StatusCode::OK => {
            let plan: HostPlan = answer.json().await?;
            locked(host).apply(&plan);
            Ok(Some(plan.generation))
        }
        StatusCode::NOT_MODIFIED => Ok(known),
        status => Err(AgentError::Status(status)),
    }
}

async fn serve(listener: TcpListener, host: Shared, credential: String) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, Arc::clone(&host), credential.clone()));
    }
}

/// A host that has nothing but what is planned.
fn inventory(host: &Shared) -> String {
    let host = locked(host);
    let inventory = HostInventory {
        host_id: host.id,
        plan_generation: Some(host.generation()),
        servers: Vec::new(),
        images: Vec::new(),
        port_sockets: Vec::new(),
        leaks: Vec::new(),
    };
    serde_json::to_string(&inventory).unwrap_or_default()
}

/// The console's log, the inventory, or an echo for a WebSocket. Any other credential than the host's is refused.
async fn answer(mut stream: TcpStream, host: Shared, credential: String) -> std::io::Result<()> {
    let mut head = [0; HEAD];
    let length = loop {
        let length = stream.peek(&mut head).await?;
        if length == 0 || length == HEAD || head[..length].windows(4).any(|window| window == b"\r\n\r\n") {
            break length;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let text = String::from_utf8_lossy(&head[..length]).to_string();
    let authorized = text.lines().any(|line| {
        line.split_once(": ").is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("authorization") && value == format!("Bearer {credential}")
        })
    });
    if authorized && text.to_ascii_lowercase().contains("upgrade: websocket") {
        return echo(stream).await;
    }
    stream.read_exact(&mut head[..length]).await?;
    let (status, body) = match authorized {
        true if text.contains("/console-log") => ("200 OK", CONSOLE_LOG.to_owned()),
        true if text.contains(path::INVENTORY) => ("200 OK", inventory(&host)),
        true => ("404 Not Found", String::new()),
        false => ("401 Unauthorized", String::new()),
    };
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await
}

async fn echo(stream: TcpStream) -> std::io::Result<()> {
    let socket = tokio_tungstenite::accept_async(stream).await.map_err(std::io::Error::other)?;
    let (mut to, mut from) = socket.split();
    while let Some(Ok(message)) = from.next().await {
        if message.is_binary() && to.send(message).await.is_err() {
            break;
        }
    }
    Ok(())
}
