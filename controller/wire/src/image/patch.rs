//! `PATCH /v2/images/{id}`: JSON patches (RFC 6902), in the two media types of the image API.
//!
//! v2.1 has `{"op": "replace", "path": "/name", "value": …}`; v2.0 had `{"replace": "/name", "value": …}`.
//! Only paths of one level exist.

use serde_json::Value;

/// The media type of today.
pub const V2_1: &str = "application/openstack-images-v2.1-json-patch";
/// The media type of old.
pub const V2_0: &str = "application/openstack-images-v2.0-json-patch";

/// One operation, its path without the slash and unescaped.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    Add { name: String, value: Value },
    Replace { name: String, value: Value },
    Remove { name: String },
}

const WORDS: [&str; 3] = ["add", "replace", "remove"];

/// The operations of a patch; the error is for the client to read.
pub fn parse(media_type: &str, patch: &Value) -> Result<Vec<Operation>, String> {
    let list = patch.as_array().ok_or("Request body must be a JSON array of operation objects.")?;
    list.iter().map(|item| operation(media_type, item)).collect()
}

fn operation(media_type: &str, item: &Value) -> Result<Operation, String> {
    let (word, path) = match media_type {
        V2_1 => (text(item, "op")?, text(item, "path")?),
        _ => {
            let word = WORDS.into_iter().find(|word| item.get(*word).is_some());
            let word = word.ok_or("Operations must be an add, a replace or a remove.")?;
            (word, text(item, word)?)
        }
    };
    let name = name(path)?;
    let value = || item.get("value").cloned().ok_or("Operation must contain a 'value'.");
    match word {
        "add" => Ok(Operation::Add { name, value: value()? }),
        "replace" => Ok(Operation::Replace { name, value: value()? }),
        "remove" => Ok(Operation::Remove { name }),
        other => Err(format!("Operation '{other}' is not one of add, replace, remove.")),
    }
}

fn text<'a>(item: &'a Value, key: &str) -> Result<&'a str, String> {
    item.get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("Operation must contain a '{key}' of type string."))
}

fn name(path: &str) -> Result<String, String> {
    match path.strip_prefix('/') {
        Some(name) if !name.is_empty() && !name.contains('/') => {
            Ok(name.replace("~1", "/").replace("~0", "~"))
        }
        _ => Err(format!("Invalid JSON pointer for this resource: '{path}'.")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Operation, V2_0, V2_1, parse};

    #[test]
    fn both_media_types_say_the_same() {
        let today =
            json!([{"op": "replace", "path": "/name", "value": "x"}, {"op": "remove", "path": "/a~1b~0"}]);
        let old = json!([{"replace": "/name", "value": "x"}, {"remove": "/a~1b~0"}]);
        let parsed = parse(V2_1, &today).unwrap();
        assert_eq!(parsed, parse(V2_0, &old).unwrap());
        assert_eq!(parsed[1], Operation::Remove { name: "a/b~".into() });
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        let bad: [Value; 6] = [
            json!({"name": "x"}),
            json!(["x"]),
            json!([{"op": "test", "path": "/name", "value": 1}]),
            json!([{"op": "add", "path": "/name"}]),
            json!([{"op": "add", "path": "name", "value": 1}]),
            json!([{"op": "add", "path": "/locations/-", "value": {}}]),
        ];
        for patch in bad {
            assert!(parse(V2_1, &patch).is_err(), "{patch}");
        }
    }
}
