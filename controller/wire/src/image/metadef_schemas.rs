//! `GET /v2/schemas/metadefs/*` and `/v2/schemas/task*`: JSON schemas of what the image API answers.

use serde_json::{Value, json};

use super::schemas::UUID;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// A schema by the end of its path (`metadefs/namespace`); `None` when there is none of that name.
pub fn by_name(name: &str) -> Option<Value> {
    Some(match name {
        "task" => task(true),
        "tasks" => tasks(),
        "metadefs/namespace" => namespace(),
        "metadefs/namespaces" => collection("namespaces", "namespaces", namespace()),
        "metadefs/resource_type" => association(),
        "metadefs/resource_types" => {
            collection("resource_type_associations", "resource_type_associations", association())
        }
        "metadefs/property" => property(),
        "metadefs/properties" => properties(),
        "metadefs/object" => object(),
        "metadefs/objects" => collection("objects", "objects", object()),
        "metadefs/tag" => tag(),
        "metadefs/tags" => collection("tags", "tags", tag()),
        _ => return None,
    })
}

fn collection(name: &str, key: &str, item: Value) -> Value {
    paged(name, key, |item| json!({"type": "array", "items": item}), item)
}

/// Properties come as an object, each under its name.
fn properties() -> Value {
    let mut item = property();
    item["required"] = json!(["type", "title"]);
    paged("properties", "properties", |item| json!({"type": "object", "additionalProperties": item}), item)
}

/// A page of what is like `item`, whose references lead to the root of the whole.
fn paged(name: &str, key: &str, items: impl FnOnce(Value) -> Value, mut item: Value) -> Value {
    let definitions = item.as_object_mut().and_then(|item| item.remove("definitions"));
    let mut schema = json!({
        "name": name,
        "properties": {
            key: items(item),
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    });
    if let Some(definitions) = definitions {
        schema["definitions"] = definitions;
    }
    schema
}

fn tasks() -> Value {
    json!({
        "name": "tasks",
        "properties": {"tasks": {"type": "array", "items": task(false)}, "schema": {"type": "string"}},
        "links": [{"rel": "describedby", "href": "{schema}"}],
    })
}

fn text(limit: u32) -> Value {
    json!({"type": "string", "maxLength": limit})
}

fn read_only() -> Value {
    json!({"type": "string", "readOnly": true})
}

fn time() -> Value {
    json!({"type": "string", "readOnly": true, "format": "date-time"})
}

/// The types that properties may have; Glance lists null with them.
fn types() -> Vec<Option<&'static str>> {
    TYPES.into_iter().map(Some).chain([None]).collect()
}

fn definitions() -> Value {
    json!({
        "positiveInteger": {"type": "integer", "minimum": 0},
        "positiveIntegerDefault0": {"allOf": [{"$ref": "#/definitions/positiveInteger"}, {"default": 0}]},
        "stringArray": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
        "property": {"type": "object", "additionalProperties": {
            "type": "object", "required": ["title", "type"], "properties": property_fields(),
        }},
    })
}

fn property_fields() -> Value {
    json!({
        "name": text(80),
        "title": {"type": "string"},
        "description": {"type": "string"},
        "operators": {"type": "array", "items": {"type": "string"}},
        "type": {"type": "string", "enum": types()},
        "required": {"$ref": "#/definitions/stringArray"},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "maxLength": {"$ref": "#/definitions/positiveInteger"},
        "minLength": {"$ref": "#/definitions/positiveIntegerDefault0"},
        "pattern": {"type": "string", "format": "regex"},
        "enum": {"type": "array"},
        "readonly": {"type": "boolean"},
        "default": {},
        "items": {"type": "object", "properties": {
            "type": {"type": "string", "enum": types()}, "enum": {"type": "array"},
        }},
        "maxItems": {"$ref": "#/definitions/positiveInteger"},
        "minItems": {"$ref": "#/definitions/positiveIntegerDefault0"},
        "uniqueItems": {"type": "boolean", "default": false},
        "additionalItems": {"type": "boolean"},
    })
}

fn property() -> Value {
    json!({
        "name": "property",
        "additionalProperties": false,
        "definitions": {
            "positiveInteger": {"type": "integer", "minimum": 0},
            "positiveIntegerDefault0": {"allOf": [{"$ref": "#/definitions/positiveInteger"}, {"default": 0}]},
            "stringArray": {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true},
        },
        "required": ["type", "title", "name"],
        "properties": property_fields(),
    })
}

fn object() -> Value {
    json!({
        "name": "object",
        "additionalProperties": false,
        "definitions": definitions(),
        "required": ["name"],
        "properties": {
            "name": text(80),
            "description": {"type": "string"},
            "required": {"$ref": "#/definitions/stringArray"},
            "properties": {"$ref": "#/definitions/property"},
            "schema": read_only(),
            "self": read_only(),
            "created_at": time(),
            "updated_at": time(),
        },
    })
}

fn tag() -> Value {
    json!({
        "name": "tag",
        "additionalProperties": false,
        "required": ["name"],
        "properties": {"name": text(80), "created_at": time(), "updated_at": time()},
    })
}

fn association() -> Value {
    json!({
        "name": "resource_type_association",
        "additionalProperties": false,
        "required": ["name"],
        "properties": {
            "name": text(80),
            "prefix": text(80),
            "properties_target": text(80),
            "created_at": time(),
            "updated_at": time(),
        },
    })
}

fn namespace() -> Value {
    let named = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    json!({
        "name": "namespace",
        "additionalProperties": false,
        "definitions": definitions(),
        "required": ["namespace"],
        "properties": {
            "namespace": text(80),
            "display_name": text(80),
            "description": text(500),
            "visibility": {"type": "string", "enum": ["public", "private"]},
            "protected": {"type": "boolean"},
            "owner": text(255),
            "created_at": time(),
            "updated_at": time(),
            "schema": read_only(),
            "self": read_only(),
            "resource_type_associations": {"type": "array", "items": {"type": "object", "properties": {
                "name": {"type": "string"}, "prefix": {"type": "string"}, "properties_target": {"type": "string"},
            }}},
            "properties": {"$ref": "#/definitions/property"},
            "objects": {"type": "array", "items": {"type": "object", "properties": {
                "name": {"type": "string"},
                "description": {"type": "string"},
                "required": {"$ref": "#/definitions/stringArray"},
                "properties": {"$ref": "#/definitions/property"},
            }}},
            "tags": {"type": "array", "items": named},
        },
    })
}

/// A task, whole or as lists show it.
fn task(whole: bool) -> Value {
    let mut properties = json!({
        "id": {"type": "string", "description": "An identifier for the task", "pattern": UUID},
        "type": {"type": "string", "enum": ["import", "api_image_import", "location_import"]},
        "status": {"type": "string", "enum": ["pending", "processing", "success", "failure"]},
        "owner": {"type": "string", "description": "An identifier for the owner of this task"},
        "image_id": {"type": "string"},
        "request_id": {"type": "string"},
        "user_id": {"type": "string"},
        "expires_at": {"type": ["null", "string"]},
        "created_at": {"type": "string"},
        "updated_at": {"type": "string"},
        "self": read_only(),
        "schema": read_only(),
    });
    if whole {
        properties["input"] = json!({"type": ["null", "object"]});
        properties["result"] = json!({"type": ["null", "object"]});
        properties["message"] = json!({"type": "string"});
    }
    json!({"name": "task", "properties": properties})
}
