//! Columns that several tables share, and values that are kept as text.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;
use updraft_model::Timestamp;
use updraft_model::network::Standard;

use crate::error::StoreError;
use crate::query::Row;

/// The five columns at the end of every table.
pub(super) fn standard(row: &Row) -> Result<Standard, StoreError> {
    Ok(Standard {
        description: row.try_get("description")?,
        tags: json(row, "tags")?,
        created_at: Timestamp(row.try_get("created_at")?),
        updated_at: Timestamp(row.try_get("updated_at")?),
        revision: row.try_get("revision")?,
    })
}

/// A JSON column.
pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &'static str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|_| StoreError::corrupt(column))
}

/// A value as JSON text.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::corrupt(error.to_string()))
}

/// A text column that parses into `T`: an address, a range, a MAC.
pub(super) fn parsed<T: FromStr>(row: &Row, column: &'static str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| StoreError::corrupt(column))
}

/// The same, where NULL is none.
pub(super) fn parsed_optional<T: FromStr>(row: &Row, column: &'static str) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|_| StoreError::corrupt(column))).transpose()
}

/// An integer column that fits `T`.
pub(super) fn integer<T: TryFrom<i64>>(row: &Row, column: &'static str) -> Result<T, StoreError> {
    T::try_from(row.try_get(column)?).map_err(|_| StoreError::corrupt(column))
}

/// The same, where NULL is none.
pub(super) fn integer_optional<T: TryFrom<i64>>(
    row: &Row,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    let value: Option<i64> = row.try_get(column)?;
    value.map(|value| T::try_from(value).map_err(|_| StoreError::corrupt(column))).transpose()
}

/// The spelling in which addresses, ranges and MACs are kept.
pub(super) fn text<T: Display>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// An object column.
pub(super) fn object(row: &Row, column: &'static str) -> Result<serde_json::Map<String, Value>, StoreError> {
    json(row, column)
}
