//! Columns that hold a JSON object or list; NULL is an empty one.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::query::Row;

pub(super) fn get<T: DeserializeOwned + Default>(row: &Row, column: &str) -> Result<T, StoreError> {
    let Some(text) = row.try_get::<Option<String>>(column)? else { return Ok(T::default()) };
    serde_json::from_str(&text).map_err(|_| StoreError::corrupt(column))
}

/// The text of a column.
pub(super) fn text(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::corrupt("not JSON"))
}
