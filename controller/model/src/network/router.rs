use super::{FixedIp, HostRoute, Standard};

/// Joins subnets, and them to an external network. Its interfaces are ports with its id as `device_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    pub id: String,
    pub project_id: String,
    pub name: String,
    pub admin_state_up: bool,
    pub gateway: Option<Gateway>,
    pub routes: Vec<HostRoute>,
    pub standard: Standard,
}

/// A router's side on an external network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    pub network_id: String,
    /// The port (of the external network) that holds the router's address.
    pub port_id: String,
    /// Guests without a floating IP reach the outside under the router's address.
    pub enable_snat: bool,
    /// The port's addresses. Read with the router, written with the port.
    pub fixed_ips: Vec<FixedIp>,
}

impl Router {
    /// Static routes of one router. More are refused.
    pub const MAX_ROUTES: usize = 30;
}
