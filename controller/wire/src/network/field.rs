//! Values that Neutron takes in more than one spelling.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// How Neutron begins what it says about a value that it cannot read.
pub(super) const INVALID_INPUT: &str = "Invalid input for operation:";

/// A boolean as Neutron spells them, in requests and in filters: `true`, `1`, `yes`, `on`, `t`, `y`, or an opposite.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// A value as Neutron's messages show it.
pub(super) fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A boolean in any spelling; null is none.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let parsed = match &value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => boolean(text),
        Value::Number(number) => boolean(&number.to_string()),
        _ => None,
    };
    let wrong =
        || D::Error::custom(format!("{INVALID_INPUT} '{}' cannot be converted to boolean.", python(&value)));
    parsed.map(Some).ok_or_else(wrong)
}

/// The same, or null, which is like nothing said.
pub(super) fn flag_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => flag(value).map_err(D::Error::custom),
    }
}

/// `5` or `"5"`.
pub(super) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let parsed = match &value {
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let wrong = || D::Error::custom(format!("{INVALID_INPUT} '{}' is not an integer.", python(&value)));
    parsed.map(Some).ok_or_else(wrong)
}

/// The same, or null, which is like nothing said.
pub(super) fn integer_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => integer(value).map_err(D::Error::custom),
    }
}

/// A list; null is an empty one.
pub(super) fn list_or_null<'de, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Some(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default()))
}

/// `"tcp"`, `"6"` or `6`.
pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        other => Err(D::Error::custom(format!("'{other}' is neither a name nor a number"))),
    }
}
