//! SQL of the network service: one file of queries per resource.

mod columns;

pub mod floating_ip;
#[allow(clippy::module_inception, reason = "the service is named after its first resource")]
pub mod network;
pub mod port;
pub mod quota;
pub mod router;
pub mod security_group;
pub mod subnet;
