//! Consoles: the log, and one-time tickets to the screen and the serial port.
//!
//! A ticket is random, good for [`TICKET_LIFE`] until its first and only use, and stored as a hash. What it opens is a
//! WebSocket to the agent of the server's host, for that server alone.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use updraft_compute_api::path;
use updraft_model::compute::{Server, VmState};
use updraft_store::compute::{console, host, server};

use super::server::{find, find_own};
use crate::host::{client, shown_to};
use crate::{Caller, Core, Error, ErrorKind, Result, Secret};

/// From the making of a ticket to its use.
pub const TICKET_LIFE: Duration = Duration::from_secs(60);
/// How long a host may take to answer.
const HOST_TIMEOUT: Duration = Duration::from_secs(10);
/// The most of a console's log that is passed on, in bytes. More is cut off at the start.
const LARGEST_LOG: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleKind {
    Vnc,
    Serial,
}

impl ConsoleKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vnc => "vnc",
            Self::Serial => "serial",
        }
    }
}

/// Where a console is: a WebSocket of the agent, and what the agent asks for.
#[derive(Clone)]
pub struct ConsoleTarget {
    pub url: String,
    pub credential: String,
}

/// The credential stays out of logs.
impl std::fmt::Debug for ConsoleTarget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ConsoleTarget").field("url", &self.url).finish_non_exhaustive()
    }
}

fn not_ready(id: &str) -> Error {
    Error::conflict("InstanceNotReady", format!("Instance {id} is not ready"))
}

/// The last `lines` lines of the serial console (`None`: all there is), as text.
pub async fn log(core: &Core, caller: &Caller, id: &str, lines: Option<u32>) -> Result<String> {
    let mut conn = core.read().await?;
    let server = find_own(&mut conn, caller, id).await?;
    let (agent_url, credential) = agent_of(core, &mut conn, &server).await?;
    drop(conn);
    let mut url = format!("{agent_url}{}/{}/console-log", path::SERVERS, server.id);
    if let Some(lines) = lines {
        url += &format!("?length={lines}");
    }
    let bytes = fetch(&client(core, HOST_TIMEOUT)?, &url, &credential).await?;
    let start = bytes.len().saturating_sub(LARGEST_LOG);
    Ok(String::from_utf8_lossy(&bytes[start..]).into_owned())
}

async fn fetch(client: &reqwest::Client, url: &str, credential: &Secret) -> Result<Bytes> {
    let unreachable = |error: reqwest::Error| {
        Error::new(ErrorKind::Unavailable, "HostUnreachable", "The server's host does not answer.")
            .because(error)
    };
    let response = client.get(url).bearer_auth(credential.expose()).send().await.map_err(unreachable)?;
    match response.status().as_u16() {
        200 => response.bytes().await.map_err(unreachable),
        404 => Err(Error::not_found("ConsoleLogNotFound", "The server has no console log yet.")),
        status => {
            let source = format!("the agent answered {status}");
            Err(Error::new(ErrorKind::Unavailable, "HostRefused", "The server's host refused.")
                .because(source))
        }
    }
}

/// The agent of the server's host, while there is something to look at, and what to show to it.
async fn agent_of(core: &Core, conn: &mut updraft_store::Conn, server: &Server) -> Result<(String, Secret)> {
    if server.vm_state == VmState::Building || !server.planned {
        return Err(not_ready(&server.id));
    }
    let host_id = server.host_id.as_deref().ok_or_else(|| not_ready(&server.id))?;
    let host = host::get(conn, host_id).await?.ok_or_else(|| not_ready(&server.id))?;
    let credential = shown_to(core, conn, &host.id).await?;
    Ok((host.agent_url.trim_end_matches('/').to_owned(), credential))
}

/// A ticket to the server's console. The caller may show it; nobody else learns it.
pub async fn ticket(core: &Core, caller: &Caller, id: &str, kind: ConsoleKind) -> Result<String> {
    let mut conn = core.read().await?;
    let server = find(&mut conn, caller, id).await?;
    crate::policy::require_member(caller)?;
    if server.vm_state != VmState::Active {
        return Err(not_ready(&server.id));
    }
    agent_of(core, &mut conn, &server).await?;
    drop(conn);
    // Two random ids: 244 random bits.
    let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let (hash, now) = (digest(&token), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let expires_at = now.plus(TICKET_LIFE);
            Ok(console::insert(tx, &hash, &server.id, kind.as_str(), now, expires_at).await?)
        })
    })
    .await?;
    Ok(token)
}

/// Takes a ticket: it is good once. 401 when it is not good, without saying why.
pub async fn redeem(core: &Core, token: &str, kind: ConsoleKind) -> Result<ConsoleTarget> {
    let (hash, now) = (digest(token), core.clock.now());
    let server_id = core
        .write(move |tx| Box::pin(async move { Ok(console::take(tx, &hash, kind.as_str(), now).await?) }))
        .await?;
    let mut conn = core.read().await?;
    let server = match server_id {
        Some(id) => server::get(&mut conn, &id).await?.filter(|server| server.deleted_at.is_none()),
        None => None,
    };
    let server = server.ok_or_else(Error::unauthorized)?;
    let (agent_url, credential) = agent_of(core, &mut conn, &server).await?;
    let agent_url = agent_url.replacen("http", "ws", 1);
    let url = format!("{agent_url}{}/{}/{}", path::SERVERS, server.id, kind.as_str());
    Ok(ConsoleTarget { url, credential: credential.expose().to_owned() })
}

fn digest(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
