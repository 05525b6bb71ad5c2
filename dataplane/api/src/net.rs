//! netd: the desired network of one host, and what netd reports.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use updraft_base::{
    FloatingIpId, MacAddress, NetworkId, PortId, RouterId, SecurityGroupId, ServerId, SubnetId,
};
use uuid::Uuid;

use crate::SocketRole;

/// One request on netd's control socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum NetRequest {
    /// Make the host's network look like this. Answered when it is in force.
    Apply { config: NetConfig },
    /// What is.
    Status,
}

/// The answer to one [`NetRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "response")]
pub enum NetResponse {
    /// `generation` is in force.
    Applied {
        generation: u64,
    },
    Status {
        status: NetStatus,
    },
    /// Nothing was changed; the reason names the object and the limit.
    Refused {
        reason: String,
    },
}

/// Everything that netd must know to serve this host's ports. Level-triggered: always the whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetConfig {
    /// Grows with every change. netd ignores a generation lower than the one in force.
    pub generation: u64,
    pub networks: Vec<Network>,
    pub routers: Vec<Router>,
    /// The ports of servers on this host.
    pub ports: Vec<Port>,
    /// The security groups that the ports use, and those that their rules name.
    pub security_groups: Vec<SecurityGroup>,
    /// The floating IPs that are translated on this host.
    pub floating_ips: Vec<FloatingIp>,
}

/// An L2 network with its subnets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    pub id: NetworkId,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// True when the uplink carries this network (floating IPs and router gateways live here).
    pub external: bool,
    pub subnets: Vec<Subnet>,
    /// Names for the DNS responder: fully qualified, lower case, without the final dot.
    #[serde(default)]
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    pub id: SubnetId,
    pub cidr: IpNet,
    /// The router that DHCP announces; `None` announces none.
    pub gateway: Option<IpAddr>,
    /// `None` when DHCP is off on this subnet.
    pub dhcp: Option<Dhcp>,
}

/// The subnet's DHCP responder, answered inside netd.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dhcp {
    /// The address (of the network's `network:dhcp` port) from which DHCP answers, DNS is served, and through
    /// which the metadata address is routed when the subnet has no gateway.
    pub server_address: IpAddr,
    pub server_mac: MacAddress,
    pub lease_s: u32,
    /// Announced resolvers; when empty, `server_address`, where netd forwards.
    pub dns_servers: Vec<IpAddr>,
    pub host_routes: Vec<HostRoute>,
    /// Announced search domain, such as `openstacklocal`.
    pub domain: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRoute {
    pub destination: IpNet,
    pub next_hop: IpAddr,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Router {
    pub id: RouterId,
    pub interfaces: Vec<RouterInterface>,
    /// `None` without an external gateway: such a router joins its subnets and nothing else.
    pub gateway: Option<RouterGateway>,
    /// Static routes of the router itself (`extraroute`).
    pub routes: Vec<HostRoute>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouterInterface {
    pub port_id: PortId,
    pub network_id: NetworkId,
    pub subnet_id: SubnetId,
    pub address: IpAddr,
    pub mac: MacAddress,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouterGateway {
    pub port_id: PortId,
    /// An external network.
    pub network_id: NetworkId,
    pub address: IpAddr,
    pub prefix_len: u8,
    pub mac: MacAddress,
    /// Where packets go whose destination is not on the external subnet.
    pub next_hop: Option<IpAddr>,
    /// Source NAT to `address` for guests without a floating IP.
    pub enable_snat: bool,
}

/// A server's port on this host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    pub id: PortId,
    pub server_id: ServerId,
    pub network_id: NetworkId,
    pub mac: MacAddress,
    pub fixed_ips: Vec<FixedIp>,
    /// Further source addresses that the guest may use.
    #[serde(default)]
    pub allowed_address_pairs: Vec<AddressPair>,
    /// Off: neither anti-spoofing nor security groups.
    pub port_security_enabled: bool,
    pub security_groups: Vec<SecurityGroupId>,
    pub admin_state_up: bool,
    /// The name that DHCP announces.
    pub hostname: Option<String>,
    /// Where netd and QEMU meet.
    pub socket_path: PathBuf,
    #[serde(default)]
    pub socket_role: SocketRole,
    /// Queue pairs, 1 to 8.
    pub queue_pairs: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedIp {
    pub subnet_id: SubnetId,
    pub address: IpAddr,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressPair {
    pub prefix: IpNet,
    /// `None` means the port's own.
    pub mac: Option<MacAddress>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    pub id: SecurityGroupId,
    pub stateful: bool,
    pub rules: Vec<SecurityGroupRule>,
    /// The addresses of all ports, on any host, that are members: what `RemotePeer::Group` means.
    pub members: Vec<IpAddr>,
}

/// What a rule allows. There are no denying rules; what no rule allows is dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupRule {
    pub id: Uuid,
    pub direction: Direction,
    pub ethertype: EtherType,
    /// IP protocol number; `None` is any.
    pub protocol: Option<u8>,
    /// First port, or ICMP type; `None` is any.
    pub port_range_min: Option<u16>,
    /// Last port (inclusive), or ICMP code; `None` is any.
    pub port_range_max: Option<u16>,
    pub remote: RemotePeer,
}

/// As seen from the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Ingress,
    Egress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EtherType {
    Ipv4,
    Ipv6,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemotePeer {
    Any,
    Prefix(IpNet),
    Group(SecurityGroupId),
}

/// A one-to-one translation between an address on the uplink and a port's fixed address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FloatingIp {
    pub id: FloatingIpId,
    pub address: Ipv4Addr,
    /// The router whose gateway's MAC answers ARP for `address`.
    pub router_id: RouterId,
    pub port_id: PortId,
    pub fixed_address: Ipv4Addr,
}

/// What netd reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetStatus {
    /// The generation in force.
    pub generation: u64,
    pub pid: u32,
    /// Seconds since netd started.
    pub uptime_s: u64,
    pub uplink: Option<UplinkStatus>,
    pub ports: Vec<PortStatus>,
    /// Packets dropped, by reason, since the tables were made (all ports and the uplink).
    pub drops: BTreeMap<String, u64>,
    /// Entries of the flow table in use, and its size.
    pub flows: u64,
    pub flow_capacity: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UplinkStatus {
    pub interface: String,
    /// True when our XDP program is on the interface now (asked of the kernel, not remembered).
    pub xdp_attached: bool,
    /// `native`, `generic`, or empty when not attached.
    pub xdp_mode: String,
    /// Counted by the XDP program itself: `rx`, `floating_ip`, `to_guest`, `passed`, `dropped`, ...
    pub xdp_counters: BTreeMap<String, u64>,
    pub tx_packets: u64,
    pub rx_packets: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortStatus {
    pub id: PortId,
    /// True when a virtual machine is plugged in: its VMM is connected, whether or not the guest has a driver yet.
    pub plugged: bool,
    /// True when a guest's rings are running.
    pub connected: bool,
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub drops: u64,
}
