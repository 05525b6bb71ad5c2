//! What a guest is answered from inside, byte by byte, through its own card.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod guest;
mod world;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Instant;

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use guest::{PATIENCE, Plugged};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::wire::{HardwareAddress, IpCidr, Ipv4Address};
use updraft_net::respond::ResponderConfig;
use updraft_net::{Network, NetworkSettings};
use world::{
    ALICE, BACK_ROUTER_MAC, BOB, FRONT_DHCP_MAC, FRONT_ROUTER_MAC, Frame, Guest, SYN, arp, config, from,
};

const DHCP_SERVER: [u8; 4] = [10, 0, 1, 2];
const METADATA: [u8; 4] = [169, 254, 169, 254];

struct Host {
    _network: Network,
    folder: tempfile::TempDir,
}

impl Host {
    fn start(dns_upstreams: Vec<std::net::SocketAddr>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metadata_socket = folder.path().join("metadata.sock");
        let responders = ResponderConfig { dns_upstreams, metadata_socket };
        let mut network = Network::start(NetworkSettings { uplink: None, responders, workers: 1 }).unwrap();
        let mut config = config();
        for port in &mut config.ports {
            port.socket_path = folder.path().join(format!("{}.sock", port.id));
        }
        let subnet = config.networks[0].subnets[0].dhcp.as_mut().unwrap();
        subnet.domain = Some("openstacklocal".into());
        config.networks[0]
            .names
            .insert("bob.openstacklocal".into(), vec![Ipv4Addr::from(BOB.address).into()]);
        config.ports[0].hostname = Some("alice".into());
        network.apply(&config).unwrap();
        Self { _network: network, folder }
    }

    fn plug(&self, guest: Guest) -> Plugged {
        let id = updraft_base::PortId(uuid::Uuid::from_u128(guest.id));
        Plugged::plug(&self.folder.path().join(format!("{id}.sock")))
    }

    fn metadata_socket(&self) -> PathBuf {
        self.folder.path().join("metadata.sock")
    }
}

fn alice_asks_for(target: [u8; 4]) -> Vec<u8> {
    arp(ALICE.mac, 1, (ALICE.mac, ALICE.address), target).bytes
}

#[test]
fn arp_is_answered_for_whoever_is_there() {
    let host = Host::start(Vec::new());
    let mut alice = host.plug(ALICE);
    for (target, mac) in [
        ([10, 0, 1, 1], FRONT_ROUTER_MAC),
        (DHCP_SERVER, FRONT_DHCP_MAC),
        (BOB.address, BOB.mac),
        (METADATA, FRONT_DHCP_MAC),
    ] {
        alice.send(&alice_asks_for(target));
        let mut expected = ALICE.mac.to_vec();
        expected.extend(mac);
        expected.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
        expected.extend(mac);
        expected.extend(target);
        expected.extend(ALICE.mac);
        expected.extend(ALICE.address);
        assert_eq!(alice.receive().frame, expected, "{target:?}");
    }
    // Nobody is there, somebody of another network is there, and oneself: silence.
    for target in [[10, 0, 1, 200], [10, 0, 2, 21], ALICE.address] {
        alice.send(&alice_asks_for(target));
    }
    alice.expect_quiet(&alice_asks_for([10, 0, 1, 1]), |frame| frame[28..32] == [10, 0, 1, 1]);
}

/// A DHCP message of Alice's, with options behind the message type.
fn dhcp(message_type: u8, chaddr: [u8; 6], options: &[u8]) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef];
    message.resize(28, 0);
    message.extend(chaddr);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99, 53, 1, message_type]);
    message.extend(options);
    message.push(255);
    let builder = PacketBuilder::ethernet2(ALICE.mac, [0xff; 6]).ipv4([0; 4], [255; 4], 64).udp(68, 67);
    let mut frame = Vec::new();
    builder.write(&mut frame, &message).unwrap();
    frame
}

