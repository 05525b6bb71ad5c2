use std::net::IpAddr;

use super::Standard;

/// An address of an external network, owned by a project and translated to a port's address while associated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloatingIp {
    pub id: String,
    pub project_id: String,
    pub network_id: String,
    pub address: IpAddr,
    /// The port of the external network that reserves the address.
    pub address_port_id: String,
    /// The port to which it is translated.
    pub port_id: Option<String>,
    pub fixed_address: Option<IpAddr>,
    /// The router whose gateway answers for it.
    pub router_id: Option<String>,
    pub dns_name: String,
    pub dns_domain: String,
    pub standard: Standard,
}

impl FloatingIp {
    /// `ACTIVE` while it is translated, else `DOWN`.
    pub fn status(&self) -> &'static str {
        if self.port_id.is_some() { "ACTIVE" } else { "DOWN" }
    }
}
