//! Use cases of the network service: the Network API v2.0.
//!
//! One file per resource, with its `create`, `get`, `list`, `update` and `delete`. Requests come in the API's own
//! shapes ([`updraft_wire::network`]), because that API has one version. Every change is one transaction that also
//! raises the hosts' plan generation; [`plan`] then says what a host's netd must know, and [`server_port`] is what
//! compute uses to plug servers in.

mod access;
mod address;
pub mod agent;
mod aim;
mod change;
mod dhcp;
mod error;
pub mod floating_ip;
mod gateway;
mod input;
#[allow(clippy::module_inception, reason = "the service is named after its first resource")]
pub mod network;
pub mod plan;
pub mod port;
mod port_update;
pub mod quota;
pub mod router;
pub mod router_interface;
pub mod rule;
pub mod security_group;
pub mod server_port;
pub mod subnet;
pub mod tag;

#[cfg(test)]
mod tests;

pub use aim::{Aim, Expected};

/// The availability zone of everything in this cloud.
pub const AVAILABILITY_ZONE: &str = "nova";
/// The domain of names that DNS answers inside a network whose own is not set, without the final dot.
pub const DNS_DOMAIN: &str = "openstacklocal";