/// The payload of a UDP frame, after checking its checksums.
fn udp_payload(frame: &[u8]) -> Vec<u8> {
    Frame { bytes: frame.to_vec(), partial: false }.said();
    match SlicedPacket::from_ethernet(frame).unwrap().transport {
        Some(TransportSlice::Udp(udp)) => udp.payload().to_vec(),
        other => panic!("not UDP: {other:?}"),
    }
}

fn option(message: &[u8], code: u8) -> Option<Vec<u8>> {
    let mut at = 240;
    while message[at] != 255 {
        let len = usize::from(message[at + 1]);
        if message[at] == code {
            return Some(message[at + 2..at + 2 + len].to_vec());
        }
        at += 2 + len;
    }
    None
}

#[test]
fn dhcp_gives_a_port_its_own_address() {
    let host = Host::start(Vec::new());
    let mut alice = host.plug(ALICE);
    let mut ask = |message_type, options: &[u8]| {
        alice.send(&dhcp(message_type, ALICE.mac, options));
        udp_payload(&alice.receive().frame)
    };
    let offer = ask(1, &[]);
    assert_eq!((&offer[..4], &offer[4..8]), (&[2, 1, 6, 0][..], &[0xde, 0xad, 0xbe, 0xef][..]));
    assert_eq!(offer[16..20], ALICE.address);
    let expected: &[(u8, &[u8])] = &[
        (53, &[2]),
        (54, &DHCP_SERVER),
        (1, &[255, 255, 255, 0]),
        (3, &[10, 0, 1, 1]),
        (6, &DHCP_SERVER),
        (12, b"alice"),
        (15, b"openstacklocal"),
        (26, &[0x05, 0xdc]),
        (51, &[0, 0, 0x0e, 0x10]),
        (121, &[32, 169, 254, 169, 254, 10, 0, 1, 1, 0, 10, 0, 1, 1]),
    ];
    for (code, value) in expected {
        assert_eq!(option(&offer, *code).as_deref(), Some(*value), "option {code}");
    }
    let requested = [&[50, 4][..], &ALICE.address, &[54, 4], &DHCP_SERVER].concat();
    let ack = ask(3, &requested);
    assert_eq!((option(&ack, 53), &ack[16..20]), (Some(vec![5]), &ALICE.address[..]));
    let nak = ask(3, &[&[50, 4][..], &BOB.address].concat());
    assert_eq!((option(&nak, 53), &nak[16..20]), (Some(vec![6]), &[0; 4][..]));
    assert_eq!(option(&nak, 51), None);
    let inform = ask(8, &[]);
    assert_eq!((option(&inform, 53), &inform[16..20]), (Some(vec![5]), &[0; 4][..]));
    assert_eq!(option(&inform, 51), None);
    // Another's hardware address, another server's offer taken, options cut off: no answer.
    alice.send(&dhcp(1, BOB.mac, &[]));
    alice.send(&dhcp(3, ALICE.mac, &[54, 4, 10, 0, 1, 99]));
    alice.send(&dhcp(9, ALICE.mac, &[50, 200]));
    alice.expect_quiet(&alice_asks_for([10, 0, 1, 1]), |frame| frame[12..14] == [8, 6]);
}

#[test]
fn routers_answer_pings_and_report_what_they_cannot_forward() {
    let host = Host::start(Vec::new());
    let mut alice = host.plug(ALICE);
    for (address, mac) in [([10, 0, 1, 1], FRONT_ROUTER_MAC), (DHCP_SERVER, FRONT_DHCP_MAC)] {
        alice.send(&from(ALICE, mac, address).ping(77).bytes);
        let reply = Frame { bytes: alice.receive().frame, partial: false };
        let said = reply.said();
        assert_eq!((said.eth, said.ip, said.ports.0), ((mac, ALICE.mac), (address, ALICE.address), 77));
        assert_eq!(reply.bytes[34], 0, "an echo reply");
    }
    let expired = from(ALICE, FRONT_ROUTER_MAC, [10, 0, 2, 21]).ttl(1).tcp((5000, 443), SYN);
    alice.send(&expired.bytes);
    let error = Frame { bytes: alice.receive().frame, partial: false };
    assert_eq!(error.said().ip, ([10, 0, 1, 1], ALICE.address));
    assert_eq!(error.bytes[34..36], [11, 0]);
    assert_eq!(error.quoted(), ((ALICE.address, [10, 0, 2, 21]), (5000, 443)));
    assert_ne!(error.said().eth.0, BACK_ROUTER_MAC);
}

