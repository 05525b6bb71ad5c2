use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::{Client, MAX_PENDING_RESETS, Patience, talk};

/// Short for a head, so that what outlasts it need not be long.
const PATIENCE: Patience = Patience { head: Duration::from_millis(100), silence: Duration::from_secs(600) };

/// One connection to a router that counts what it is asked.
fn connect() -> (DuplexStream, Arc<AtomicUsize>) {
    let (ours, theirs) = duplex(1 << 20);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let router = Router::new().route(
        "/",
        get(async move || {
            counted.fetch_add(1, Ordering::Relaxed);
            "here"
        })
        .post(async |body: String| body),
    );
    let client = Client { peer: SocketAddr::from(([127, 0, 0, 1], 1)), place: None, patience: PATIENCE };
    let graceful = GracefulShutdown::new();
    tokio::spawn(async move {
        talk(theirs, client, router, graceful.watcher(), false).await;
        drop(graceful);
    });
    (ours, asked)
}

/// What comes until the connection ends.
async fn rest(stream: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A connection that is cut is one that ended.
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

async fn answer(stream: &mut DuplexStream) -> String {
    let mut bytes = vec![0; 4096];
    let length = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn threat_47_a_head_that_trickles_in_ends_the_connection() {
    let (mut stream, asked) = connect();
    stream.write_all(b"GET / HTTP/1.1\r\nx-a: ").await.unwrap();
    let mut sent = 0;
    while sent < 2000 && stream.write_all(b"b").await.is_ok() {
        sent += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(sent < 2000, "a byte now and then keeps a connection for ever");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_client_may_stay_silent_between_two_requests_and_take_its_time_with_a_body() {
    let (mut stream, _) = connect();
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(answer(&mut stream).await.ends_with("here"));
        tokio::time::sleep(PATIENCE.head * 3).await;
    }
    stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab").await.unwrap();
    tokio::time::sleep(PATIENCE.head * 3).await;
    stream.write_all(b"cd").await.unwrap();
    assert!(answer(&mut stream).await.ends_with("abcd"));
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn threat_47_streams_that_are_reset_at_once_end_the_connection() {
    const STREAMS: u32 = 5000;
    let (mut stream, asked) = connect();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    // GET http://a/ from the static table, the authority as a literal.
    let head = [0x82, 0x86, 0x84, 0x41, 1, b'a'];
    for number in 0..STREAMS {
        let id = 2 * number + 1;
        bytes.extend(frame(1, 0x4 | 0x1, id, &head));
        bytes.extend(frame(3, 0, id, &8_u32.to_be_bytes()));
    }
    // The other side hangs up in the middle.
    let _ = stream.write_all(&bytes).await;
    let came = rest(&mut stream).await;
    // GOAWAY with ENHANCE_YOUR_CALM.
    let is_goaway = |window: &[u8]| window[3] == 7 && window[9 + 4..9 + 8] == 11_u32.to_be_bytes();
    assert!(came.windows(17).any(is_goaway), "{} bytes came", came.len());
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked <= MAX_PENDING_RESETS + 1, "{asked} of {STREAMS} were carried out");
}
