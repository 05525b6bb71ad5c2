//! Layered volumes: thin, cloned without copying, copied on write; and the scanner that says what an image is.
//!
//! An image becomes a sealed base layer once ([`import_image`]); a disk is a thin layer over it, made in no time
//! ([`create_volume`]); [`Volume`] serves the chain as a block device. [`format`](mod@format) states the file format
//! and the order of its writes.

#![forbid(unsafe_code)]

mod channel;
mod error;
pub mod format;
mod import;
pub mod inspect;
mod layer;
mod manage;
mod qcow2;
pub mod scanner;
#[cfg(test)]
mod tests;
mod volume;

pub use error::VolumeError;
pub use import::{Progress, import_image};
pub use inspect::{Format, InspectError, Inspection, PartitionTable, inspect};
pub use manage::{Problem, VolumeInfo, create_volume, delete, info, verify};
pub use volume::{MAX_LAYERS, Volume};