fn dns_query(id: u16, name: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

fn ask_dns(alice: &mut Plugged, message: &[u8]) {
    alice.send(&from(ALICE, FRONT_DHCP_MAC, DHCP_SERVER).udp((5353, 53), message).bytes);
}

#[test]
fn dns_knows_the_network_and_asks_upstream_for_the_rest() {
    let upstream = UdpSocket::bind("127.0.0.1:0").unwrap();
    upstream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = Host::start(vec![upstream.local_addr().unwrap()]);
    let mut alice = host.plug(ALICE);
    ask_dns(&mut alice, &dns_query(7, "bob.openstacklocal"));
    let frame = alice.receive().frame;
    let reply = udp_payload(&frame);
    assert_eq!((&reply[..2], reply[3] & 15, &reply[reply.len() - 4..]), (&[0, 7][..], 0, &BOB.address[..]));
    assert_eq!(frame[6..12], FRONT_DHCP_MAC);

    let query = dns_query(0x0102, "www.example.org");
    ask_dns(&mut alice, &query);
    let mut seen = [0; 512];
    let (len, client) = upstream.recv_from(&mut seen).unwrap();
    assert_eq!(seen[2..len], query[2..], "all but the id is the guest's");
    let answer = |id: &[u8], question: &[u8]| {
        let mut answer = [id, question].concat();
        answer[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 80]);
        answer
    };
    // A guessed id, another question, and a stranger's answer are not believed.
    let wrong_id = [seen[0] ^ 1, seen[1]];
    upstream.send_to(&answer(&wrong_id, &query[2..]), client).unwrap();
    upstream.send_to(&answer(&seen[..2], &dns_query(0, "www.example.com")[2..]), client).unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(&answer(&seen[..2], &query[2..]), client).unwrap();
    let mut good = answer(&seen[..2], &query[2..]);
    upstream.send_to(&good, client).unwrap();
    good[..2].copy_from_slice(&[1, 2]);
    assert_eq!(udp_payload(&alice.receive().frame), good);
}

#[test]
fn dns_without_upstream_says_so() {
    let host = Host::start(Vec::new());
    let mut alice = host.plug(ALICE);
    ask_dns(&mut alice, &dns_query(9, "www.example.org"));
    let reply = udp_payload(&alice.receive().frame);
    assert_eq!((&reply[..2], reply[3] & 15), (&[0, 9][..], 2));
    ask_dns(&mut alice, &[0, 10, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12]);
    assert_eq!(udp_payload(&alice.receive().frame)[3] & 15, 1, "format error");
}

/// Packets on their way into and out of Alice's TCP.
#[derive(Default)]
struct Link {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
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
        self.0.push(vec![0; len]);
        write(self.0.last_mut().unwrap())
    }
}

