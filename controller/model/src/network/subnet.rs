use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Standard;

/// A range of addresses of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub id: String,
    pub network_id: String,
    pub project_id: String,
    pub name: String,
    pub cidr: IpNet,
    /// `None`: the subnet has no router, and DHCP announces none.
    pub gateway_ip: Option<IpAddr>,
    pub enable_dhcp: bool,
    /// Resolvers that DHCP announces; empty means our own.
    pub dns_nameservers: Vec<IpAddr>,
    pub host_routes: Vec<HostRoute>,
    /// Where addresses are taken from when the request names none.
    pub allocation_pools: Vec<AllocationPool>,
    pub ipv6_ra_mode: Option<Ipv6Mode>,
    pub ipv6_address_mode: Option<Ipv6Mode>,
    /// When not empty, only ports of these device owners get addresses from here unasked.
    pub service_types: Vec<String>,
    pub standard: Standard,
}

/// First and last address, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationPool {
    pub start: IpAddr,
    pub end: IpAddr,
}

/// A route: DHCP announces a subnet's to its guests, a router keeps its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRoute {
    pub destination: IpNet,
    pub nexthop: IpAddr,
}

/// How guests learn their IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv6Mode {
    Slaac,
    Dhcpv6Stateful,
    Dhcpv6Stateless,
}

impl Subnet {
    /// Whether a port's address follows from its MAC (RFC 4291, appendix A) instead of being taken from a pool.
    pub fn derives_addresses(&self) -> bool {
        matches!(self.ipv6_address_mode, Some(Ipv6Mode::Slaac | Ipv6Mode::Dhcpv6Stateless))
    }

    /// `4` or `6`.
    pub fn ip_version(&self) -> u8 {
        match self.cidr {
            IpNet::V4(_) => 4,
            IpNet::V6(_) => 6,
        }
    }

    /// Whether a port of this device owner gets an address from here when it asks for none.
    pub fn serves(&self, device_owner: &str) -> bool {
        self.service_types.is_empty() || self.service_types.iter().any(|kind| kind == device_owner)
    }
}

impl Ipv6Mode {
    const ALL: [Self; 3] = [Self::Slaac, Self::Dhcpv6Stateful, Self::Dhcpv6Stateless];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slaac => "slaac",
            Self::Dhcpv6Stateful => "dhcpv6-stateful",
            Self::Dhcpv6Stateless => "dhcpv6-stateless",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

impl std::fmt::Display for AllocationPool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.start, self.end)
    }
}
