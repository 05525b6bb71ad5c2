//! A plain HTTP/1.1 client for load: requests that are ready-made, connections that stay, every answer's status checked.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::Failure;

/// A server that says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Read at once: whole answers, but for long lists.
const READ_BYTES: usize = 64 * 1024;

/// A request, and the status without which its answer counts as a failure.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
    expected: u16,
}

impl Request {
    /// `headers` are pairs of name and value; a body is JSON.
    pub fn new(method: &str, path: &str, headers: &[(&str, &str)], body: &str, expected: u16) -> Self {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += body;
        Self { bytes: text.into_bytes(), expected }
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.filter(|header| header.0.eq_ignore_ascii_case(name)).map(|header| header.1.trim()).next()
    }
}

/// One connection, made again when the server closes it.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    reply: Reply,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, reply: Reply::default() }
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Errors
    /// The server does not answer, or with another status than expected.
    pub fn send(&mut self, request: &Request) -> Result<&Reply, Failure> {
        // A server may close an idle connection just when it is used again: that is tried once more.
        let is_reused = self.stream.is_some();
        self.ask(request)?;
        match self.receive(request) {
            Err(_) if is_reused && self.reply.status == 0 => {
                self.stream = None;
                self.ask(request)?;
                self.receive(request)?;
            }
            other => other?,
        }
        Ok(&self.reply)
    }

    /// Sends the request; [`Self::receive`] is next.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        if let Some(stream) = &mut self.stream
            && stream.get_mut().write_all(&request.bytes).is_ok()
        {
            return Ok(());
        }
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&request.bytes)?;
        self.stream = Some(BufReader::with_capacity(READ_BYTES, stream));
        Ok(())
    }

    /// Reads the answer to the request that was sent last.
    ///
    /// # Errors
    /// There is none, or one with another status than expected.
    pub fn receive(&mut self, request: &Request) -> Result<(), Failure> {
        self.reply.status = 0;
        let stream = self.stream.as_mut().ok_or_else(|| Failure::new("nothing was sent"))?;
        let is_open = read_reply(stream, &mut self.reply).inspect_err(|_| self.stream = None)?;
        if !is_open {
            self.stream = None;
        }
        if self.reply.status == request.expected {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&self.reply.body[..self.reply.body.len().min(300)]).into_owned();
        Err(Failure::new(format!("status {} instead of {}: {body}", self.reply.status, request.expected)))
    }
}

/// Whether another answer may follow on the connection.
fn read_reply(stream: &mut BufReader<TcpStream>, reply: &mut Reply) -> Result<bool, Failure> {
    reply.head.clear();
    while !reply.head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut reply.head)? == 0 {
            return Err(Failure::new("the server closed the connection"));
        }
    }
    let status = reply.head.split(' ').nth(1).and_then(|status| status.parse().ok());
    reply.status = status.ok_or_else(|| Failure::new(format!("no HTTP: {}", reply.head)))?;
    let length = reply.header("content-length").and_then(|length| length.parse::<usize>().ok());
    reply.body.clear();
    match length {
        Some(length) => {
            reply.body.resize(length, 0);
            stream.read_exact(&mut reply.body)?;
        }
        None if reply.status == 204 => {}
        None => {
            stream.read_to_end(&mut reply.body)?;
            return Ok(false);
        }
    }
    Ok(!reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")))
}

/// What a load gave.
#[derive(Debug, Default)]
pub struct Load {
    pub count: u64,
    pub elapsed: Duration,
    pub latencies_ns: Vec<u32>,
}

/// Keeps the request under way on so many connections for a while, from this one thread: it answers each in turn, so the
/// client costs little and the server always has something to do. A server that does not answer in the order of the
/// questions looks slower than it is, by no more than the time of one round.
///
/// # Errors
/// Any answer is not the expected one: the run is void.
pub fn load(
    address: SocketAddr,
    request: &Request,
    connections: usize,
    length: Duration,
) -> Result<Load, Failure> {
    let start = Instant::now();
    let mut clients: Vec<(Client, Instant)> =
        (0..connections).map(|_| (Client::new(address), Instant::now())).collect();
    for (client, sent) in &mut clients {
        *sent = Instant::now();
        client.ask(request)?;
    }
    let mut load = Load::default();
    let mut is_over = false;
    while !is_over {
        is_over = start.elapsed() >= length;
        for (client, sent) in &mut clients {
            client.receive(request)?;
            load.latencies_ns.push(u32::try_from(sent.elapsed().as_nanos()).unwrap_or(u32::MAX));
            if !is_over {
                *sent = Instant::now();
                client.ask(request)?;
            }
        }
    }
    load.elapsed = start.elapsed();
    load.count = load.latencies_ns.len() as u64;
    Ok(load)
}

/// Waits until something listens.
///
/// # Errors
/// Nothing does within a minute.
pub fn wait_listening(address: SocketAddr) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && start.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
