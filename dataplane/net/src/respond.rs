//! What is answered inside netd, on one thread: ARP, DHCP, ICMP, DNS, metadata, and next hops on the uplink.
//!
//! Workers leave copies of such frames in the [`Inbox`] and go on. Who asks is the port that a frame came from; what
//! it says about itself has been checked by the flow engine and is not believed beyond that.

pub mod arp;
pub mod dhcp;
pub mod dns;
pub mod icmp;
pub mod metadata;
mod neighbour;
pub mod state;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use updraft_flow::layout::{FLOW_SLOTS, UPLINK_NETWORK};
use updraft_flow::{HEADER_BYTES, Header, Owner, Service, View, from_guest, owner_of, sweep};
use updraft_vhost::EventFd;

use crate::frame::{self, Ipv4Packet, ethernet};
use crate::offload::{Offload, VNET_HEADER_BYTES, finish};
use crate::plane::{Plane, count};
use crate::port::{Body, MAX_RESPONDER_FRAMES, Port};
use crate::switch::{Batch, InFlight, Origin, Scratch};
use crate::worker::now_ns;
use icmp::Problem;
use neighbour::Neighbours;
use state::{METADATA_ADDRESS, ResponderState, UplinkAddress};

/// Frames of all ports that may wait. Beyond it frames are dropped.
const INBOX_FRAMES: usize = 4096;
/// Frames that are answered before timers and sockets are looked at again.
const FRAMES_PER_ROUND: usize = 256;
/// Timers are looked at so often.
const TICK: Duration = Duration::from_millis(100);
/// Ticks in which the whole flow table is swept once.
const TICKS_PER_SWEEP: u32 = 10;
/// Announcements of a new address on the uplink: one at once, one a second later for who missed it.
const ANNOUNCEMENTS: u32 = 2;
const ANNOUNCEMENT_INTERVAL: Duration = Duration::from_secs(1);

const TOKEN_INBOX: u64 = u64::MAX;

/// A frame for the responders.
pub struct Request {
    service: Service,
    /// `None`: the uplink.
    port: Option<Arc<Port>>,
    frame: Vec<u8>,
    offload: Offload,
}

/// Where workers leave frames.
#[derive(Debug)]
pub struct Inbox {
    sender: SyncSender<Request>,
    wake: Arc<EventFd>,
}

/// The responders' side of the [`Inbox`].
pub struct Outbox {
    receiver: Receiver<Request>,
    wake: Arc<EventFd>,
}

impl Inbox {
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<(Self, Outbox)> {
        let (sender, receiver) = mpsc::sync_channel(INBOX_FRAMES);
        let wake = Arc::new(EventFd::new()?);
        Ok((Self { sender, wake: Arc::clone(&wake) }, Outbox { receiver, wake }))
    }

    /// Leaves a copy of a frame; false when the port, or all ports together, have too many waiting.
    pub fn offer(&self, service: Service, origin: Origin<'_>, packet: &InFlight<'_>) -> bool {
        let port = match origin {
            Origin::Port(port) => {
                if port.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_RESPONDER_FRAMES {
                    port.waiting.fetch_sub(1, Ordering::Relaxed);
                    return false;
                }
                Some(Arc::clone(port))
            }
            Origin::Uplink => None,
        };
        let request = Request { service, port, frame: packet.to_vec(), offload: packet.offload };
        match self.sender.try_send(request) {
            Ok(()) => {
                self.wake.notify();
                true
            }
            Err(mpsc::TrySendError::Full(request) | mpsc::TrySendError::Disconnected(request)) => {
                request.taken();
                false
            }
        }
    }

    /// Wakes the responders, which then look at what was changed beside them.
    pub fn wake(&self) {
        self.wake.notify();
    }
}

