//! A small cloud's tables and frames, for tests of the engine through its real compiler.
//!
//! ```text
//! 203.0.113.0/24, the uplink: 203.0.113.1 is the next hop, 203.0.113.10 the router's gateway
//!   floating 203.0.113.100 -> alice, 203.0.113.101 -> carol; bob goes out under the gateway's address
//! 10.0.1.0/24 "front": alice .11, bob .12 (group web), DHCP .2      router .1
//! 10.0.2.0/24 "back":  carol .21 (group db), DHCP .2                router .1
//! ```

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code)] // each test file uses its part

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use etherparse::{IpNumber, PacketBuilder, SlicedPacket, TransportSlice};
use updraft_base::{
    FloatingIpId, MacAddress, NetworkId, PortId, RouterId, SecurityGroupId, ServerId, SubnetId,
};
use updraft_dataplane_api::net::{
    Dhcp, Direction, EtherType, FixedIp, FloatingIp, NetConfig, Network, Port, RemotePeer, Router,
    RouterGateway, RouterInterface, SecurityGroup, SecurityGroupRule, Subnet,
};
use updraft_flow::layout::FIRST_WORKER_SHARD;
use updraft_flow::{Header, PortIndex, Verdict, View, from_guest, from_uplink, learn_neighbour};
use updraft_net::program;
use updraft_xdp::TableMemory;
use uuid::Uuid;

pub const ALICE: Guest = Guest { id: 1, mac: mac(1), address: [10, 0, 1, 11] };
pub const BOB: Guest = Guest { id: 2, mac: mac(2), address: [10, 0, 1, 12] };
pub const CAROL: Guest = Guest { id: 3, mac: mac(3), address: [10, 0, 2, 21] };
pub const ALICE_FLOATING: [u8; 4] = [203, 0, 113, 100];
pub const CAROL_FLOATING: [u8; 4] = [203, 0, 113, 101];
pub const GATEWAY: [u8; 4] = [203, 0, 113, 10];
pub const GATEWAY_MAC: [u8; 6] = mac(0x10);
pub const FRONT_ROUTER_MAC: [u8; 6] = mac(0x11);
pub const BACK_ROUTER_MAC: [u8; 6] = mac(0x12);
pub const FRONT_DHCP_MAC: [u8; 6] = mac(0x13);
pub const BACK_DHCP_MAC: [u8; 6] = mac(0x14);
pub const NEXT_HOP: [u8; 4] = [203, 0, 113, 1];
pub const NEXT_HOP_MAC: [u8; 6] = mac(0x20);
/// Somebody on the internet.
pub const STRANGER: [u8; 4] = [198, 51, 100, 7];

pub const WEB: u128 = 0xa1;
pub const DB: u128 = 0xa2;

/// A millisecond tick of the engine, in ns.
pub const TICK: u64 = 1 << 20;
/// Some time after start-up, in ns.
pub const NOW: u64 = 1_000_000 * TICK;

pub const fn mac(last: u8) -> [u8; 6] {
    [0xfa, 0x16, 0x3e, 0, 0, last]
}

#[derive(Clone, Copy, Debug)]
pub struct Guest {
    pub id: u128,
    pub mac: [u8; 6],
    pub address: [u8; 4],
}

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn ip(octets: [u8; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(octets))
}

/// A rule that allows, as seen from the guest.
pub fn rule(
    direction: Direction,
    protocol: Option<u8>,
    ports: Option<(u16, u16)>,
    remote: RemotePeer,
) -> SecurityGroupRule {
    SecurityGroupRule {
        id: Uuid::new_v4(),
        direction,
        ethertype: EtherType::Ipv4,
        protocol,
        port_range_min: ports.map(|ports| ports.0),
        port_range_max: ports.map(|ports| ports.1),
        remote,
    }
}

fn network(number: u128, name: u8, dhcp_mac: [u8; 6], external: bool) -> Network {
    let cidr = if external { "203.0.113.0/24".parse() } else { format!("10.0.{name}.0/24").parse() };
    let gateway = if external { ip(NEXT_HOP) } else { ip([10, 0, name, 1]) };
    let dhcp = Dhcp {
        server_address: ip([10, 0, name, 2]),
        server_mac: MacAddress(dhcp_mac),
        lease_s: 3600,
        dns_servers: Vec::new(),
        host_routes: Vec::new(),
        domain: None,
    };
    Network {
        id: NetworkId(uuid(number)),
        mtu: 1500,
        external,
        subnets: vec![Subnet {
            id: SubnetId(uuid(number + 0x100)),
            cidr: cidr.unwrap(),
            gateway: Some(gateway),
            dhcp: (!external).then_some(dhcp),
        }],
        names: Default::default(),
    }
}

