use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use updraft_base::MacAddress;
use uuid::Uuid;

use super::Standard;

/// A plug of a network: what a server's card, a router or the DHCP responder is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub id: String,
    pub network_id: String,
    /// Empty for ports that belong to the cloud: routers' gateways and floating IPs.
    pub project_id: String,
    pub name: String,
    pub mac: MacAddress,
    pub admin_state_up: bool,
    pub status: PortStatus,
    /// What uses the port: a server's or a router's id, or what the tenant wrote.
    pub device_id: String,
    /// One of [`device_owner`], or what the tenant wrote. Never decides what the port may send.
    pub device_owner: String,
    /// The server whose card this is. Set by compute alone, so that no tenant's `device_id` becomes an identity.
    pub server_id: Option<String>,
    /// Which of the server's cards it is, from 0.
    pub server_position: u32,
    /// True when compute made the port and so deletes it with the server.
    pub owned_by_server: bool,
    /// The host on which the port is plugged in.
    pub host_id: Option<String>,
    pub binding_profile: serde_json::Map<String, serde_json::Value>,
    pub vnic_type: String,
    pub fixed_ips: Vec<FixedIp>,
    /// Ids of security groups, in order of id.
    pub security_groups: Vec<String>,
    pub allowed_address_pairs: Vec<AddressPair>,
    pub extra_dhcp_opts: Vec<ExtraDhcpOption>,
    pub port_security_enabled: bool,
    /// The host name in DNS; empty means one made of the address.
    pub dns_name: String,
    pub standard: Standard,
}

/// An address of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedIp {
    pub subnet_id: String,
    pub address: IpAddr,
}

/// A further source address that the guest may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPair {
    pub prefix: IpNet,
    /// `None` means the port's own.
    pub mac: Option<MacAddress>,
}

/// An option that DHCP adds for this port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraDhcpOption {
    pub name: String,
    pub value: String,
    pub ip_version: u8,
}

/// Whether packets can flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortStatus {
    Active,
    Down,
    /// Ports that carry an address only (floating IPs).
    NotApplicable,
}

/// Values of `device_owner` that mean something to the cloud.
pub mod device_owner {
    pub const DHCP: &str = "network:dhcp";
    pub const FLOATING_IP: &str = "network:floatingip";
    pub const ROUTER_GATEWAY: &str = "network:router_gateway";
    pub const ROUTER_INTERFACE: &str = "network:router_interface";
    /// The start of every owner that only the cloud itself may write.
    pub const CLOUD_PREFIX: &str = "network:";
    /// The start of a server's port's owner; its availability zone follows.
    pub const COMPUTE_PREFIX: &str = "compute:";
}

impl Port {
    /// Allowed address pairs of one port. More are refused, because each costs an entry in the data path's tables.
    pub const MAX_ADDRESS_PAIRS: usize = 10;
    /// Addresses of one port. More are refused.
    pub const MAX_FIXED_IPS: usize = 5;

    /// The port's first address of this version, or its first at all for `None`.
    pub fn first_address(&self) -> Option<IpAddr> {
        self.fixed_ips.first().map(|fixed| fixed.address)
    }

    /// The host name that DHCP announces and DNS answers for `address`: the tenant's, or one made of the address.
    pub fn host_name(&self, address: IpAddr) -> String {
        if self.dns_name.is_empty() {
            format!("host-{}", address.to_string().replace(['.', ':'], "-"))
        } else {
            self.dns_name.clone()
        }
    }

    /// Whether the port belongs to a router, to DHCP or to a floating IP.
    pub fn is_of_the_cloud(&self) -> bool {
        self.device_owner.starts_with(device_owner::CLOUD_PREFIX)
    }
}

impl PortStatus {
    const ALL: [Self; 3] = [Self::Active, Self::Down, Self::NotApplicable];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Down => "DOWN",
            Self::NotApplicable => "N/A",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A random address under `fa:16:3e`, the prefix by which operators know a cloud's ports.
pub fn random_mac() -> MacAddress {
    let random = Uuid::new_v4().into_bytes();
    MacAddress([0xfa, 0x16, 0x3e, random[0], random[1], random[2]])
}

#[cfg(test)]
mod tests {
    use super::random_mac;

    #[test]
    fn random_macs_have_the_prefix_and_differ() {
        let (a, b) = (random_mac(), random_mac());
        assert!(a.to_string().starts_with("fa:16:3e:"), "{a}");
        assert_ne!(a, b);
    }
}