impl Request {
    /// The frame no longer waits.
    fn taken(&self) {
        if let Some(port) = &self.port {
            port.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What the responders are started with.
#[derive(Clone, Debug, Default)]
pub struct ResponderConfig {
    /// Resolvers of netd's own namespace, asked in this order.
    pub dns_upstreams: Vec<SocketAddr>,
    /// The agent's socket for metadata requests.
    pub metadata_socket: PathBuf,
}

/// An address being announced on the uplink.
struct Announcement {
    own: UplinkAddress,
    left: u32,
    next_at: Instant,
}

/// The responders' thread.
pub struct Responders<'a> {
    plane: &'a Plane,
    view: View<'a>,
    shard: usize,
    epoll: OwnedFd,
    outbox: Outbox,
    state: Arc<ResponderState>,
    neighbours: Neighbours,
    forwarder: dns::Forwarder,
    metadata: metadata::Metadata,
    announcements: Vec<Announcement>,
    scratch: Scratch,
    sweep_at: u32,
    /// Counted in this round of sweeps.
    live_flows: u64,
}

impl<'a> Responders<'a> {
    /// `shard` picks the thread's counters and uplink socket.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new(plane: &'a Plane, shard: usize, outbox: Outbox, config: ResponderConfig) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(TOKEN_INBOX);
        epoll::add(&epoll, &*outbox.wake, data, epoll::EventFlags::IN)?;
        Ok(Self {
            plane,
            view: plane.view(shard),
            shard,
            epoll,
            outbox,
            state: Arc::default(),
            neighbours: Neighbours::default(),
            forwarder: dns::Forwarder::new(config.dns_upstreams),
            metadata: metadata::Metadata::new(config.metadata_socket),
            announcements: Vec::new(),
            scratch: Scratch::default(),
            sweep_at: 0,
            live_flows: 0,
        })
    }

    /// Answers until `stop` is set.
    pub fn run(mut self, state: &ArcSwap<ResponderState>, stop: &AtomicBool) {
        let mut next_tick = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let (woken, tokens) = self.wait(next_tick);
            let now = Instant::now();
            let current = state.load();
            if !Arc::ptr_eq(&current, &self.state) {
                self.take_state(Arc::clone(&current), now);
            }
            if woken {
                self.outbox.wake.take();
            }
            self.answer_some(now);
            for token in tokens {
                if let Some(answered) = self.forwarder.receive(token) {
                    self.send_dns(answered);
                }
            }
            let frames = self.metadata.advance(&self.epoll, now);
            self.send_to_ports(frames);
            if now >= next_tick {
                next_tick = now + TICK;
                self.tick(now);
            }
        }
    }

    /// Answers what is in the inbox, but not for ever: a flood must not keep the timers from running.
    fn answer_some(&mut self, now: Instant) {
        for _ in 0..FRAMES_PER_ROUND {
            let Ok(request) = self.outbox.receiver.try_recv() else { return };
            request.taken();
            self.answer(request, now);
        }
        self.outbox.wake.notify();
    }

