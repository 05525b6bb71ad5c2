//! vhost-user-blk over a [`BlockDevice`](device::BlockDevice).
//!
//! The one flow: the guest makes requests available → [`queue`] takes a batch and checks each ([`request`]) → the
//! device's channel turns it into operations ([`device`]) → one submission to the kernel, from guest memory to file
//! → completions → status byte, used ring, one call. Nothing on this path takes a lock or copies data.

#![forbid(unsafe_code)]

pub mod config;
pub mod device;
pub mod disk;
pub mod frontend;
pub mod queue;
pub mod request;
pub mod stats;
#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskState};
