//! The controller's end of the contract with hosts (`updraft_compute_api`): they pull their plan and push what they
//! observe. Nothing here ever calls a host to make it do something.

mod client;
mod credential;
pub mod doctor;
pub mod enrol;
mod plan;
mod report;
pub mod status;

pub(crate) use client::client;
pub(crate) use credential::shown_to;
pub use credential::{HostCredential, authenticate, register_own};
pub use plan::{has_image, plan, wait_for_plan};
pub use report::report;
