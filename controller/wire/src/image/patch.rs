//! `PATCH /v2/images/{id}`: JSON patches (RFC 6902), in the two media types of the image API.
//!
//! v2.1 has `{"op": "replace", "path": "/name", "value": …}`; v2.0 had `{"replace": "/name", "value": …}`.
//! Paths have one level, but for the entries of `locations`.

use serde_json::{Map, Value};

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

const WORDS: [&str; 3] = ["add", "remove", "replace"];
const LIST: &str = "add, remove, replace";
/// What only the store says, and no patch changes; its entries have paths of their own.
const LOCATIONS: &str = "locations";

/// The operations of a patch; the error is for the client to read.
///
/// # Errors
/// Which operation is not as the media type has it.
pub fn parse(media_type: &str, patch: &Value) -> Result<Vec<Operation>, String> {
    let list = patch.as_array().ok_or("Request body must be a JSON array of operation objects.")?;
    list.iter().map(|item| operation(media_type, item)).collect()
}

fn operation(media_type: &str, item: &Value) -> Result<Operation, String> {
    let item = item.as_object().ok_or("Operations must be JSON objects.")?;
    let (word, path) = match media_type {
        V2_1 => (word_of_today(item)?, text(item, "path")?),
        _ => {
            let word = word_of_old(item)?;
            (word, text(item, word)?)
        }
    };
    let name = attribute(word, path)?;
    if word == "remove" {
        return Ok(Operation::Remove { name });
    }
    let missing = || format!("Operation \"{word}\" requires a member named \"value\".");
    let value = item.get("value").cloned().ok_or_else(missing)?;
    if name == LOCATIONS {
        check_locations(word, &value)?;
    }
    Ok(match word {
        "replace" => Operation::Replace { name, value },
        _ if media_type == V2_1 => Operation::Add { name, value },
        _ => Operation::AddNew { name, value },
    })
}

fn word_of_today(item: &Map<String, Value>) -> Result<&'static str, String> {
    let op = item.get("op").filter(|op| !op.is_null()).ok_or_else(|| {
        format!("Unable to find `op` in JSON Schema change. It must be one of the following: {LIST}.")
    })?;
    let op = op.as_str().unwrap_or_default();
    let known = WORDS.into_iter().find(|word| *word == op);
    known.ok_or_else(|| format!("Invalid operation: `{op}`. It must be one of the following: {LIST}."))
}

fn word_of_old(item: &Map<String, Value>) -> Result<&'static str, String> {
    let mut words = WORDS.into_iter().filter(|word| item.contains_key(*word));
    match (words.next(), words.next()) {
        (Some(word), None) => Ok(word),
        _ => {
            let message = "Operation objects must contain exactly one member named \"add\", \"remove\", or \
                           \"replace\".";
            Err(message.into())
        }
    }
}

fn text<'a>(item: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    item.get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("Unable to find '{key}' in JSON Schema change"))
}

/// The attribute that a JSON pointer (RFC 6901) names. An entry of `locations` stands for all of them: none may be
/// changed, and that is for the use case to say.
fn attribute(word: &str, pointer: &str) -> Result<String, String> {
    let parts = parts(pointer)?;
    let depth = match parts[0].as_str() {
        LOCATIONS if word != "replace" => 2,
        _ => 1,
    };
    if parts.len() != depth || parts.iter().any(String::is_empty) {
        return Err(format!("Invalid JSON pointer for this resource: '/{}'", parts.join("/")));
    }
    Ok(parts.into_iter().next().unwrap_or_default())
}

