//! SQL of the image service.

pub mod file;
pub mod member;
pub mod metadef;
pub mod record;
pub mod task;

use crate::error::StoreError;

/// The database's integers are signed; no image comes near the limit of 2^63 bytes.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn unsigned(value: i64, column: &'static str) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::corrupt(column))
}