fn interface(number: u128, name: u8, mac: [u8; 6]) -> RouterInterface {
    RouterInterface {
        port_id: PortId(uuid(0x900 + number)),
        network_id: NetworkId(uuid(number)),
        subnet_id: SubnetId(uuid(number + 0x100)),
        address: ip([10, 0, name, 1]),
        mac: MacAddress(mac),
    }
}

/// A guest's port on network `number` in security group `group`.
pub fn port(guest: Guest, number: u128, group: u128) -> Port {
    Port {
        id: PortId(uuid(guest.id)),
        server_id: ServerId(uuid(guest.id)),
        network_id: NetworkId(uuid(number)),
        mac: MacAddress(guest.mac),
        fixed_ips: vec![FixedIp { subnet_id: SubnetId(uuid(number + 0x100)), address: ip(guest.address) }],
        allowed_address_pairs: Vec::new(),
        port_security_enabled: true,
        security_groups: vec![SecurityGroupId(uuid(group))],
        admin_state_up: true,
        hostname: None,
        socket_path: PathBuf::new(),
        socket_role: Default::default(),
        queue_pairs: 1,
    }
}

fn floating(number: u128, address: [u8; 4], guest: Guest) -> FloatingIp {
    FloatingIp {
        id: FloatingIpId(uuid(number)),
        address: address.into(),
        router_id: RouterId(uuid(0x500)),
        port_id: PortId(uuid(guest.id)),
        fixed_address: guest.address.into(),
    }
}

/// The configuration in the module's picture.
pub fn config() -> NetConfig {
    use Direction::{Egress, Ingress};
    let group = |id: u128, rules: Vec<SecurityGroupRule>, members: &[Guest]| SecurityGroup {
        id: SecurityGroupId(uuid(id)),
        stateful: true,
        rules,
        members: members.iter().map(|guest| ip(guest.address)).collect(),
    };
    let of_web = || RemotePeer::Group(SecurityGroupId(uuid(WEB)));
    NetConfig {
        generation: 1,
        networks: vec![
            network(0x31, 1, FRONT_DHCP_MAC, false),
            network(0x32, 2, BACK_DHCP_MAC, false),
            network(0x33, 0, mac(0), true),
        ],
        routers: vec![Router {
            id: RouterId(uuid(0x500)),
            interfaces: vec![interface(0x31, 1, FRONT_ROUTER_MAC), interface(0x32, 2, BACK_ROUTER_MAC)],
            gateway: Some(RouterGateway {
                port_id: PortId(uuid(0x901)),
                network_id: NetworkId(uuid(0x33)),
                address: ip(GATEWAY),
                prefix_len: 24,
                mac: MacAddress(GATEWAY_MAC),
                next_hop: Some(ip(NEXT_HOP)),
                enable_snat: true,
            }),
            routes: Vec::new(),
        }],
        ports: vec![port(ALICE, 0x31, WEB), port(BOB, 0x31, WEB), port(CAROL, 0x32, DB)],
        security_groups: vec![
            group(
                WEB,
                vec![
                    rule(Egress, None, None, RemotePeer::Any),
                    rule(Ingress, Some(6), Some((22, 22)), RemotePeer::Any),
                    rule(Ingress, Some(1), None, RemotePeer::Any),
                    rule(Ingress, Some(6), Some((80, 80)), of_web()),
                ],
                &[ALICE, BOB],
            ),
            group(
                DB,
                vec![
                    rule(Egress, None, None, RemotePeer::Any),
                    rule(Ingress, Some(6), Some((5432, 5432)), of_web()),
                    rule(Ingress, Some(6), Some((443, 443)), RemotePeer::Any),
                    rule(
                        Ingress,
                        Some(17),
                        Some((53, 53)),
                        RemotePeer::Prefix("198.51.100.0/24".parse().unwrap()),
                    ),
                ],
                &[CAROL],
            ),
        ],
        floating_ips: vec![floating(0x701, ALICE_FLOATING, ALICE), floating(0x702, CAROL_FLOATING, CAROL)],
    }
}

