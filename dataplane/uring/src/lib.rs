//! The io_uring wall: one ring per thread, an in-flight table that owns what the kernel touches, registered files
//! and registered guest memory.
//!
//! A [`Ring`] serves *requests*. A request owns the [`Chain`](updraft_virtio::Chain) whose guest memory its
//! operations move bytes to and from, and a value of the caller's; both stay inside the ring until no operation of
//! the request is in the kernel, so a caller cannot free memory under the kernel, by mistake or by unwinding.
//! Operations are pushed into the submission queue and go to the kernel in batches ([`Ring::turn`]); a short
//! transfer is continued here, and the caller sees a request once, when all of its operations ended.
//!
//! File descriptors can be watched in the same ring (the kick of a virtqueue), so one wait serves both.

#![allow(unsafe_code)]

pub mod bare;
mod error;
mod operation;
mod registered;
mod ring;
mod slots;
#[cfg(test)]
mod tests;

pub use error::{Failure, RingError};
pub use operation::{FileIndex, Span};
pub use ring::{Finished, RequestId, Ring, RingConfig};
