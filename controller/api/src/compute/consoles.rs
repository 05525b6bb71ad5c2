//! `/console`: noVNC's files, and WebSockets between a browser and the agent of the server's host.
//!
//! The way in is a one-time ticket that is tied to one server and one kind of console. A page of another origin gets
//! nothing, even with a ticket.

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde::Deserialize;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tower_http::services::ServeDir;
use updraft_core::compute::console::{self, ConsoleKind, ConsoleTarget};
use updraft_core::{Core, Error, ErrorKind};

use super::agent_stream;
use crate::http::{Answer, endpoint_of};

/// The largest message of a browser, in bytes. Keys and mouse moves are small; pasted text is cut up by noVNC.
const LARGEST_MESSAGE: usize = 1 << 20;

/// What is served below `/console`; `core` says where noVNC lies.
pub fn routes(core: &Core) -> Router<Core> {
    let routes = Router::new().route("/vnc", get(vnc)).route("/serial", get(serial));
    match &core.config.novnc_directory {
        Some(directory) => routes.fallback_service(ServeDir::new(directory)),
        None => routes,
    }
}

#[derive(Debug, Deserialize)]
struct Ticket {
    token: String,
}

async fn vnc(
    State(core): State<Core>,
    headers: HeaderMap,
    Query(ticket): Query<Ticket>,
    upgrade: WebSocketUpgrade,
) -> Answer<Response> {
    open(core, headers, ticket, upgrade, ConsoleKind::Vnc).await
}

async fn serial(
    State(core): State<Core>,
    headers: HeaderMap,
    Query(ticket): Query<Ticket>,
    upgrade: WebSocketUpgrade,
) -> Answer<Response> {
    open(core, headers, ticket, upgrade, ConsoleKind::Serial).await
}

async fn open(
    core: Core,
    headers: HeaderMap,
    ticket: Ticket,
    upgrade: WebSocketUpgrade,
    kind: ConsoleKind,
) -> Answer<Response> {
    require_same_origin(&core, &headers)?;
    let target = console::redeem(&core, &ticket.token, kind).await?;
    let host = connect(&core, target).await?;
    let upgrade = upgrade.protocols(["binary"]).max_message_size(LARGEST_MESSAGE);
    Ok(upgrade.on_upgrade(async move |browser: WebSocket| {
        let (to_browser, from_browser) = browser.split();
        let (to_host, from_host) = host.split();
        // When one side hangs up, the other has nothing left to say.
        tokio::select! {
            () = to_the_host(from_browser, to_host) => {}
            () = to_the_browser(from_host, to_browser) => {}
        }
    }))
}

/// Browsers say where a page comes from; other clients say nothing.
fn require_same_origin(core: &Core, headers: &HeaderMap) -> Result<(), Error> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let authority =
        |url: &str| url.split("://").nth(1).and_then(|rest| rest.split('/').next()).map(str::to_owned);
    let ours = authority(&endpoint_of(core, headers));
    let theirs = origin.to_str().ok().and_then(authority);
    if theirs.is_some() && theirs == ours {
        return Ok(());
    }
    Err(Error::forbidden("Consoles open for pages of this cloud only."))
}

type HostSocket = tokio_tungstenite::WebSocketStream<agent_stream::AgentStream>;

async fn connect(core: &Core, target: ConsoleTarget) -> Result<HostSocket, Error> {
    let unreachable = |error: tungstenite::Error| {
        Error::new(ErrorKind::Unavailable, "HostUnreachable", "The server's host does not answer.")
            .because(error)
    };
    let mut request = target.url.as_str().into_client_request().map_err(unreachable)?;
    let credential =
        HeaderValue::from_str(&format!("Bearer {}", target.credential)).map_err(Error::internal)?;
    request.headers_mut().insert(header::AUTHORIZATION, credential);
    let stream = agent_stream::open(core, request.uri()).await?;
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await.map_err(unreachable)?;
    Ok(socket)
}

async fn to_the_host(
    mut from: impl Stream<Item = Result<Message, axum::Error>> + Unpin,
    mut to: impl Sink<tungstenite::Message> + Unpin,
) {
    while let Some(Ok(message)) = from.next().await {
        let message = match message {
            Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
            // A serial console's client may send what was typed as text.
            Message::Text(text) => tungstenite::Message::Binary(text.as_str().as_bytes().to_vec().into()),
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => break,
        };
        if to.send(message).await.is_err() {
            break;
        }
    }
}

async fn to_the_browser(
    mut from: impl Stream<Item = Result<tungstenite::Message, tungstenite::Error>> + Unpin,
    mut to: impl Sink<Message> + Unpin,
) {
    while let Some(Ok(message)) = from.next().await {
        let message = match message {
            tungstenite::Message::Binary(bytes) => Message::Binary(bytes),
            tungstenite::Message::Close(_) => break,
            tungstenite::Message::Text(_)
            | tungstenite::Message::Ping(_)
            | tungstenite::Message::Pong(_)
            | tungstenite::Message::Frame(_) => continue,
        };
        if to.send(message).await.is_err() {
            break;
        }
    }
}
