//! The network of one host: vhost-user ports, the uplink, and what is answered inside.
//!
//! A guest's packet: [`worker`] pops it from the transmit ring, copies its head into private memory and asks the flow
//! engine (`updraft-flow`); [`switch`] carries the verdict out: into another [`port`]'s receive ring (one copy, guest
//! to guest), out on the uplink, or to the [`respond`]ers. [`network`] puts all of it together and takes configurations.

#![forbid(unsafe_code)]

pub mod frame;
pub mod network;
pub mod offload;
mod plane;
pub mod port;
pub mod program;
pub mod respond;
mod switch;
mod worker;

pub use network::{Network, NetworkError, NetworkSettings, UplinkSettings};