    /// Waits for frames, sockets or the tick: was the inbox stirred, and which resolvers' sockets.
    fn wait(&self, until: Instant) -> (bool, Vec<u64>) {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut events = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; 64];
        let Ok((events, _)) = epoll::wait(&self.epoll, &mut events, Some(&timeout)) else {
            return (true, Vec::new());
        };
        let tokens: Vec<u64> = events.iter().map(|event| event.data.u64()).collect();
        let woken = tokens.contains(&TOKEN_INBOX);
        (woken, tokens.into_iter().filter(|token| !matches!(*token, TOKEN_INBOX | metadata::TOKEN)).collect())
    }

    fn take_state(&mut self, state: Arc<ResponderState>, now: Instant) {
        let before: std::collections::HashSet<_> = self.state.announced.iter().copied().collect();
        let first = self.state.announced.is_empty();
        for own in state.announced.iter().filter(|own| !before.contains(own)) {
            self.announcements.push(Announcement { own: *own, left: ANNOUNCEMENTS, next_at: now });
        }
        self.announcements.retain(|announcement| state.announced.contains(&announcement.own));
        self.metadata.retain(|index| state.ports.contains_key(&index));
        self.state = state;
        if first {
            let state = &self.state;
            self.neighbours = Neighbours::adopt(&self.view, now, |address| {
                let gateway = state.gateway_towards(address)?;
                Some((gateway.own.mac.0, gateway.own.address.octets()))
            });
        }
    }

    fn tick(&mut self, now: Instant) {
        let swept = sweep(&self.view, self.sweep_at, FLOW_SLOTS / TICKS_PER_SWEEP + 1, now_ns());
        self.live_flows += u64::from(swept.live);
        if swept.next <= self.sweep_at {
            self.plane.flows.store(std::mem::take(&mut self.live_flows), Ordering::Relaxed);
        }
        self.sweep_at = swept.next;
        for answered in self.forwarder.tick(&self.epoll, now) {
            self.send_dns(answered);
        }
        let (requests, lost) = self.neighbours.tick(&self.view, now);
        self.send_to_uplink(requests);
        for request in lost {
            count(&self.plane.drops.next_hop_silent);
            self.problem(&request, Problem::Unreachable { code: icmp::HOST_UNREACHABLE });
        }
        let mut due = Vec::new();
        self.announcements.retain_mut(|announcement| {
            if now >= announcement.next_at {
                let own = announcement.own;
                due.push(arp::announcement((own.mac.0, own.address.octets())));
                announcement.left -= 1;
                announcement.next_at = now + ANNOUNCEMENT_INTERVAL;
            }
            announcement.left > 0
        });
        self.send_to_uplink(due);
    }

    fn answer(&mut self, request: Request, now: Instant) {
        match request.service {
            Service::Arp => self.arp(&request, now),
            Service::Dhcp => {
                self.reply(&request, |state, port| dhcp::answer(&request.frame, state.ports.get(&port)?))
            }
            Service::Echo => {
                let reply = icmp::echo_reply(&request.frame);
                self.send_back(&request, reply);
            }
            Service::Dns => self.dns(&request),
            Service::Metadata => self.metadata(request, now),
            Service::TimeExceeded => self.problem(&request, Problem::TimeExceeded),
            Service::Unreachable { code } => self.problem(&request, Problem::Unreachable { code }),
            Service::TooBig { mtu } => self.problem(&request, Problem::TooBig { mtu }),
            Service::Neighbour { router, next_hop } => self.neighbour(request, router, next_hop, now),
        }
    }

    /// Sends a reply to the port that asked.
    fn reply(&mut self, request: &Request, build: impl FnOnce(&ResponderState, u32) -> Option<Vec<u8>>) {
        let Some(port) = &request.port else { return };
        let reply = build(&self.state, port.index.0);
        self.send_back(request, reply);
    }

    fn arp(&mut self, request: &Request, now: Instant) {
        let Some(arp) = arp::Arp::parse(&request.frame) else { return };
        let Some(port) = &request.port else {
            for waited in self.neighbours.learn(&self.view, arp.sender, arp.sender_mac, now) {
                self.send_again(waited, now);
            }
            if arp.is_request
                && let Some((_, mac)) = owner_of(&self.view, UPLINK_NETWORK, arp.target)
            {
                self.send_to_uplink(vec![arp.answer(mac)]);
            }
            return;
        };
        if !arp.is_request || arp.sender == arp.target {
            return;
        }
        let mac = if arp.target == METADATA_ADDRESS.octets() {
            self.metadata_mac(port.index.0)
        } else {
            updraft_flow::network_of(&self.view, port.index)
                .and_then(|network| owner_of(&self.view, network, arp.target))
                .filter(|(owner, _)| *owner != Owner::Port(port.index))
                .map(|(_, mac)| mac)
        };
        let reply = mac.map(|mac| arp.answer(mac));
        self.send_back(request, reply);
    }

    /// Who a guest's packets for the metadata address go to, when it believes the address to be on its link.
    fn metadata_mac(&self, port: u32) -> Option<[u8; 6]> {
        let port = self.state.ports.get(&port)?;
        let server = port.lease.as_ref().map(|lease| lease.dhcp.server_mac.0);
        server.or_else(|| port.network.interfaces.keys().next().copied())
    }

    fn dns(&mut self, request: &Request) {
        let Some((port, packet)) = request.port.as_ref().zip(Ipv4Packet::parse(&request.frame)) else {
            return;
        };
        // TCP is not served: a guest that was told to try it finds silence and keeps what it has.
        let Some((from, _, message)) = packet.udp() else { return };
        let client = (Ipv4Addr::from(packet.source), from);
        let local = self.state.ports.get(&port.index.0).map(|state| Arc::clone(&state.network));
        let reply = match dns::parse(message) {
            Err(None) => return,
            Err(Some(code)) => dns::refuse(message, code),
            Ok(question) => {
                let answer = local.and_then(|network| dns::answer_locally(message, &question, &network));
                if answer.is_none() {
                    let (index, frame) = (port.index.0, request.frame.clone());
                    if self.forwarder.forward(&self.epoll, index, question, client, message, frame) {
                        return;
                    }
                }
                answer.or_else(|| dns::refuse(message, dns::rcode::SERVER_FAILURE))
            }
        };
        let answered = dns::Answered { port: port.index.0, client, request: request.frame.clone(), reply };
        self.send_dns(answered);
    }

    fn send_dns(&mut self, answered: dns::Answered) {
        let dns::Answered { port, client, request, reply } = answered;
        let Some(packet) = Ipv4Packet::parse(&request) else { return };
        let (Some((_, to, message)), Some(state)) = (packet.udp(), self.state.ports.get(&port)) else {
            return;
        };
        let room = usize::from(state.network.mtu).saturating_sub(frame::IPV4_BYTES + frame::UDP_BYTES);
        let reply = reply.or_else(|| dns::refuse(message, dns::rcode::SERVER_FAILURE));
        let (Some(reply), Some(guest), Some(own)) =
            (reply, frame::source_mac(&request), frame::destination_mac(&request))
        else {
            return;
        };
        let reply = dns::truncate(reply, room);
        let datagram = frame::udp((packet.destination, to), (client.0.octets(), client.1), &reply);
        let packet = frame::ipv4(packet.destination, client.0.octets(), frame::UDP, &datagram);
        self.send_to_ports(vec![(port, ethernet(guest, own, frame::ETHERTYPE_IPV4, &packet))]);
    }

    fn metadata(&mut self, request: Request, now: Instant) {
        let Request { port, mut frame, offload, .. } = request;
        let Some(port) = port else { return };
        let mtu = self.state.ports.get(&port.index.0).map_or(1500, |state| state.network.mtu);
        let mut pieces = Vec::new();
        finish(&mut frame, &offload, |head, rest| pieces.push([head, rest].concat()));
        for piece in pieces {
            let frames = self.metadata.receive(&self.epoll, port.index.0, port.id, mtu, &piece, now);
            self.send_to_ports(frames.into_iter().map(|frame| (port.index.0, frame)).collect());
        }
    }

    /// Sends the error that a router owes.
    fn problem(&mut self, request: &Request, problem: Problem) {
        let own = frame::destination_mac(&request.frame).and_then(|mac| match &request.port {
            Some(port) => {
                let state = self.state.ports.get(&port.index.0)?;
                state.network.interfaces.get(&mac).map(Ipv4Addr::octets)
            }
            None => {
                let gateway = self.state.gateways.iter().find(|gateway| gateway.own.mac.0 == mac);
                gateway.map(|gateway| gateway.own.address.octets())
            }
        });
        let error = own.and_then(|own| icmp::error(problem, &request.frame, own));
        self.send_back(request, error);
    }

    fn neighbour(&mut self, request: Request, router: u32, next_hop: [u8; 4], now: Instant) {
        let Some((address, mac)) = updraft_flow::gateway_of(&self.view, router) else { return };
        match self.neighbours.wait(next_hop, (mac, address), request, now) {
            Ok(question) => self.send_to_uplink(question.into_iter().collect()),
            Err(_) => count(&self.plane.drops.next_hop_silent),
        }
    }

    /// Gives a packet that waited for its next hop to the engine again.
    fn send_again(&mut self, request: Request, now: Instant) {
        let Some(port) = request.port.clone() else { return };
        let Request { mut frame, offload, .. } = request;
        let total_len = frame.len() as u32;
        let split = frame.len().min(HEADER_BYTES);
        let mut head = vec![0; VNET_HEADER_BYTES + split];
        head[VNET_HEADER_BYTES..].copy_from_slice(&frame[..split]);
        let mut header = Header {
            bytes: &mut head[VNET_HEADER_BYTES..],
            total_len,
            partial_checksum: offload.csum_start != 0,
            segment_payload: offload.segment_payload,
            segment_header: offload.segment_header,
        };
        let verdict = from_guest(&self.view, port.index, &mut header, now_ns());
        if let updraft_flow::Verdict::Respond(service) = verdict {
            // Still no way, or a changed policy: answered here, not by way of the inbox.
            frame.truncate(total_len as usize);
            let again = Request { service, port: Some(port), frame, offload };
            if !matches!(service, Service::Neighbour { .. }) {
                self.answer(again, now);
            }
            return;
        }
        let ports = self.plane.ports.load_full();
        let mut batch = Batch::new(self.plane, &ports, self.shard, &mut self.scratch);
        let body = Body::Bytes(&frame[split..]);
        batch.carry(verdict, Origin::Port(&port), &mut InFlight { head: &mut head, body, offload });
        batch.finish();
    }

    fn send_back(&mut self, request: &Request, reply: Option<Vec<u8>>) {
        let Some(reply) = reply else { return };
        match &request.port {
            Some(port) => self.send_to_ports(vec![(port.index.0, reply)]),
            None => self.send_to_uplink(vec![reply]),
        }
    }

    fn send_to_ports(&mut self, frames: Vec<(u32, Vec<u8>)>) {
        if frames.is_empty() {
            return;
        }
        let ports = self.plane.ports.load_full();
        let mut batch = Batch::new(self.plane, &ports, self.shard, &mut self.scratch);
        for (port, frame) in frames {
            let mut head = [0; VNET_HEADER_BYTES];
            let mut packet =
                InFlight { head: &mut head, body: Body::Bytes(&frame), offload: Offload::default() };
            batch.send_to_port(updraft_flow::PortIndex(port), &mut packet);
        }
        batch.finish();
    }

    fn send_to_uplink(&mut self, frames: Vec<Vec<u8>>) {
        if frames.is_empty() || self.plane.uplink.is_none() {
            return;
        }
        let ports = self.plane.ports.load_full();
        let mut batch = Batch::new(self.plane, &ports, self.shard, &mut self.scratch);
        for frame in frames {
            let mut head = [0; VNET_HEADER_BYTES];
            let packet = InFlight { head: &mut head, body: Body::Bytes(&frame), offload: Offload::default() };
            batch.send_to_uplink(&packet);
        }
        batch.finish();
    }
}
