//! The tables, byte for byte as the kernel, the XDP program and netd see them.
//!
//! Everything is made of [`Word`]s, so that any thread may read while another writes: a torn entry costs one
//! packet a wrong lookup (the flow it opens carries the old generation and is checked again), never memory safety.
//!
//! Policy tables exist twice. The low bit of [`Config::generation`] says which half is in force; the writer
//! fills the other one, then increments the generation. Flows, neighbours, counters and port states exist once.
//!
//! Addresses are 128 bits wide; IPv4 is `[0, the four bytes as loaded]`. MACs are the low 48 bits of a word, as
//! loaded. All are in memory (network) order: nothing is swapped on the hot path.

use crate::word::{Word, Word64};

/// Grows when a layout changes: pinned tables of another version are discarded.
pub const LAYOUT_VERSION: u32 = 1;

/// Slots of the flow table, a power of two. 128 bytes each: 8 MiB.
pub const FLOW_SLOTS: u32 = 1 << 16;
/// Slots looked at from a flow's home slot on. A flow that finds none free there is refused.
pub const FLOW_PROBES: u32 = 8;
/// Ports on one host.
pub const PORTS: u32 = 1024;
/// Source addresses and allowed address pairs of all ports.
pub const SOURCES: u32 = 8192;
/// Source entries that one port may have.
pub const SOURCES_PER_PORT: u32 = 64;
/// Compiled rules of all ports.
pub const RULES: u32 = 1 << 15;
/// Rules in one direction that the XDP program walks; a first packet that needs more goes to netd.
pub const RULES_IN_KERNEL: u32 = 64;
/// Entries of the address table, a power of two.
pub const ADDRESSES: u32 = 1 << 13;
/// Entries of the table of remote-group members, a power of two.
pub const MEMBERS: u32 = 1 << 15;
/// Entries looked at for an address, a member or a neighbour. The writer reseeds until all fit.
pub const HASH_PROBES: u32 = 8;
/// Routers on one host.
pub const ROUTERS: u32 = 256;
/// Routes of all routers.
pub const ROUTES: u32 = 4096;
/// Routes of one router.
pub const ROUTES_PER_ROUTER: u32 = 64;
/// Next hops on the uplink, a power of two.
pub const NEIGHBOURS: u32 = 1024;
/// Copies of the counters: one for each CPU in the kernel, one for each worker of netd, so that none is shared.
pub const COUNTER_SHARDS: u32 = 64;
/// First shard for netd's workers.
pub const FIRST_WORKER_SHARD: u32 = 32;
/// Counters in a shard.
pub const COUNTERS_PER_SHARD: u32 = 64;
/// Flow slots (two a connection) that one port may hold unless configured otherwise.
pub const FLOW_QUOTA_DEFAULT: u32 = 8192;

/// The "network" in which the addresses on the uplink live: floating IPs and router gateways.
pub const UPLINK_NETWORK: u32 = 0;
/// The zone of packets from the uplink; zones of guests are their port indexes.
pub const UPLINK_ZONE: u32 = 0xffff_fffe;

/// An address, see the module's text.
pub type Address = [u64; 2];

/// The address of an IPv4 address in network byte order.
#[inline(always)]
pub const fn ipv4(octets: [u8; 4]) -> Address {
    [0, u32::from_ne_bytes(octets) as u64]
}

/// The four octets of an IPv4 [`Address`].
#[inline(always)]
pub const fn ipv4_octets(address: Address) -> [u8; 4] {
    (address[1] as u32).to_ne_bytes()
}

