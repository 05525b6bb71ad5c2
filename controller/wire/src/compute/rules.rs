//! Which keys an object may hold, by microversion.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Microversion;

/// One key of an object and the microversions in which it exists.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub since: u16,
    /// Inclusive.
    pub until: u16,
    /// Only administrators see it.
    pub admin: bool,
}

/// A body or query that the API's schema does not allow: HTTP 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaError {
    pub message: String,
}

impl SchemaError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// In the words that Nova's validator uses.
    pub fn invalid(path: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(format!("Invalid input for field/attribute {path}. {reason}"))
    }
}

impl Field {
    const LAST: u16 = u16::MAX;

    /// In all versions.
    pub const fn always(name: &'static str) -> Self {
        Self { name, since: 1, until: Self::LAST, admin: false }
    }

    /// From 2.`since` on.
    pub const fn since(name: &'static str, since: u16) -> Self {
        Self { name, since, until: Self::LAST, admin: false }
    }

    /// From 2.`since` to 2.`until`, both included.
    pub const fn between(name: &'static str, since: u16, until: u16) -> Self {
        Self { name, since, until, admin: false }
    }

    /// The same, for administrators alone.
    pub const fn for_admin(self) -> Self {
        Self { admin: true, ..self }
    }

    pub const fn exists_in(&self, version: Microversion) -> bool {
        self.since <= version.0 && version.0 <= self.until
    }
}

/// Refuses every key that no field of `fields` allows in `version`.
pub fn check(
    path: &str,
    object: &Map<String, Value>,
    fields: &[Field],
    version: Microversion,
) -> Result<(), SchemaError> {
    let known = |key: &str| fields.iter().any(|field| field.name == key && field.exists_in(version));
    match object.keys().find(|key| !known(key)) {
        None => Ok(()),
        Some(key) => Err(SchemaError::invalid(
            path,
            format!("Additional properties are not allowed ('{}' was unexpected)", clip(key)),
        )),
    }
}

/// Removes every key that does not exist in `version` or is not for this reader.
pub fn keep(object: &mut Map<String, Value>, fields: &[Field], version: Microversion, admin: bool) {
    object.retain(|key, _| {
        fields.iter().any(|field| field.name == key && field.exists_in(version) && (admin || !field.admin))
    });
}

/// Takes the one object under `key` out of `body`, checks its keys, and reads it as `T`.
pub fn read<T: DeserializeOwned>(
    body: &mut Value,
    key: &str,
    fields: &[Field],
    version: Microversion,
) -> Result<T, SchemaError> {
    let Some(root) = body.as_object_mut() else {
        return Err(SchemaError::invalid("body", "A JSON object is expected"));
    };
    let Some(value) = root.remove(key) else {
        return Err(SchemaError::invalid("body", format!("'{key}' is a required property")));
    };
    if let Some(other) = root.keys().next() {
        let reason = format!("Additional properties are not allowed ('{}' was unexpected)", clip(other));
        return Err(SchemaError::invalid("body", reason));
    }
    read_value(value, key, fields, version)
}

/// The same, where null is no value; `nullable` are the keys for which it is one.
pub fn read_filled<T: DeserializeOwned>(
    body: &mut Value,
    key: &str,
    fields: &[Field],
    version: Microversion,
    nullable: &[&str],
) -> Result<T, SchemaError> {
    if let Some(object) = body.get(key).and_then(Value::as_object) {
        refuse_null(object, nullable)?;
    }
    read(body, key, fields, version)
}

/// Refuses null for every key but the `nullable` ones.
pub fn refuse_null(object: &Map<String, Value>, nullable: &[&str]) -> Result<(), SchemaError> {
    match object.iter().find(|(key, value)| value.is_null() && !nullable.contains(&key.as_str())) {
        None => Ok(()),
        Some((key, _)) => {
            Err(SchemaError::invalid(&clip(key), "Value: None. None is not of the type that is expected"))
        }
    }
}

/// Checks the keys of `value` and reads it as `T`.
pub fn read_value<T: DeserializeOwned>(
    value: Value,
    path: &str,
    fields: &[Field],
    version: Microversion,
) -> Result<T, SchemaError> {
    let Some(object) = value.as_object() else {
        return Err(SchemaError::invalid(path, "A JSON object is expected"));
    };
    check(path, object, fields, version)?;
    serde_json::from_value(value).map_err(|error| SchemaError::invalid(path, error))
}

/// What a client sent, short enough for a message.
fn clip(text: &str) -> String {
    const SHOWN: usize = 64;
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Field, check, keep, read, read_filled};
    use crate::compute::Microversion;

    const FIELDS: &[Field] = &[
        Field::always("name"),
        Field::since("tags", 52),
        Field::between("personality", 1, 56),
        Field::since("host", 1).for_admin(),
    ];

    #[test]
    fn a_key_outside_its_versions_is_refused() {
        let body = json!({"name": "n", "tags": []});
        let object = body.as_object().unwrap();
        assert!(check("server", object, FIELDS, Microversion(52)).is_ok());
        let error = check("server", object, FIELDS, Microversion(51)).unwrap_err();
        assert!(error.message.contains("'tags' was unexpected"), "{error}");
        let body = json!({"personality": []});
        assert!(check("server", body.as_object().unwrap(), FIELDS, Microversion(57)).is_err());
    }

    #[test]
    fn an_answer_keeps_what_its_version_and_reader_have() {
        let mut body = json!({"name": 1, "tags": 2, "host": 3});
        keep(body.as_object_mut().unwrap(), FIELDS, Microversion(1), false);
        assert_eq!(body, json!({"name": 1}));
        let mut body = json!({"name": 1, "tags": 2, "host": 3});
        keep(body.as_object_mut().unwrap(), FIELDS, Microversion(96), true);
        assert_eq!(body, json!({"name": 1, "tags": 2, "host": 3}));
    }

    #[test]
    fn null_is_a_value_only_where_it_is_said() {
        let read = |body: Value| {
            let mut body = json!({ "server": body });
            read_filled::<Value>(&mut body, "server", FIELDS, Microversion(52), &["tags"])
        };
        assert!(read(json!({"name": "n", "tags": null})).is_ok());
        assert!(read(json!({"name": null})).unwrap_err().message.contains("None"));
    }

    #[test]
    fn a_body_has_one_root_and_nothing_beside_it() {
        let version = Microversion(1);
        assert!(read::<Value>(&mut json!({"server": {"name": "n"}}), "server", FIELDS, version).is_ok());
        for bad in [json!([]), json!({}), json!({"server": 1}), json!({"server": {}, "x": 1}), json!(null)] {
            assert!(read::<Value>(&mut bad.clone(), "server", FIELDS, version).is_err(), "{bad}");
        }
    }
}
