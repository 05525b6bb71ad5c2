//! Accepts connections, in clear or with TLS, and gives each to the router.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Connections at the same time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 8192;
/// How long a client may take to say whom it is talking to.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to send the head of a request, and stay silent between two.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// The head of a request, in bytes.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Streams of an HTTP/2 connection that were reset before they were looked at (rapid reset, CVE-2023-44487); more
/// ends the connection.
const MAX_PENDING_RESETS: usize = 20;
/// The rest after the system refused a connection (no file descriptor is left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Serves until `stopping` turns true, then finishes the requests under way.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let client = Client { peer, place };
                tokio::spawn(greet(stream, client, tls.clone(), router.clone(), graceful.watcher()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Who is at the other end, and its place among the connections.
struct Client {
    peer: SocketAddr,
    place: Option<OwnedSemaphorePermit>,
}

async fn greet(
    stream: TcpStream,
    client: Client,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) {
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = tls else { return talk(stream, client, router, watcher, false).await };
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => talk(stream, client, router, watcher, true).await,
        Ok(Err(error)) => tracing::debug!(peer = %client.peer, %error, "no TLS session"),
        Err(_) => tracing::debug!(peer = %client.peer, "no TLS session in time"),
    }
}

async fn talk<S>(stream: S, client: Client, router: Router, watcher: Watcher, is_secure: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = client.peer;
    let service = service_fn(move |request| answer(router.clone(), request, peer, is_secure));
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "a connection broke off");
    }
    drop(client.place);
}

async fn answer(
    router: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    is_secure: bool,
) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    // Links in answers begin as the client's own URL does; a proxy in front knows better.
    if is_secure && !request.headers().contains_key(FORWARDED_PROTO) {
        request.headers_mut().insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    }
    router.oneshot(request).await
}
