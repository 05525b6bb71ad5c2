//! JSON shapes of the compute API (API reference "Compute API").
//!
//! The shapes are closed and change with the microversion: a key too many is as wrong as a key too few. What changes
//! when is data: [`rules`] holds the mechanism, each resource's file its tables.

pub mod flavor;
pub mod host;
pub mod journal;
pub mod keypair;
mod lenient;
pub mod limits;
pub mod rules;
pub mod server;
pub mod server_create;
pub mod version;

pub use rules::{Field, SchemaError};
pub use version::Microversion;
