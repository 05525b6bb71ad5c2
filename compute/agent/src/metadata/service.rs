//! The metadata service. netd takes a guest's connection to 169.254.169.254, connects here, says from which port it
//! came (`updraft-port <uuid>` and a newline), and then passes bytes. That line is the only identity: addresses and
//! headers are the guest's own words (CVE-2013-6419) and are not looked at.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Sleep;
use updraft_base::{PortId, ServerId};
use updraft_compute_api::metadata::ServerMetadata;
use updraft_compute_api::plan::HostPlan;

use crate::metadata::documents::{Documents, Found};

/// What netd says first.
const PREAMBLE: &str = "updraft-port ";
/// The preamble with its newline, in bytes.
const PREAMBLE_BYTES: usize = PREAMBLE.len() + 36 + 1;
/// How long netd may take for the preamble.
const PREAMBLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one connection may last; a guest that is not done by then connects again.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections of one port at a time; further ones are closed, so that no guest keeps others from being served.
const MAX_CONNECTIONS_PER_PORT: usize = 16;
/// Connections that wait to be served.
const BACKLOG: usize = 64;
/// Bytes of `random_seed`, as Nova gives.
const RANDOM_SEED_BYTES: usize = 512;

/// The plan as it is now; `None` before there has been any.
pub type PlanWatch = watch::Receiver<Option<Arc<HostPlan>>>;

/// Binds the socket and serves until the end.
///
/// # Errors
/// The socket cannot be bound.
pub async fn serve(socket: &Path, plan: PlanWatch) -> io::Result<()> {
    crate::layout::remove(socket)?;
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    let (sender, receiver) = mpsc::channel(BACKLOG);
    tokio::spawn(accept(listener, sender));
    let app = Router::new().fallback(answer).with_state(plan);
    let guests = Guests { identified: receiver };
    axum::serve(guests, app.into_make_service_with_connect_info::<GuestPort>()).await
}

async fn answer(
    State(plan): State<PlanWatch>,
    ConnectInfo(GuestPort(port)): ConnectInfo<GuestPort>,
    method: Method,
    uri: Uri,
) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let plan = plan.borrow().clone();
    let found = plan
        .as_deref()
        .and_then(|plan| server_of(plan, port))
        .and_then(|(id, metadata)| Documents::render(id, metadata, &random_seed()).find(uri.path()));
    let (content_type, body) = match found {
        None => return (StatusCode::NOT_FOUND, "404 Not Found\n").into_response(),
        Some(Found::Json(body)) => ("application/json", body),
        Some(Found::Text(body)) => ("text/plain; charset=utf-8", body),
        Some(Found::Bytes(body)) => ("application/octet-stream", body),
        Some(Found::Listing(names)) => ("text/plain; charset=utf-8", names.into_bytes()),
    };
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// Fresh entropy for a guest; empty when the kernel has none to give.
pub fn random_seed() -> Vec<u8> {
    let mut seed = vec![0; RANDOM_SEED_BYTES];
    let filled = getrandom(&mut seed, GetRandomFlags::empty()).unwrap_or(0);
    seed.truncate(filled);
    seed
}

fn server_of(plan: &HostPlan, port: PortId) -> Option<(ServerId, &ServerMetadata)> {
    let server = plan.servers.iter().find(|server| server.port_ids.contains(&port))?;
    Some((server.id, &server.metadata))
}

/// The port from which a connection came.
#[derive(Clone, Copy, Debug)]
struct GuestPort(PortId);

impl Connected<IncomingStream<'_, Guests>> for GuestPort {
    fn connect_info(stream: IncomingStream<'_, Guests>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Takes connections and finds out whose they are, each in its own time.
async fn accept(listener: UnixListener, identified: mpsc::Sender<(GuestStream, PortId)>) {
    let slots: Arc<Mutex<HashMap<PortId, Arc<Semaphore>>>> = Arc::default();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to be closed.
                tracing::warn!(%error, "metadata connection not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (slots, identified) = (Arc::clone(&slots), identified.clone());
        tokio::spawn(async move {
            let Some((stream, port)) = identify(stream).await else { return };
            let Some(permit) = take_slot(&slots, port) else { return };
            let deadline = Box::pin(tokio::time::sleep(CONNECTION_TIMEOUT));
            let _ = identified.send((GuestStream { stream, deadline, _permit: permit }, port)).await;
        });
    }
}

async fn identify(mut stream: UnixStream) -> Option<(UnixStream, PortId)> {
    let mut line = [0; PREAMBLE_BYTES];
    let read = tokio::time::timeout(PREAMBLE_TIMEOUT, stream.read_exact(&mut line)).await;
    read.ok()?.ok()?;
    let line = std::str::from_utf8(&line).ok()?;
    let port = line.strip_suffix('\n')?.strip_prefix(PREAMBLE)?.parse().ok()?;
    Some((stream, port))
}

fn take_slot(slots: &Mutex<HashMap<PortId, Arc<Semaphore>>>, port: PortId) -> Option<OwnedSemaphorePermit> {
    let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
    slots.retain(|_, slot| slot.available_permits() < MAX_CONNECTIONS_PER_PORT);
    let slot = slots.entry(port).or_insert_with(|| Arc::new(Semaphore::new(MAX_CONNECTIONS_PER_PORT)));
    Arc::clone(slot).try_acquire_owned().ok()
}

/// The connections whose port is known.
struct Guests {
    identified: mpsc::Receiver<(GuestStream, PortId)>,
}

impl Listener for Guests {
    type Io = GuestStream;
    type Addr = PortId;

    async fn accept(&mut self) -> (GuestStream, PortId) {
        match self.identified.recv().await {
            Some(connection) => connection,
            // The accepting task never ends; should it, nobody comes any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<PortId> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A guest's connection: ends by itself after [`CONNECTION_TIMEOUT`].
struct GuestStream {
    stream: UnixStream,
    deadline: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for GuestStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
