//! HTTP to the metadata address: each port has a TCP end of its own here, bridged to the agent's unix socket.
//!
//! Who asks is decided by the port that the packets came from and said in one first line, `updraft-port UUID`. Nothing
//! in a packet (no address, no header) has a say in it. From then on bytes pass both ways unread.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use updraft_base::PortId;

use super::state::METADATA_ADDRESS;
use crate::frame::{ETHERNET_BYTES, ETHERTYPE_IPV4, destination_mac, ethernet, source_mac};

/// Connections of one port at a time; more are not answered until one ends.
const CONNECTIONS: usize = 8;
/// Bytes buffered for each connection and direction.
const BUFFER_BYTES: usize = 16 << 10;
const HTTP_PORT: u16 = 80;
/// A guest that stays silent for so long loses its connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The agent may be restarting: a connection waits so long for it.
const AGENT_PATIENCE: Duration = Duration::from_secs(20);
/// A port's state is dropped when nothing has come for so long.
const FORGET_AFTER: Duration = Duration::from_secs(120);
/// The epoll token of the agent's sockets.
pub const TOKEN: u64 = 1 << 62;

/// The link between smoltcp and the port: packets in, packets out, no Ethernet.
struct Link {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
    mtu: usize,
}

struct Incoming(Vec<u8>);
struct Outgoing<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Link {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _now: smoltcp::time::Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let packet = self.incoming.pop_front()?;
        Some((Incoming(packet), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _now: smoltcp::time::Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // What came through a guest's memory needs no check; what leaves carries one.
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities
    }
}

/// The agent's end of a connection.
enum Agent {
    /// Not connected since this moment.
    Waiting(Instant),
    Connected {
        stream: UnixStream,
        /// Not sent to the agent yet: the first line.
        greeting: Vec<u8>,
        /// The agent will send no more.
        finished: bool,
        /// The guest will send no more, and the agent was told.
        told: bool,
    },
}

struct Connection {
    handle: SocketHandle,
    agent: Option<Agent>,
}

/// One port's TCP end.
struct PortEnd {
    id: PortId,
    interface: Interface,
    link: Link,
    sockets: SocketSet<'static>,
    connections: Vec<Connection>,
    /// The guest's MAC, and the one that it sends metadata requests to.
    macs: ([u8; 6], [u8; 6]),
    last_packet: Instant,
}

/// See the module's text.
pub struct Metadata {
    agent_socket: PathBuf,
    ends: HashMap<u32, PortEnd>,
    started: Instant,
}

impl Metadata {
    pub fn new(agent_socket: PathBuf) -> Self {
        Self { agent_socket, ends: HashMap::new(), started: Instant::now() }
    }

    /// Takes a frame from port `index`; the frames to send back.
    pub fn receive(
        &mut self,
        epoll: &OwnedFd,
        index: u32,
        id: PortId,
        mtu: u16,
        frame: &[u8],
        now: Instant,
    ) -> Vec<Vec<u8>> {
        let (Some(guest), Some(own)) = (source_mac(frame), destination_mac(frame)) else { return Vec::new() };
        let Some(packet) = frame.get(ETHERNET_BYTES..) else { return Vec::new() };
        let clock = clock(self.started, now);
        let end = self.ends.entry(index).or_insert_with(|| PortEnd::new(id, mtu, clock, now));
        if end.id != id {
            *end = PortEnd::new(id, mtu, clock, now);
        }
        end.macs = (guest, own);
        end.last_packet = now;
        end.link.incoming.push_back(packet.to_vec());
        end.advance(epoll, &self.agent_socket, clock, now)
    }

    /// Moves everything on after an agent's socket stirred, or for the timers; the frames to send, by port.
    pub fn advance(&mut self, epoll: &OwnedFd, now: Instant) -> Vec<(u32, Vec<u8>)> {
        let mut frames = Vec::new();
        let clock = clock(self.started, now);
        self.ends.retain(|_, end| now - end.last_packet < FORGET_AFTER || !end.is_idle());
        for (index, end) in &mut self.ends {
            let out = end.advance(epoll, &self.agent_socket, clock, now);
            frames.extend(out.into_iter().map(|frame| (*index, frame)));
        }
        frames
    }

    /// Forgets a port.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.ends.retain(|index, _| keep(*index));
    }
}

fn clock(started: Instant, now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros((now - started).as_micros() as i64)
}