/// The parts of a JSON pointer, unescaped: at least one.
fn parts(pointer: &str) -> Result<Vec<String>, String> {
    let rest =
        pointer.strip_prefix('/').ok_or_else(|| format!("Pointer `{pointer}` does not start with \"/\"."))?;
    if rest.ends_with('/') {
        return Err(format!("Pointer `{pointer}` end with \"/\"."));
    }
    let encoded: Vec<&str> = rest.split('/').collect();
    if encoded.len() > 1 && encoded.iter().any(|part| part.trim().is_empty()) {
        return Err(format!("Pointer `{pointer}` contains adjacent \"/\"."));
    }
    let mut escapes = rest.split('~').skip(1);
    if !escapes.all(|rest| rest.starts_with('0') || rest.starts_with('1')) {
        return Err(format!("Pointer `{pointer}` contains \"~\" not part of a recognized escape sequence."));
    }
    let unescaped = |part: &&str| part.replace("~1", "/").replace("~0", "~").trim().to_owned();
    Ok(encoded.iter().map(unescaped).collect())
}

/// One location, or a list of them, each with its URL and what the store notes of it.
fn check_locations(word: &str, value: &Value) -> Result<(), String> {
    let is_location = |value: &Value| {
        value.get("url").is_some_and(Value::is_string) && value.get("metadata").is_some_and(Value::is_object)
    };
    let fits = match word {
        "replace" => value.as_array().is_some_and(|list| list.iter().all(is_location)),
        _ => is_location(value),
    };
    let message = "Provided object does not match schema 'image': a location has a 'url' and 'metadata'";
    if fits { Ok(()) } else { Err(message.into()) }
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
    fn a_pointer_is_unescaped_once() {
        let names = |path: &str| {
            let patch = json!([{"op": "add", "path": path, "value": "x"}]);
            parse(V2_1, &patch).map(|operations| match &operations[0] {
                Operation::Add { name, .. } => name.clone(),
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(names("/a~01").unwrap(), "a~1");
        assert_eq!(names("/~0~1").unwrap(), "~/");
        for (path, problem) in [
            ("name", "does not start with"),
            ("/a//b", "adjacent"),
            ("/name/", "end with"),
            ("/a~2", "escape sequence"),
            ("/a~", "escape sequence"),
            ("/tags/-", "Invalid JSON pointer for this resource: '/tags/-'"),
            ("/", "Invalid JSON pointer"),
        ] {
            let refused = names(path).unwrap_err();
            assert!(refused.contains(problem), "{path}: {refused}");
        }
    }

    #[test]
    fn locations_have_entries() {
        let location = json!({"url": "file:///etc/shadow", "metadata": {}});
        for (patch, fits) in [
            (json!([{"op": "add", "path": "/locations/-", "value": location}]), true),
            (json!([{"op": "replace", "path": "/locations", "value": [location]}]), true),
            (json!([{"op": "replace", "path": "/locations", "value": []}]), true),
            (json!([{"op": "remove", "path": "/locations/0"}]), true),
            (json!([{"op": "add", "path": "/locations", "value": location}]), false),
            (json!([{"op": "remove", "path": "/locations"}]), false),
            (json!([{"op": "replace", "path": "/locations/0", "value": location}]), false),
            (json!([{"op": "add", "path": "/locations/-", "value": {"url": 1}}]), false),
        ] {
            assert_eq!(parse(V2_1, &patch).is_ok(), fits, "{patch}");
        }
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        let bad: [(Value, &str); 7] = [
            (json!({"name": "x"}), "array of operation objects"),
            (json!(["x"]), "Operations must be JSON objects."),
            (json!([{"op": "test", "path": "/name", "value": 1}]), "Invalid operation: `test`"),
            (json!([{"op": "add", "path": "/name"}]), "requires a member named \"value\""),
            (json!([{"path": "/name", "value": "x"}]), "Unable to find `op`"),
            (json!([{"op": "add", "value": "x"}]), "Unable to find 'path'"),
            (json!([{"op": "add", "path": 1, "value": "x"}]), "Unable to find 'path'"),
        ];
        for (patch, problem) in bad {
            let refused = parse(V2_1, &patch).unwrap_err();
            assert!(refused.contains(problem), "{patch}: {refused}");
        }
        let two = json!([{"add": "/name", "remove": "/name", "value": 1}]);
        assert!(parse(V2_0, &two).unwrap_err().contains("exactly one member"));
    }
}