/// Tables with a configuration in force.
pub struct World {
    pub memory: TableMemory,
    pub config: NetConfig,
    pub now_ns: u64,
}

impl World {
    pub fn new() -> Self {
        let world = Self { memory: TableMemory::anonymous().unwrap(), config: config(), now_ns: NOW };
        assert!(learn_neighbour(&world.view(), NEXT_HOP, Some(NEXT_HOP_MAC)));
        world.apply();
        world
    }

    pub fn view(&self) -> View<'_> {
        self.memory.view(FIRST_WORKER_SHARD)
    }

    /// Puts `self.config` in force.
    pub fn apply(&self) {
        let applied = program::apply(&self.view(), &self.config).unwrap();
        assert!(applied.ignored.is_empty(), "{:?}", applied.ignored);
    }

    pub fn index(&self, guest: Guest) -> PortIndex {
        let view = self.view();
        let id = uuid(guest.id).as_u64_pair();
        let half = (view.config.generation.get() & 1) as usize;
        let ports = &view.ports[half * view.ports.len() / 2..];
        let place =
            ports.iter().position(|port| port.flags.get() != 0 && (port.id[0].get(), port.id[1].get()) == id);
        PortIndex(place.unwrap() as u32)
    }

    /// What becomes of a frame that a guest sends.
    pub fn send(&self, guest: Guest, frame: &Frame) -> (Verdict, Frame) {
        let index = self.index(guest);
        self.judge(frame, |view, header, now| from_guest(view, index, header, now))
    }

    /// What becomes of a frame from the uplink.
    pub fn receive(&self, frame: &Frame) -> (Verdict, Frame) {
        self.judge(frame, |view, header, now| from_uplink(view, header, now))
    }

    fn judge(
        &self,
        frame: &Frame,
        engine: impl FnOnce(&View<'_>, &mut Header<'_>, u64) -> Verdict,
    ) -> (Verdict, Frame) {
        let mut out = frame.clone();
        let total = out.bytes.len() as u32;
        let head = out.bytes.len().min(updraft_flow::HEADER_BYTES);
        let mut header = Header::plain(&mut out.bytes[..head], total);
        header.partial_checksum = frame.partial;
        let verdict = engine(&self.view(), &mut header, self.now_ns);
        (verdict, out)
    }

    pub fn drops(&self, name: &str) -> u64 {
        self.view().drops().find(|(reason, _)| *reason == name).unwrap().1
    }
}

/// An Ethernet frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub bytes: Vec<u8>,
    /// Its transport checksum covers the pseudo-header only.
    pub partial: bool,
}

/// The outer layers of a frame to be built.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    pub eth: ([u8; 6], [u8; 6]),
    pub ip: ([u8; 4], [u8; 4]),
    pub ttl: u8,
}

/// A frame from a guest to a MAC and an address.
pub fn from(guest: Guest, eth_dst: [u8; 6], dst: [u8; 4]) -> Outline {
    Outline { eth: (guest.mac, eth_dst), ip: (guest.address, dst), ttl: 64 }
}

/// A frame that the next hop on the uplink passes to the router.
pub fn outside(src: [u8; 4], dst: [u8; 4]) -> Outline {
    Outline { eth: (NEXT_HOP_MAC, GATEWAY_MAC), ip: (src, dst), ttl: 64 }
}

pub const SYN: &str = "S";
pub const ACK: &str = "A";

