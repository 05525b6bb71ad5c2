//! What requests of all resources have in common: fields that may not be null, and attributes beyond the known.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// For `#[serde(default, deserialize_with = "not_null")]` on an `Option<T>`: absent is `None`, null is refused.
pub(super) fn not_null<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// For the resource in a request: an object without any attribute asks for nothing and is refused.
pub(super) fn not_empty<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let fields = Map::deserialize(deserializer)?;
    if fields.is_empty() {
        return Err(D::Error::custom("it has no attributes"));
    }
    T::deserialize(Value::Object(fields)).map_err(D::Error::custom)
}

/// The attributes of a request that are none of Keystone's: `links` and `id` of a resource that a client sends
/// back as it got it are left out. `:` and `-` in names become `_`.
pub fn extra(rest: Map<String, Value>) -> Map<String, Value> {
    let known = |name: &str| matches!(name, "id" | "links" | "password_expires_at");
    let rest = rest.into_iter().filter(|(name, _)| !known(name));
    rest.map(|(name, value)| (name.replace([':', '-'], "_"), value)).collect()
}