impl Device for Link {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let packet = self.incoming.pop_front()?;
        Some((Incoming(packet), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1500;
        capabilities
    }
}

/// Alice's TCP, which sends packets through her card.
struct Tcp {
    interface: Interface,
    link: Link,
    sockets: SocketSet<'static>,
    started: Instant,
}

impl Tcp {
    fn new() -> Self {
        let mut link = Link::default();
        let mut interface =
            Interface::new(Config::new(HardwareAddress::Ip), &mut link, smoltcp::time::Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(Ipv4Address::from(ALICE.address).into(), 24)).unwrap();
        });
        interface.routes_mut().add_default_ipv4_route(Ipv4Address::new(10, 0, 1, 1)).unwrap();
        Self { interface, link, sockets: SocketSet::new(Vec::new()), started: Instant::now() }
    }

    fn advance(&mut self, card: &mut Plugged) {
        while let Some(received) = card.try_receive() {
            assert_eq!(received.frame[..12], [ALICE.mac, FRONT_ROUTER_MAC].concat());
            self.link.incoming.push_back(received.frame[14..].to_vec());
        }
        let now = smoltcp::time::Instant::from_micros(self.started.elapsed().as_micros() as i64);
        self.interface.poll(now, &mut self.link, &mut self.sockets);
        for packet in self.link.outgoing.drain(..) {
            card.send(&[&FRONT_ROUTER_MAC[..], &ALICE.mac, &[8, 0], &packet].concat());
        }
    }
}

/// Asks for a document over TCP; the whole answer.
fn http_get(card: &mut Plugged, local_port: u16, path: &str) -> Vec<u8> {
    let mut tcp = Tcp::new();
    let buffer = || tcp::SocketBuffer::new(vec![0; 65_536]);
    let handle = tcp.sockets.add(tcp::Socket::new(buffer(), buffer()));
    let socket = tcp.sockets.get_mut::<tcp::Socket<'_>>(handle);
    socket.connect(tcp.interface.context(), (Ipv4Address::from(METADATA), 80), local_port).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    let (mut sent, mut answer) = (false, Vec::new());
    let deadline = Instant::now() + PATIENCE;
    loop {
        tcp.advance(card);
        let socket = tcp.sockets.get_mut::<tcp::Socket<'_>>(handle);
        if !sent && socket.can_send() {
            assert_eq!(socket.send_slice(request.as_bytes()).unwrap(), request.len());
            sent = true;
        }
        while socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), answer.extend_from_slice(bytes))).unwrap();
        }
        if sent && !socket.may_recv() {
            socket.close();
            tcp.advance(card);
            return answer;
        }
        assert!(Instant::now() < deadline, "no answer");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn metadata_requests_reach_the_agent_with_the_ports_name() {
    let host = Host::start(Vec::new());
    let agent = UnixListener::bind(host.metadata_socket()).unwrap();
    let body = "x".repeat(100_000);
    let answered = body.clone();
    let server = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for _ in 0..3 {
            let (stream, _) = agent.accept().unwrap();
            let mut reader = BufReader::new(&stream);
            let (mut first, mut request) = (String::new(), String::new());
            reader.read_line(&mut first).unwrap();
            reader.read_line(&mut request).unwrap();
            (&stream).write_all(answered.as_bytes()).unwrap();
            asked.push((first, request));
        }
        asked
    });
    let mut alice = host.plug(ALICE);
    for port in [50_001, 50_002, 50_003] {
        assert_eq!(http_get(&mut alice, port, "/openstack/latest/meta_data.json").len(), body.len());
    }
    for (first, request) in server.join().unwrap() {
        assert_eq!(first, format!("updraft-port {}\n", uuid::Uuid::from_u128(ALICE.id)));
        assert_eq!(request, "GET /openstack/latest/meta_data.json HTTP/1.0\r\n");
    }
}

#[test]
fn an_agent_that_comes_late_is_waited_for() {
    let host = Host::start(Vec::new());
    let path = host.metadata_socket();
    let server = std::thread::spawn(move || {
        // The guest's connection is established long before this.
        std::thread::sleep(std::time::Duration::from_millis(500));
        let agent = UnixListener::bind(path).unwrap();
        let (mut stream, _) = agent.accept().unwrap();
        stream.write_all(b"here").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        all
    });
    let mut alice = host.plug(ALICE);
    assert_eq!(http_get(&mut alice, 50_001, "/"), b"here");
    assert!(server.join().unwrap().ends_with("GET / HTTP/1.0\r\n\r\n"));
}
