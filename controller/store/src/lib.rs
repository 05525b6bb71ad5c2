//! All SQL. Nothing outside this crate names a table, a column or a type of the database driver.
//!
//! Reads take a [`Conn`] from [`Store::read`]; every change is one closure given to [`Store::write`], which
//! is one transaction. A [`Tx`] dereferences to [`Conn`], so queries work inside transactions too.
//! One file of queries per resource: `network/port.rs` has `insert`, `get`, `list`, `update`, `delete`.

mod connection;
mod counters;
mod database_url;
mod epoch;
mod error;
mod migrations;
mod mysql;
mod query;
mod select;
mod transaction;

pub mod audit;
pub mod compute;
pub mod idempotency;
pub mod identity;
pub mod image;
pub mod leftovers;
pub mod network;

#[cfg(test)]
mod tests;

pub use connection::{BoxFuture, Conn, Store, Tx};
pub use counters::StoreCounters;
pub use database_url::DatabaseUrl;
pub use epoch::IDENTITY_EPOCH_MAX_AGE;
pub use error::{StoreError, StoreErrorKind};
