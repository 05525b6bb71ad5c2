//! A plain HTTP/1.1 client for load: requests that are ready-made, connections that stay, every answer's status checked.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::Failure;

/// A server that says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

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
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }
}

/// One connection, made again when the server closes it.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Errors
    /// The server does not answer, or with another status than expected.
    pub fn send(&mut self, request: &Request) -> Result<Reply, Failure> {
        // A server may close an idle connection just when it is used again: that is tried once more.
        let is_reused = self.stream.is_some();
        let reply = match self.exchange(request) {
            Err(_) if is_reused => {
                self.stream = None;
                self.exchange(request)
            }
            other => other,
        };
        let reply = reply.inspect_err(|_| self.stream = None)?;
        if reply.status == request.expected {
            return Ok(reply);
        }
        let body = String::from_utf8_lossy(&reply.body[..reply.body.len().min(300)]).into_owned();
        Err(Failure::new(format!("status {} instead of {}: {body}", reply.status, request.expected)))
    }

    fn exchange(&mut self, request: &Request) -> Result<Reply, Failure> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                none.insert(BufReader::new(stream))
            }
        };
        stream.get_mut().write_all(&request.bytes)?;
        let reply = read_reply(stream)?;
        if reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
            || reply.header("content-length").is_none() && reply.status != 204
        {
            self.stream = None;
        }
        Ok(reply)
    }
}

fn read_reply(stream: &mut BufReader<TcpStream>) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(Failure::new("the server closed the connection"));
        }
        let text = line.trim_end();
        if reply.status == 0 {
            let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
            reply.status = status.ok_or_else(|| Failure::new(format!("no HTTP: {text}")))?;
        } else if let Some((name, value)) = text.split_once(':') {
            reply.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        } else {
            break;
        }
    }
    let length = reply.header("content-length").and_then(|length| length.parse::<usize>().ok());
    match length {
        Some(length) => {
            reply.body.resize(length, 0);
            stream.read_exact(&mut reply.body)?;
        }
        None if reply.status == 204 => {}
        None => {
            stream.read_to_end(&mut reply.body)?;
        }
    }
    Ok(reply)
}

/// What a load gave.
#[derive(Debug, Default)]
pub struct Load {
    pub count: u64,
    pub elapsed: Duration,
    pub latencies_ns: Vec<u32>,
}

/// Sends the request over and over on so many connections for a while.
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
    let one = || -> Result<Vec<u32>, Failure> {
        let mut client = Client::new(address);
        let mut latencies = Vec::new();
        while start.elapsed() < length {
            let sent = Instant::now();
            client.send(request)?;
            latencies.push(u32::try_from(sent.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
        Ok(latencies)
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let mut total = Load { elapsed: start.elapsed(), ..Load::default() };
    for result in results {
        total.latencies_ns.extend(result.map_err(|_| Failure::new("a client panicked"))??);
    }
    total.count = total.latencies_ns.len() as u64;
    Ok(total)
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