/// A MAC as the tables hold it.
#[inline(always)]
pub const fn mac_word(octets: [u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = octets;
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

/// The octets of a MAC of the tables.
#[inline(always)]
pub const fn mac_octets(word: u64) -> [u8; 6] {
    let [a, b, c, d, e, f, _, _] = word.to_le_bytes();
    [a, b, c, d, e, f]
}

/// Address families in keys and rules.
pub const FAMILY_IPV4: u32 = 4;
/// A key of the address table that holds a MAC in `address[1]`.
pub const FAMILY_MAC: u32 = 2;

/// One entry: what both homes must agree on before anything else.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Config {
    /// [`LAYOUT_VERSION`]; 0 in tables never filled.
    pub version: Word,
    /// Generation of the policy in force.
    pub generation: Word,
    /// Slots of the flow table minus one.
    pub flow_mask: Word,
    pub reserved: Word,
    /// Secret of the flow hash, drawn when the tables are made.
    pub flow_seed: Word64,
    /// Secret of the neighbour hash.
    pub neighbour_seed: Word64,
    /// Secrets of the address and member hashes, for each half.
    pub address_seed: [Word64; 2],
    pub member_seed: [Word64; 2],
}

/// A port of a guest.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct PortEntry {
    /// The port's UUID; from it a restarted netd learns which index the port has.
    pub id: [Word64; 2],
    pub mac: Word64,
    /// `PORT_*` bits; 0 is a free entry.
    pub flags: Word,
    /// Index of its network, from 1.
    pub network: Word,
    pub source_first: Word,
    pub source_count: Word,
    pub egress_first: Word,
    pub egress_count: Word,
    pub ingress_first: Word,
    pub ingress_count: Word,
    /// Flow slots that it may hold.
    pub flow_quota: Word,
    /// Largest IP packet on its network, in bytes.
    pub mtu: Word,
    pub reserved: [Word; 2],
    pub pad: [Word; 14],
}

/// The entry describes a port.
pub const PORT_PRESENT: u32 = 1;
/// Administratively up.
pub const PORT_UP: u32 = 2;
/// Anti-spoofing and security groups are on.
pub const PORT_SECURED: u32 = 4;

/// What changes about a port while packets flow. Not doubled.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct PortState {
    /// Flow slots that the port holds as the one who opened, or, for connections from the uplink, received.
    pub flows: Word,
    pub pad: [Word; 15],
}

/// A source that a port may use.
#[repr(C)]
#[derive(Debug, Default)]
pub struct SourceEntry {
    pub address: [Word64; 2],
    pub mask: [Word64; 2],
    pub mac: Word64,
    pub reserved: Word64,
}

/// An allowing rule, compiled for one port and direction.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct RuleEntry {
    /// IP protocol number or [`PROTOCOL_ANY`].
    pub protocol: Word,
    /// First and last destination port in host order; for ICMP `type << 8 | code`; 0 to 65535 is any.
    pub low: Word,
    pub high: Word,
    /// [`FAMILY_IPV4`].
    pub family: Word,
    /// Remote group from 1, or 0: then the remote is `remote & mask`.
    pub group: Word,
    pub reserved: Word,
    pub remote: [Word64; 2],
    pub mask: [Word64; 2],
    pub pad: Word64,
}

/// A rule for every protocol.
pub const PROTOCOL_ANY: u32 = 0x100;

/// Who has an address (or a MAC) in a network.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct AddressEntry {
    /// `OWNER_*`; 0 is a free entry.
    pub owner: Word,
    pub network: Word,
    /// [`FAMILY_IPV4`] or [`FAMILY_MAC`].
    pub family: Word,
    /// Port or router index.
    pub index: Word,
    pub address: [Word64; 2],
    /// The MAC that ARP announces. Of a floating IP: that of its router's interface towards the fixed address
    /// (ARP announces the gateway's).
    pub mac: Word64,
    /// Of a port's fixed address: its floating IP, or 0. Of a floating IP: the fixed address.
    pub translated: [Word64; 2],
    /// Of either: the router that translates.
    pub router: Word,
    pub reserved: Word,
}

/// A guest's port.
pub const OWNER_PORT: u32 = 1;
/// A router's interface in a tenant network.
pub const OWNER_ROUTER: u32 = 2;
/// The DHCP and DNS responder of a subnet.
pub const OWNER_DHCP: u32 = 3;
/// On the uplink: a floating IP.
pub const OWNER_FLOATING: u32 = 4;
/// On the uplink: a router's gateway address.
pub const OWNER_GATEWAY: u32 = 5;

/// An address that is a member of a group.
#[repr(C)]
#[derive(Debug, Default)]
pub struct MemberEntry {
    /// From 1; 0 is a free entry.
    pub group: Word,
    pub family: Word,
    pub address: [Word64; 2],
    pub reserved: Word64,
}

/// A virtual router.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct RouterEntry {
    /// `ROUTER_*` bits; 0 is a free entry.
    pub flags: Word,
    /// Its routes, longest prefix first.
    pub route_first: Word,
    pub route_count: Word,
    /// Largest IP packet on the uplink, in bytes.
    pub mtu: Word,
    pub gateway_mac: Word64,
    pub gateway_address: [Word64; 2],
    /// Mask of the external subnet.
    pub gateway_mask: [Word64; 2],
    /// Next hop for what is not on the external subnet; 0 is none.
    pub next_hop: [Word64; 2],
    pub pad: [Word64; 7],
}

