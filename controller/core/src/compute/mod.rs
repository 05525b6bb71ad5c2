//! Use cases of the compute service.
//!
//! Creating a server ([`create_server`]) and acting on it ([`server_action`]) write intent and a task, nothing more:
//! [`crate::tasks`] does the rest.

mod access;
pub mod console;
pub mod create_server;
pub mod flavor;
pub mod host_admin;
pub mod interface;
pub mod journal;
pub mod keypair;
mod new_server;
pub mod quota;
pub mod server;
pub mod server_action;
mod text;

use updraft_wire::compute::SchemaError;

use crate::Error;

impl From<SchemaError> for Error {
    fn from(error: SchemaError) -> Self {
        Self::bad_request("ValidationError", error.message)
    }
}
