//! A guest's display and serial port as WebSockets: bytes between the socket and QEMU's unix socket, nothing more.
//! Only the controller comes here; who may see which console is its business.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use updraft_base::ServerId;

use crate::agent::Host;
use crate::http::{known_server, not_found};

/// Bytes from QEMU that go into one message.
const MESSAGE_BYTES: usize = 16 * 1024;
/// The longest message from a viewer, in bytes: keys, pointer, pasted text.
const MAX_VIEWER_MESSAGE_BYTES: usize = 1 << 20;
/// The protocol that noVNC asks for.
const SUBPROTOCOL: &str = "binary";

/// The serial consoles in use. QEMU's serial socket serves one at a time: a newcomer takes over.
#[derive(Clone, Debug, Default)]
pub(super) struct Consoles {
    serial: Arc<Mutex<HashMap<ServerId, oneshot::Sender<()>>>>,
}

impl Consoles {
    /// Ends the viewer before, and tells when the next one comes.
    fn take_over(&self, id: ServerId) -> oneshot::Receiver<()> {
        let (sender, superseded) = oneshot::channel();
        let mut serial = self.serial.lock().unwrap_or_else(PoisonError::into_inner);
        serial.retain(|_, viewer| !viewer.is_closed());
        // Dropping the sender before tells that viewer.
        serial.insert(id, sender);
        superseded
    }
}

/// `GET …/vnc`: RFB, any number of viewers.
pub(super) async fn vnc(
    State(host): State<Arc<Host>>,
    UrlPath(server_id): UrlPath<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(id) = known_server(&host, &server_id) else { return not_found() };
    open(upgrade, &host.layout.vnc_socket(id), None).await
}

/// `GET …/serial`: the serial port, one viewer.
pub(super) async fn serial(
    State(host): State<Arc<Host>>,
    Extension(consoles): Extension<Consoles>,
    UrlPath(server_id): UrlPath<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(id) = known_server(&host, &server_id) else { return not_found() };
    let superseded = consoles.take_over(id);
    open(upgrade, &host.layout.serial_socket(id), Some(superseded)).await
}

async fn open(
    upgrade: WebSocketUpgrade,
    socket: &Path,
    superseded: Option<oneshot::Receiver<()>>,
) -> Response {
    let console = match UnixStream::connect(socket).await {
        Ok(console) => console,
        Err(_) => return (StatusCode::CONFLICT, "the server is not running\n").into_response(),
    };
    let socket = PathBuf::from(socket);
    upgrade.protocols([SUBPROTOCOL]).max_message_size(MAX_VIEWER_MESSAGE_BYTES).on_upgrade(
        async move |viewer| {
            tokio::select! {
                () = bridge(viewer, console) => {}
                () = when_superseded(superseded) => {
                    tracing::info!(socket = %socket.display(), "console taken over by another viewer");
                }
            }
        },
    )
}

async fn when_superseded(superseded: Option<oneshot::Receiver<()>>) {
    match superseded {
        Some(superseded) => drop(superseded.await),
        None => std::future::pending().await,
    }
}

/// Passes bytes both ways until either end closes.
async fn bridge(viewer: WebSocket, console: UnixStream) {
    let (mut to_viewer, mut from_viewer) = viewer.split();
    let (mut from_console, mut to_console) = console.into_split();
    let out = async {
        let mut buffer = vec![0; MESSAGE_BYTES];
        while let Ok(count @ 1..) = from_console.read(&mut buffer).await {
            let message = Message::Binary(buffer[..count].to_vec().into());
            if to_viewer.send(message).await.is_err() {
                return;
            }
        }
        let _ = to_viewer.close().await;
    };
    let back = async {
        while let Some(Ok(message)) = from_viewer.next().await {
            let written = match message {
                Message::Binary(bytes) => to_console.write_all(&bytes).await,
                Message::Text(text) => to_console.write_all(text.as_bytes()).await,
                Message::Ping(_) | Message::Pong(_) => Ok(()),
                Message::Close(_) => return,
            };
            if written.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = out => {}
        () = back => {}
    }
}
