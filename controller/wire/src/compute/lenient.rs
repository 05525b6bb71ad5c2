//! Numbers and booleans as Nova takes them: as themselves or as text.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// `true`, `"True"`, `"1"`, `"on"`, `"yes"` and their opposites, in lower or upper case or with a capital.
pub fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(value)),
        Value::String(text) => match text.as_str() {
            "True" | "TRUE" | "true" | "1" | "ON" | "On" | "on" | "YES" | "Yes" | "yes" => Ok(Some(true)),
            "False" | "FALSE" | "false" | "0" | "OFF" | "Off" | "off" | "NO" | "No" | "no" => Ok(Some(false)),
            _ => Err(D::Error::custom("a boolean is expected")),
        },
        _ => Err(D::Error::custom("a boolean is expected")),
    }
}

/// `5` or `"5"`; not negative.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let refuse = || D::Error::custom("a number that is not negative is expected");
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map(Some).map_err(|_| refuse())
        }
        Value::Number(number) => {
            number.as_u64().and_then(|number| u32::try_from(number).ok()).map(Some).ok_or_else(refuse)
        }
        _ => Err(refuse()),
    }
}

/// Text, or a whole number taken as text: ids of flavors.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) if number.is_u64() => Ok(Some(number.to_string())),
        _ => Err(D::Error::custom("text is expected")),
    }
}
