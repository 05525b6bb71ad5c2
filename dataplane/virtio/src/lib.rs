//! The wall around guest memory: what a guest can reach is checked here, once, and nowhere else.
//!
//! A guest shares its whole memory with a backend and can change any byte of it at any moment. So nothing outside
//! this crate holds a reference into guest memory. [`memory`] maps the table that the frontend sends and translates
//! addresses, [`queue`] walks split rings (virtio 1.2, 2.7) and hands out [`Chain`]s, whose bytes are copied in or
//! out by raw copies with every bound checked beforehand.
//!
//! [`driver`] is the other side of the same ring, the guest's: tests and benches drive real backends with it.

#![allow(unsafe_code)]

pub mod chain;
pub mod driver;
pub mod error;
pub mod features;
pub mod memory;
pub mod queue;
mod ring;

pub use chain::{Chain, Segment};
pub use error::{MemoryError, QueueError};
pub use memory::{GuestMemory, MemoryRegion, RegionSpec};
pub use queue::SplitQueue;
