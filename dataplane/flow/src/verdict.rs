//! What the engine decides about one packet, and why it dropped it.

use crate::layout::UPLINK_ZONE;

/// A port's place in the port table. Stable while the port exists, also across restarts of netd.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct PortIndex(pub u32);

/// What to do with the packet, whose header the engine has already rewritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Into this guest's receive ring.
    Port(PortIndex),
    /// Out on the uplink.
    Uplink,
    /// Answered inside netd; the header is as the sender wrote it.
    Respond(Service),
    /// Not ours: the host's own stack may have it. Only from the uplink.
    Pass,
    /// The XDP program cannot decide within its bounds: netd calls [`crate::from_uplink`] on the untouched frame.
    Defer,
    Drop(DropReason),
}

impl Verdict {
    /// To a port's index or, for [`crate::layout::UPLINK_ZONE`], out on the uplink.
    #[inline(always)]
    pub const fn to(destination: u32) -> Self {
        if destination == UPLINK_ZONE { Self::Uplink } else { Self::Port(PortIndex(destination)) }
    }
}

/// Who answers inside netd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// An ARP request or probe that passed anti-spoofing (from a guest), or that names one of our addresses
    /// (from the uplink; replies too, for the neighbour table).
    Arp,
    /// A DHCPv4 message of a client.
    Dhcp,
    /// TCP to the metadata address.
    Metadata,
    /// DNS over UDP or TCP to the subnet's DHCP address.
    Dns,
    /// An ICMP echo request to a router's interface, a router's gateway address or a DHCP address.
    Echo,
    /// The next hop's MAC is not in the neighbour table: keep the packet, ask by ARP from this router's gateway
    /// address, then give the packet to the engine again.
    Neighbour { router: u32, next_hop: [u8; 4] },
    /// Send ICMP time exceeded (type 11, code 0) to the sender, from the router interface it addressed.
    TimeExceeded,
    /// Send ICMP destination unreachable (type 3) with this code, from the router interface it addressed.
    Unreachable { code: u8 },
    /// Send ICMP fragmentation needed (type 3, code 4) announcing this MTU in bytes.
    TooBig { mtu: u16 },
}

macro_rules! names {
    ($(#[$outer:meta])* $kind:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u32)]
        pub enum $kind { $($(#[$doc])* $variant,)+ }

        impl $kind {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name under which status and metrics show it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

names! {
    /// Why a packet was dropped. Each has a counter.
    DropReason {
        /// Shorter than its headers say, or longer than its frame.
        Truncated = "truncated",
        /// A VLAN tag, LLDP, EAPOL, spanning tree or any other frame that is neither ARP nor IPv4.
        EtherType = "ethertype",
        /// IPv6 is not carried yet.
        Ipv6 = "ipv6",
        /// Source MAC is not the port's.
        SourceMac = "source_mac",
        /// Source address is none of the port's.
        SourceAddress = "source_address",
        /// ARP that claims another's address or MAC.
        ArpSpoof = "arp_spoof",
        /// DHCP server traffic from a guest.
        DhcpServer = "dhcp_server",
        /// Broadcast or multicast that no responder answers.
        Multicast = "multicast",
        /// IPv4 options (RFC 7126 advises it) or a header length below 20 bytes.
        IpOptions = "ip_options",
        /// A fragment (state would rest on a header that is not there).
        Fragment = "fragment",
        /// A TCP packet that cannot be (SYN with FIN or RST, no flag at all).
        TcpFlags = "tcp_flags",
        /// TCP that belongs to no connection and does not open one.
        NotSyn = "not_syn",
        /// An ICMP error about no live flow of this port.
        UnrelatedError = "unrelated_error",
        /// No egress rule of the sender allows it.
        PolicyEgress = "policy_egress",
        /// No ingress rule of the receiver allows it.
        PolicyIngress = "policy_ingress",
        /// No port has this destination MAC or address.
        UnknownDestination = "unknown_destination",
        /// The router has no route.
        NoRoute = "no_route",
        /// The port is down, unknown or its network is not there.
        PortDown = "port_down",
        /// The port has used up its share of the flow table.
        FlowQuota = "flow_quota",
        /// No free slot near the flow's place in the table.
        FlowTableFull = "flow_table_full",
        /// No free port at the router's gateway address.
        SnatPorts = "snat_ports",
        /// A rule set larger than this home may walk.
        RuleLimit = "rule_limit",
        /// From the uplink to an address of ours that serves nobody.
        NotServed = "not_served",
    }
}

names! {
    /// What the engine counts besides drops.
    Event {
        /// Packets that reached the uplink program.
        UplinkRx = "rx",
        /// Packets from the uplink translated for a floating IP.
        FloatingIp = "floating_ip",
        /// Packets from the uplink translated back for a source-NAT flow.
        Snat = "snat",
        /// Packets from the uplink given to a guest.
        ToGuest = "to_guest",
        /// Packets left to the host's own stack.
        Passed = "passed",
        /// ARP for our addresses.
        Arp = "arp",
        /// Packets that the XDP program left to netd.
        Deferred = "deferred",
        /// Packets from the uplink answered inside (echo to a gateway).
        Responded = "responded",
        /// Packets from the uplink dropped (the sum of its reasons).
        UplinkDropped = "dropped",
        /// Flows opened.
        FlowOpened = "flows_opened",
        /// Flows checked again after a change of policy.
        FlowRechecked = "flows_rechecked",
        /// Flows cut because policy no longer allows them.
        FlowCut = "flows_cut",
    }
}
