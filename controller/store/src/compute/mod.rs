//! SQL of the compute service: what is offered, servers, hosts, and the tasks between them.

pub mod console;
pub mod flavor;
pub mod host;
pub mod host_credential;
pub mod keypair;
pub mod quota;
mod sequence;
pub mod server;
pub mod task;
mod task_event;

use crate::error::StoreError;

/// A stored unsigned number. They are written as what SQL has, signed 64-bit numbers.
fn unsigned(value: i64, column: &'static str) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::corrupt(column))
}

/// How an unsigned number is written. None of ours comes near the limit.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A stored JSON document.
fn from_json<T: serde::de::DeserializeOwned>(text: &str, column: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::corrupt(column))
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::broken(error.to_string()))
}
