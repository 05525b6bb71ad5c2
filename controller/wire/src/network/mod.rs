//! JSON shapes of the Network API v2.0, which has one version: the shapes of requests are also what the use cases take.
//!
//! Every request object refuses attributes that it does not know, as Neutron does. Addresses, ranges and MACs stay text
//! here; `core::network` reads them and says which attribute is wrong.

mod body;
mod field;
mod floating_ip;
#[allow(clippy::module_inception, reason = "the service is named after its first resource")]
mod network;
mod port;
mod router;
mod security_group;
mod subnet;
mod values;

pub use body::{Invalid, Items, read_items, read_one};
pub use field::boolean;
pub use floating_ip::{CreateFloatingIp, FloatingIpView, PortDetails, UpdateFloatingIp};
pub use network::{CreateNetwork, NetworkView, Provider, UpdateNetwork};
pub use port::{
    AddressPairFields, AddressPairView, Binding, CreatePort, DhcpOptionFields, DnsAssignment, FixedIpFields,
    FixedIpView, PortView, UpdatePort,
};
pub use router::{
    CreateRouter, GatewayFields, GatewayView, InterfaceFields, InterfaceView, RouteFields, RouterView,
    UpdateRouter,
};
pub use security_group::{CreateRule, CreateSecurityGroup, RuleView, SecurityGroupView, UpdateSecurityGroup};
pub use subnet::{CreateSubnet, PoolFields, SubnetView, UpdateSubnet};

use serde::Serialize;

/// What every resource shows (the `standard-attr-*` extensions).
#[derive(Clone, Debug, Serialize)]
pub struct StandardView {
    pub tags: Vec<String>,
    #[serde(flatten)]
    pub untagged: UntaggedView,
}

/// The same of what cannot be tagged.
#[derive(Clone, Debug, Serialize)]
pub struct UntaggedView {
    pub description: String,
    pub created_at: String,
    pub updated_at: String,
    pub revision_number: i64,
}
