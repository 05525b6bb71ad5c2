use super::Standard;

/// The largest IP packet on a network that stays on one machine, in bytes.
pub const DEFAULT_MTU: u16 = 1500;
/// The smallest MTU that a network may have (RFC 791: what every IPv4 module must forward), in bytes.
pub const MIN_MTU: u16 = 68;
/// The largest MTU that a network may have, in bytes: jumbo frames.
pub const MAX_MTU: u16 = 9000;

/// An isolated L2 segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub id: String,
    pub project_id: String,
    pub name: String,
    pub admin_state_up: bool,
    /// Every project may plug ports into it.
    pub shared: bool,
    /// The uplink carries it: routers' gateways and floating IPs live here.
    pub external: bool,
    /// The external network that is taken when none is named.
    pub is_default: bool,
    pub mtu: u16,
    /// What new ports get.
    pub port_security_enabled: bool,
    pub dns_domain: String,
    /// `local` or `flat`.
    pub network_type: String,
    pub physical_network: Option<String>,
    pub segmentation_id: Option<i64>,
    /// Ids of its subnets, in the order in which they were made. Read with the network, written with the subnets.
    pub subnets: Vec<String>,
    pub standard: Standard,
}
