//! Resources, their states and allowed transitions. No SQL, no HTTP.
//!
//! Read [`identity`] first: every other resource belongs to one of its projects.

pub mod audit;
pub mod compute;
pub mod id;
pub mod identity;
pub mod image;
pub mod network;
pub mod time;

pub use time::Timestamp;
