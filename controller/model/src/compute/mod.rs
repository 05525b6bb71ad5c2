//! The compute service's resources.
//!
//! Read [`server`] first: its states and which action is allowed in which of them. [`task`] is how a server gets
//! from one state to the next, [`host`] is where.

mod flavor;
pub mod host;
mod keypair;
pub mod quota;
pub mod server;
mod server_name;
pub mod task;

pub use flavor::{Flavor, FlavorSnapshot};
pub use host::Host;
pub use keypair::{KeyPair, KeyPairKind};
pub use server::{Action, Fault, PowerState, Refusal, Server, ServerSpec, TaskState, VmState};
pub use server_name::hostname_from;
pub use task::{Program, Step, Task, TaskStatus};

/// The one availability zone that servers are in.
pub const DEFAULT_AVAILABILITY_ZONE: &str = "nova";
