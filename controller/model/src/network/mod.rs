//! The network service's resources, and the rules about them that need no database.
//!
//! A network holds subnets (address ranges) and ports (plugs, each with a MAC and addresses). A router joins subnets
//! through ports of its own; a floating IP is an address of an external network that is translated to a port's.
//! Terms and values are those of the Network API v2.0 reference.

mod floating_ip;
pub mod ipam;
#[allow(clippy::module_inception, reason = "the service is named after its first resource")]
mod network;
mod port;
mod quota;
mod router;
mod rule;
mod security_group;
mod standard;
mod subnet;

pub use floating_ip::FloatingIp;
pub use network::{DEFAULT_MTU, MAX_MTU, MIN_MTU, Network};
pub use port::{AddressPair, ExtraDhcpOption, FixedIp, Port, PortStatus, device_owner, random_mac};
pub use quota::{QUOTAS, QuotaResource, UNLIMITED};
pub use router::{Gateway, Router};
pub use rule::{Direction, EtherType, RemotePeer, RuleRequest, RuleSpec, parse_prefix, protocol};
pub use security_group::{DEFAULT_GROUP_NAME, SecurityGroup, SecurityGroupRule};
pub use standard::Standard;
pub use subnet::{AllocationPool, HostRoute, Ipv6Mode, Subnet};

/// A request that contradicts the rules of the Network API: what the tenant reads, and the type on which clients match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub kind: RefusalKind,
    /// The name of Neutron's exception, such as `InvalidInput`.
    pub code: &'static str,
    pub message: String,
}

/// Whether the request is wrong in itself (400) or only beside what exists (409).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    BadRequest,
    Conflict,
}

impl Refusal {
    /// Wrong in itself.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::BadRequest, code, message: message.into() }
    }

    /// In conflict with what exists.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Conflict, code, message: message.into() }
    }

    /// Neutron's general refusal of an operation's input.
    pub fn invalid_input(reason: impl std::fmt::Display) -> Self {
        Self::bad_request("InvalidInput", format!("Invalid input for operation: {reason}."))
    }

    /// Neutron's refusal of one attribute's value.
    pub fn invalid_attribute(attribute: &str, reason: impl std::fmt::Display) -> Self {
        Self::bad_request("HTTPBadRequest", format!("Invalid input for {attribute}. Reason: {reason}."))
    }
}
