//! The controller's end of the contract with hosts (`updraft_compute_api`): they pull their plan and push what they
//! observe. Nothing here ever calls a host to make it do something.

mod credential;
pub mod doctor;
mod plan;
mod report;
pub mod status;

pub use credential::{HostCredential, authenticate, register_own};
pub use plan::{has_image, plan, wait_for_plan};
pub use report::report;
