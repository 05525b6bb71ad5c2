//! Layered volumes: thin, cloned without copying, copied on write; and the scanner that says what an image is.

#![forbid(unsafe_code)]

pub mod inspect;

pub use inspect::{Format, InspectError, Inspection, PartitionTable, inspect};