/// The entry describes a router.
pub const ROUTER_PRESENT: u32 = 1;
/// It has an external gateway.
pub const ROUTER_GATEWAY: u32 = 2;
/// Source NAT for guests without a floating IP.
pub const ROUTER_SNAT: u32 = 4;

/// A route of a router into a tenant network.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct RouteEntry {
    pub address: [Word64; 2],
    pub mask: [Word64; 2],
    /// Address of the next hop in `network`; 0 when the destination is on the subnet itself.
    pub next_hop: [Word64; 2],
    /// MAC of the router's interface there.
    pub mac: Word64,
    /// The network it leads to, or [`UPLINK_NETWORK`] for a static route through the external subnet.
    pub network: Word,
    /// Largest IP packet there, in bytes.
    pub mtu: Word,
}

/// A next hop on the uplink.
#[repr(C)]
#[derive(Debug, Default)]
pub struct NeighbourEntry {
    pub address: [Word64; 2],
    /// 0 while unknown.
    pub mac: Word64,
    /// [`NEIGHBOUR_FREE`], [`NEIGHBOUR_BUSY`] or [`NEIGHBOUR_READY`].
    pub state: Word,
    pub reserved: Word,
}

pub const NEIGHBOUR_FREE: u32 = 0;
pub const NEIGHBOUR_BUSY: u32 = 1;
pub const NEIGHBOUR_READY: u32 = 2;

/// One direction of one connection: two cache lines, the first of which decides whether it is the right one.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct FlowSlot {
    /// Phase in the low two bits, a sequence number above: it changes whenever the slot does.
    pub state: Word,
    /// Generation of the policy under which it was last found allowed.
    pub generation: Word,
    /// See [`crate::flow::FlowKey`].
    pub key: [Word64; 6],
    /// Of the last packet, in [`crate::flow::ticks`].
    pub last_seen: Word,
    /// TCP flags seen in this direction, ORed.
    pub seen: Word,

    /// Destination MAC to write; above it `FLOW_*` bits.
    pub dst_mac: Word64,
    /// Source MAC to write; above it the router's index.
    pub src_mac: Word64,
    /// Addresses and ports to write.
    pub src: [Word64; 2],
    pub dst: [Word64; 2],
    pub ports: Word,
    /// Port index or [`UPLINK_ZONE`].
    pub destination: Word,
    /// Slot of the other direction.
    pub peer: Word,
    /// Changes of the checksums (RFC 1624): address words in the low half, address and port words in the high.
    pub deltas: Word,
}

/// One shard of the counters: `Event`s, then `DropReason`s.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct CounterShard {
    pub values: [Word64; COUNTERS_PER_SHARD as usize],
}

impl Default for CounterShard {
    fn default() -> Self {
        Self { values: [const { Word64::new(0) }; COUNTERS_PER_SHARD as usize] }
    }
}

/// What the XDP program writes immediately before a frame that it hands to netd's AF_XDP socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UplinkMeta {
    /// [`UPLINK_META_MAGIC`].
    pub magic: u32,
    /// [`UPLINK_TO_PORT`] or [`UPLINK_UNDECIDED`].
    pub verdict: u32,
    /// Port index for [`UPLINK_TO_PORT`].
    pub port: u32,
    pub reserved: u32,
}

pub const UPLINK_META_MAGIC: u32 = 0x7570_6472;
/// The frame is rewritten: put it into this port's ring.
pub const UPLINK_TO_PORT: u32 = 1;
/// The frame is untouched: call [`crate::from_uplink`].
pub const UPLINK_UNDECIDED: u32 = 2;

const _: () = {
    assert!(size_of::<Config>() == 64);
    assert!(size_of::<PortEntry>() == 128);
    assert!(size_of::<PortState>() == 64);
    assert!(size_of::<SourceEntry>() == 48);
    assert!(size_of::<RuleEntry>() == 64);
    assert!(size_of::<AddressEntry>() == 64);
    assert!(size_of::<MemberEntry>() == 32);
    assert!(size_of::<RouterEntry>() == 128);
    assert!(size_of::<RouteEntry>() == 64);
    assert!(size_of::<NeighbourEntry>() == 32);
    assert!(size_of::<FlowSlot>() == 128);
    assert!(size_of::<CounterShard>() == 512);
    assert!(size_of::<UplinkMeta>() == 16);
};
