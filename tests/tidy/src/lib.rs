//! The style of the house as a test: `cargo test -p updraft-tidy`.
//!
//! Each module holds one rule as plain functions from text to findings, so that the rule itself can be tested on a few
//! lines; `tests/house.rs` applies all of them to the repository. A finding is one line: where, what, what to do.

pub mod advisories;
pub mod arrows;
pub mod budget;
pub mod exceptions;
pub mod layout;
pub mod readme;
pub mod repository;
pub mod rust;
pub mod safety;
pub mod words;

/// One violation: where, what is wrong, what to do about it.
pub type Finding = String;
