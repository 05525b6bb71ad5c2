//! The contract between controller and host.
//!
//! A host pulls its [`plan::HostPlan`] (everything that should be on it, with a generation that grows) and pushes
//! what it observes ([`observed::HostObserved`]). Both are always whole. The paths are in [`path`]; every request of
//! a host carries its own credential as `Authorization: Bearer …`, and the controller carries the same credential
//! when it reads a guest's console from the agent.

#![forbid(unsafe_code)]

pub mod inventory;
pub mod metadata;
pub mod observed;
pub mod path;
pub mod plan;
