use serde::{Deserialize, Deserializer};

/// A switch in a query string, as Python's clients spell it (`True`, `1`, or nothing after the name); for
/// `#[serde(default, deserialize_with = "flag")]`.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| !matches!(text.to_ascii_lowercase().as_str(), "false" | "0" | "no" | "off")))
}