impl Outline {
    fn builder(self) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        PacketBuilder::ethernet2(self.eth.0, self.eth.1).ipv4(self.ip.0, self.ip.1, self.ttl)
    }

    pub fn ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    /// TCP with flags named by letters: S, A, F, R.
    pub fn tcp(self, ports: (u16, u16), flags: &str) -> Frame {
        let mut builder = self.builder().tcp(ports.0, ports.1, 1000, 65000);
        for flag in flags.chars() {
            builder = match flag {
                'S' => builder.syn(),
                'A' => builder.ack(2000),
                'F' => builder.fin(),
                'R' => builder.rst(),
                other => panic!("no flag {other}"),
            };
        }
        let mut bytes = Vec::new();
        builder.write(&mut bytes, b"hello").unwrap();
        Frame { bytes, partial: false }
    }

    pub fn udp(self, ports: (u16, u16), payload: &[u8]) -> Frame {
        let mut bytes = Vec::new();
        self.builder().udp(ports.0, ports.1).write(&mut bytes, payload).unwrap();
        Frame { bytes, partial: false }
    }

    pub fn ping(self, id: u16) -> Frame {
        let mut bytes = Vec::new();
        self.builder().icmpv4_echo_request(id, 1).write(&mut bytes, b"ping").unwrap();
        Frame { bytes, partial: false }
    }

    pub fn pong(self, id: u16) -> Frame {
        let mut bytes = Vec::new();
        self.builder().icmpv4_echo_reply(id, 1).write(&mut bytes, b"ping").unwrap();
        Frame { bytes, partial: false }
    }

    /// ICMP destination unreachable (port) that quotes the head of `about`.
    pub fn unreachable(self, about: &Frame) -> Frame {
        let mut bytes = Vec::new();
        let quoted = &about.bytes[14..(14 + 28).min(about.bytes.len())];
        self.builder().icmpv4_raw(3, 3, [0; 4]).write(&mut bytes, quoted).unwrap();
        Frame { bytes, partial: false }
    }

    /// A protocol without ports.
    pub fn protocol(self, number: u8) -> Frame {
        let mut bytes = Vec::new();
        self.builder().write(&mut bytes, IpNumber(number), b"payload of it").unwrap();
        Frame { bytes, partial: false }
    }
}

/// An ARP packet in a frame from `eth_src`.
pub fn arp(eth_src: [u8; 6], operation: u8, sender: ([u8; 6], [u8; 4]), target: [u8; 4]) -> Frame {
    let mut bytes = vec![0xff; 6];
    bytes.extend(eth_src);
    bytes.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, operation]);
    bytes.extend(sender.0);
    bytes.extend(sender.1);
    bytes.extend([0; 6]);
    bytes.extend(target);
    Frame { bytes, partial: false }
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub eth: ([u8; 6], [u8; 6]),
    pub ip: ([u8; 4], [u8; 4]),
    pub ttl: u8,
    /// Ports, or twice the ICMP identifier.
    pub ports: (u16, u16),
}

impl Frame {
    /// Reads the frame, after checking every checksum in it from the ground up.
    pub fn said(&self) -> Said {
        let sliced = SlicedPacket::from_ethernet(&self.bytes).unwrap();
        let etherparse::LinkSlice::Ethernet2(eth) = sliced.link.unwrap() else { panic!("not Ethernet") };
        let etherparse::NetSlice::Ipv4(net) = sliced.net.unwrap() else { panic!("not IPv4") };
        let ip = net.header();
        assert_eq!(ip.header_checksum(), ip.to_header().calc_header_checksum(), "IP checksum");
        let ports = match sliced.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                let sum = tcp.calc_checksum_ipv4(ip.source(), ip.destination()).unwrap();
                if !self.partial {
                    assert_eq!(tcp.checksum(), sum, "TCP checksum");
                }
                (tcp.source_port(), tcp.destination_port())
            }
            Some(TransportSlice::Udp(udp)) => {
                let sum = udp.to_header().calc_checksum_ipv4(&ip.to_header(), udp.payload()).unwrap();
                if udp.checksum() != 0 && !self.partial {
                    assert_eq!(udp.checksum(), sum, "UDP checksum");
                }
                (udp.source_port(), udp.destination_port())
            }
            Some(TransportSlice::Icmpv4(icmp)) => {
                assert!(is_sound(icmp.slice()), "ICMP checksum");
                let [a, b, _, _] = icmp.bytes5to8();
                let id = u16::from_be_bytes([a, b]);
                (id, id)
            }
            _ => (0, 0),
        };
        Said {
            eth: (eth.source(), eth.destination()),
            ip: (ip.source(), ip.destination()),
            ttl: ip.ttl(),
            ports,
        }
    }

    /// The packet that an ICMP error quotes: addresses and ports. Checks the quoted header's checksum.
    pub fn quoted(&self) -> (([u8; 4], [u8; 4]), (u16, u16)) {
        let quoted = &self.bytes[42..];
        let (ip, _) = etherparse::Ipv4Header::from_slice(quoted).unwrap();
        assert_eq!(ip.header_checksum, ip.calc_header_checksum(), "quoted IP checksum");
        let port = |at: usize| u16::from_be_bytes([quoted[at], quoted[at + 1]]);
        ((ip.source, ip.destination), (port(20), port(22)))
    }
}

/// True when the one's complement sum over the bytes, checksum included, is all ones.
pub fn is_sound(bytes: &[u8]) -> bool {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}
