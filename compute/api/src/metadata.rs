//! What a guest may learn about itself, at 169.254.169.254 and on its config drive. It travels with the plan, so
//! that a host answers its guests with the controller down.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use updraft_base::{MacAddress, PortId};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerMetadata {
    /// The server's display name.
    pub name: String,
    /// The name the guest should take: a DNS label made from `name`.
    pub hostname: String,
    pub project_id: String,
    pub availability_zone: String,
    /// The tenant's key-value pairs.
    pub meta: BTreeMap<String, String>,
    /// Key pair name → public key, at most one today.
    pub public_keys: BTreeMap<String, String>,
    /// Base64 of the tenant's user data, as it came.
    pub user_data: Option<String>,
    pub admin_password: Option<String>,
    pub flavor_name: String,
    pub security_group_names: Vec<String>,
    pub nics: Vec<NicMetadata>,
}

/// One network card, for `network_data.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicMetadata {
    pub port_id: PortId,
    pub network_id: String,
    pub mac: MacAddress,
    pub mtu: u16,
    /// Fixed address → floating address, for the EC2 tree's `public-ipv4`.
    pub addresses: Vec<NicAddress>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicAddress {
    pub address: String,
    /// Netmask in dotted form for IPv4, prefix length for IPv6.
    pub netmask: String,
    pub gateway: Option<String>,
    pub dns_servers: Vec<String>,
    pub floating_address: Option<String>,
}
