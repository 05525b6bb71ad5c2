//! What requests of all resources have in common: fields that may not be null, and attributes beyond the known.

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

/// The attributes of a request that are none of Keystone's: `links` and `id` of a resource that a client sends
/// back as it got it are left out. `:` and `-` in names become `_`.
pub fn extra(rest: Map<String, Value>) -> Map<String, Value> {
    let known = |name: &str| matches!(name, "id" | "links" | "password_expires_at");
    let rest = rest.into_iter().filter(|(name, _)| !known(name));
    rest.map(|(name, value)| (name.replace([':', '-'], "_"), value)).collect()
}
