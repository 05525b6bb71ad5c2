//! Queries on their way to the resolvers of netd's own namespace.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::fd::OwnedFd;

use super::{Question, parse};

/// Queries of all guests under way. More are refused.
const MAX_PENDING: usize = 256;
/// Queries of one port under way. More are refused.
const MAX_PENDING_PER_PORT: usize = 32;
/// A resolver that does not answer for so long is given up for the next.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Tries in all: about as long as a guest's resolver waits.
const MAX_TRIES: usize = 3;
/// The largest answer read, in bytes.
const MAX_ANSWER_BYTES: usize = 4096;

struct Pending {
    socket: UdpSocket,
    port: u32,
    question: Question,
    /// The query as it is sent, under our own id.
    query: Vec<u8>,
    /// Where the guest asked from.
    client: (Ipv4Addr, u16),
    /// The guest's frame: MACs and addresses for the answer.
    request: Vec<u8>,
    tries: usize,
    retry_at: Instant,
}

/// An upstream answer, or the failure to get one, ready for the guest.
pub struct Answered {
    pub port: u32,
    pub client: (Ipv4Addr, u16),
    pub request: Vec<u8>,
    /// `None`: no resolver answered.
    pub reply: Option<Vec<u8>>,
}

/// See the module's text.
pub struct Forwarder {
    upstreams: Vec<SocketAddr>,
    /// By epoll token.
    pending: HashMap<u64, Pending>,
    next_token: u64,
}

impl Forwarder {
    pub fn new(upstreams: Vec<SocketAddr>) -> Self {
        Self { upstreams, pending: HashMap::new(), next_token: 0 }
    }

    /// Sends a guest's query upstream; false when it cannot be.
    pub fn forward(
        &mut self,
        epoll: &OwnedFd,
        port: u32,
        question: Question,
        client: (Ipv4Addr, u16),
        message: &[u8],
        request: Vec<u8>,
    ) -> bool {
        let of_port = self.pending.values().filter(|pending| pending.port == port).count();
        if self.upstreams.is_empty() || self.pending.len() >= MAX_PENDING || of_port >= MAX_PENDING_PER_PORT {
            return false;
        }
        let mut query = message.to_vec();
        query[..2].copy_from_slice(&rand::random::<[u8; 2]>());
        let Ok(socket) = send(self.upstreams[0], &query) else { return false };
        let token = self.next_token;
        if epoll::add(epoll, &socket, epoll::EventData::new_u64(token), epoll::EventFlags::IN).is_err() {
            return false;
        }
        self.next_token += 1;
        let retry_at = Instant::now() + RETRY_AFTER;
        let pending = Pending { socket, port, question, query, client, request, tries: 1, retry_at };
        self.pending.insert(token, pending);
        true
    }

    /// Reads what arrived on a query's socket.
    pub fn receive(&mut self, token: u64) -> Option<Answered> {
        let pending = self.pending.get(&token)?;
        let mut bytes = [0; MAX_ANSWER_BYTES];
        let len = pending.socket.recv(&mut bytes).ok()?;
        if !answers(&bytes[..len], pending) {
            return None;
        }
        let pending = self.pending.remove(&token)?;
        let mut reply = bytes[..len].to_vec();
        reply[..2].copy_from_slice(&pending.question.id.to_be_bytes());
        Some(Answered {
            port: pending.port,
            client: pending.client,
            request: pending.request,
            reply: Some(reply),
        })
    }

    /// Asks the next resolver where one was silent, and gives up where all were.
    pub fn tick(&mut self, epoll: &OwnedFd, now: Instant) -> Vec<Answered> {
        let mut given_up = Vec::new();
        for (token, pending) in &mut self.pending {
            if now < pending.retry_at {
                continue;
            }
            let upstream = self.upstreams[pending.tries % self.upstreams.len()];
            pending.tries += 1;
            pending.retry_at = now + RETRY_AFTER;
            match send(upstream, &pending.query) {
                Ok(socket) if pending.tries <= MAX_TRIES => {
                    // The old socket leaves epoll when it is closed.
                    let data = epoll::EventData::new_u64(*token);
                    let _ = epoll::add(epoll, &socket, data, epoll::EventFlags::IN);
                    pending.socket = socket;
                }
                _ => given_up.push(*token),
            }
        }
        let given_up = given_up.into_iter().filter_map(|token| self.pending.remove(&token));
        given_up
            .map(|Pending { port, client, request, .. }| Answered { port, client, request, reply: None })
            .collect()
    }
}

/// Is this the answer to the question that was asked?
fn answers(reply: &[u8], pending: &Pending) -> bool {
    if reply.len() < 12 || reply[..2] != pending.query[..2] || reply[2] & 0x80 == 0 {
        return false;
    }
    // The question comes back; as a query it must parse to the same.
    let mut as_query = reply.to_vec();
    as_query[2] &= !0x80;
    as_query[6..10].fill(0);
    parse(&as_query).is_ok_and(|question| {
        (&question.name, question.kind, question.class)
            == (&pending.question.name, pending.question.kind, pending.question.class)
    })
}

fn send(upstream: SocketAddr, query: &[u8]) -> io::Result<UdpSocket> {
    let any: SocketAddr = if upstream.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    // Connected: the kernel drops what comes from anyone else.
    socket.connect(upstream)?;
    socket.send(query)?;
    Ok(socket)
}
