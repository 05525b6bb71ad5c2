//! A connection whose client has to be done with the head of a request soon after it began one.
//!
//! HTTP/1 alone: a client that sends a byte now and then would hold a place for as long as an idle one may. HTTP/2 has
//! limits of its own, and many requests in one stream of bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// What a client that knows the server to speak HTTP/2 begins with (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2";

/// Nothing of the next request has come.
const WAITING: u8 = 0;
/// A head is on its way.
const READING: u8 = 1;
/// The head is there: what comes now is the body, or a request ahead of its time.
const SERVING: u8 = 2;
/// HTTP/2.
const EXEMPT: u8 = 3;

/// How far a connection is, told by who answers its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads(Arc<AtomicU8>);

impl Heads {
    pub fn is_read(&self) {
        self.turn(READING, SERVING);
    }

    pub fn is_answered(&self) {
        self.turn(SERVING, WAITING);
    }

    fn turn(&self, from: u8, to: u8) {
        // A connection that is exempt stays so.
        let _ = self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    fn state(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}

/// Reads as `inner` does, until a head takes too long: then it is an error, and the connection ends.
#[derive(Debug)]
pub(super) struct Prompt<S> {
    inner: S,
    heads: Heads,
    /// How long a head may take.
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    /// The first bytes of the connection, until they tell which HTTP it speaks.
    first: Vec<u8>,
}

impl<S> Prompt<S> {
    pub fn new(inner: S, heads: Heads, patience: Duration) -> Self {
        Self { inner, heads, patience, deadline: Box::pin(sleep(patience)), first: Vec::new() }
    }

    fn has_come(&mut self, bytes: &[u8]) {
        if self.first.len() < HTTP2_PREFACE.len() {
            let missing = HTTP2_PREFACE.len() - self.first.len();
            self.first.extend(bytes.iter().take(missing));
            if self.first == HTTP2_PREFACE {
                self.heads.0.store(EXEMPT, Ordering::Release);
                return;
            }
        }
        if self.heads.state() == WAITING {
            self.deadline.as_mut().reset(Instant::now() + self.patience);
            self.heads.turn(WAITING, READING);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prompt<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.heads.state() == READING && this.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let come = buffer.filled().get(before..).unwrap_or_default();
        if !come.is_empty() {
            this.has_come(come);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prompt<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
