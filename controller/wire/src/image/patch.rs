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
    Add {
        name: String,
        value: Value,
    },
    /// The older media type's `add`, which adds only what is not there.
    AddNew {
        name: String,
        value: Value,
    },
    Replace {
        name: String,
        value: Value,
    },
    Remove {
        name: String,
    },
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
            let mut words = WORDS.into_iter().filter(|word| item.get(*word).is_some());
            let (Some(word), None) = (words.next(), words.next()) else {
                let message = "Operation objects must contain exactly one member named \"add\", \"remove\", or \
                               \"replace\".";
                return Err(message.into());
            };
            (word, text(item, word)?)
        }
    };
    let name = name(path)?;
    let value = || item.get("value").cloned().ok_or("Operation must contain a 'value'.");
    match word {
        "add" if media_type == V2_1 => Ok(Operation::Add { name, value: value()? }),
        "add" => Ok(Operation::AddNew { name, value: value()? }),
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

/// The attribute that a JSON pointer (RFC 6901) names. An entry of `locations` stands for all of them: none may be
/// changed, and that is for the use case to say.
fn name(path: &str) -> Result<String, String> {
    let invalid = || format!("Invalid JSON pointer for this resource: '{path}'.");
    let rest = path.strip_prefix('/').ok_or_else(invalid)?;
    let parts: Vec<&str> = rest.split('/').collect();
    let encoded = match parts.as_slice() {
        [name] if !name.is_empty() => name,
        ["locations", entry] if !entry.is_empty() => return Ok("locations".into()),
        _ => return Err(invalid()),
    };
    let mut escapes = encoded.split('~').skip(1);
    if !escapes.all(|rest| rest.starts_with('0') || rest.starts_with('1')) {
        return Err(format!("Pointer `{path}` contains \"~\" not part of a recognized escape sequence."));
    }
    Ok(encoded.replace("~1", "/").replace("~0", "~"))
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
        let bad: [Value; 8] = [
            json!({"name": "x"}),
            json!(["x"]),
            json!([{"op": "test", "path": "/name", "value": 1}]),
            json!([{"op": "add", "path": "/name"}]),
            json!([{"op": "add", "path": "name", "value": 1}]),
            json!([{"op": "add", "path": "/tags/-", "value": "x"}]),
            json!([{"op": "add", "path": "/a~2", "value": "x"}]),
            json!([{"path": "/name", "value": "x"}]),
        ];
        for patch in bad {
            assert!(parse(V2_1, &patch).is_err(), "{patch}");
        }
    }
}