impl PortEnd {
    fn new(id: PortId, mtu: u16, clock: smoltcp::time::Instant, now: Instant) -> Self {
        let mut link =
            Link { incoming: VecDeque::new(), outgoing: Vec::new(), mtu: usize::from(mtu.max(576)) };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = rand::random();
        let mut interface = Interface::new(config, &mut link, clock);
        interface.update_ip_addrs(|addresses| {
            // One address fits the smallest list there is.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(METADATA_ADDRESS), 32));
        });
        let mut sockets = SocketSet::new(Vec::new());
        let connections = (0..CONNECTIONS).map(|_| {
            let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER_BYTES]);
            let mut socket = tcp::Socket::new(buffer(), buffer());
            socket.set_timeout(Some(IDLE_TIMEOUT.into()));
            socket.set_nagle_enabled(false);
            Connection { handle: sockets.add(socket), agent: None }
        });
        let connections = connections.collect();
        let mut end =
            Self { id, interface, link, sockets, connections, macs: ([0; 6], [0; 6]), last_packet: now };
        end.listen();
        end
    }

    /// Sockets that ended listen again.
    fn listen(&mut self) {
        for connection in &mut self.connections {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(connection.handle);
            if socket.state() == tcp::State::Closed {
                connection.agent = None;
                // Port 80 is not 0, and the socket is closed: nothing else can be wrong.
                let _ = socket.listen(HTTP_PORT);
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.connections.iter().all(|connection| connection.agent.is_none())
    }

    fn advance(
        &mut self,
        epoll: &OwnedFd,
        agent_socket: &std::path::Path,
        clock: smoltcp::time::Instant,
        now: Instant,
    ) -> Vec<Vec<u8>> {
        loop {
            self.interface.poll(clock, &mut self.link, &mut self.sockets);
            let mut progress = false;
            for connection in &mut self.connections {
                let socket = self.sockets.get_mut::<tcp::Socket<'_>>(connection.handle);
                progress |= bridge(connection, socket, epoll, agent_socket, self.id, now);
            }
            if !progress {
                break;
            }
        }
        self.interface.poll(clock, &mut self.link, &mut self.sockets);
        self.listen();
        let (guest, own) = self.macs;
        self.link.outgoing.drain(..).map(|packet| ethernet(guest, own, ETHERTYPE_IPV4, &packet)).collect()
    }
}

/// Moves bytes between a guest's connection and the agent's; true when any moved.
fn bridge(
    connection: &mut Connection,
    socket: &mut tcp::Socket<'_>,
    epoll: &OwnedFd,
    agent_socket: &std::path::Path,
    id: PortId,
    now: Instant,
) -> bool {
    match &mut connection.agent {
        None if socket.may_send() => {
            connection.agent = Some(Agent::Waiting(now));
            true
        }
        None => false,
        Some(_) if !socket.is_active() => {
            connection.agent = None;
            false
        }
        Some(Agent::Waiting(since)) => match connect_agent(epoll, agent_socket) {
            Ok(stream) => {
                let greeting = format!("updraft-port {id}\n").into_bytes();
                let connected = Agent::Connected { stream, greeting, finished: false, told: false };
                connection.agent = Some(connected);
                true
            }
            Err(_) if now - *since < AGENT_PATIENCE => false,
            Err(error) => {
                tracing::warn!(port = %id, %error, "the agent does not take metadata requests");
                socket.abort();
                connection.agent = None;
                true
            }
        },
        Some(Agent::Connected { stream, greeting, finished, told }) => {
            let moved = exchange(socket, stream, greeting, finished, told);
            moved.unwrap_or_else(|_| {
                // The agent broke off in the middle: so does the guest's connection.
                socket.abort();
                connection.agent = None;
                true
            })
        }
    }
}

fn connect_agent(epoll: &OwnedFd, path: &std::path::Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // A full backlog is EAGAIN here: tried again at the next tick, nobody waits.
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    let events = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP;
    epoll::add(epoll, &socket, epoll::EventData::new_u64(TOKEN), events | epoll::EventFlags::ET)?;
    Ok(socket.into())
}

fn exchange(
    socket: &mut tcp::Socket<'_>,
    stream: &mut UnixStream,
    greeting: &mut Vec<u8>,
    finished: &mut bool,
    told: &mut bool,
) -> io::Result<bool> {
    let mut progress = false;
    while !greeting.is_empty() {
        match stream.write(greeting) {
            Ok(sent) => drop(greeting.drain(..sent)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(progress),
            Err(error) => return Err(error),
        }
        progress = true;
    }
    while socket.can_recv() {
        let mut outcome = Ok(0);
        let _ = socket.recv(|bytes| {
            outcome = stream.write(bytes);
            (*outcome.as_ref().unwrap_or(&0), ())
        });
        match outcome {
            Ok(0) => break,
            Ok(_) => progress = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    if !socket.may_recv() && !socket.can_recv() && !*told {
        *told = true;
        progress = true;
        stream.shutdown(Shutdown::Write)?;
    }
    while socket.can_send() && !*finished {
        let mut outcome = Ok(0);
        let _ = socket.send(|room| {
            outcome = stream.read(room);
            (*outcome.as_ref().unwrap_or(&0), ())
        });
        match outcome {
            Ok(0) => {
                *finished = true;
                socket.close();
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
        progress = true;
    }
    Ok(progress)
}
