//! The JSON shapes of OpenStack's APIs: serde only, no decisions.
//!
//! Requests are named after the call (`CreateProject`), answers after the resource (`ProjectView`).

mod nullable;

pub mod compute;
pub mod identity;
pub mod image;
pub mod network;

pub use nullable::nullable;
