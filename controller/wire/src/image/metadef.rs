//! JSON shapes of metadata definitions: <https://docs.openstack.org/api-ref/image/v2/metadefs-index.html>.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `POST` and `PUT` of a namespace.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceBody {
    pub namespace: String,
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub visibility: Option<NamespaceVisibility>,
    pub protected: Option<bool>,
    pub owner: Option<String>,
    #[serde(default)]
    pub resource_type_associations: Vec<AssociationBody>,
    #[serde(default)]
    pub properties: BTreeMap<String, Value>,
    #[serde(default)]
    pub objects: Vec<ObjectBody>,
    #[serde(default)]
    pub tags: Vec<TagBody>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceVisibility {
    Public,
    Private,
}

/// A resource type that a namespace is for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssociationBody {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties_target: Option<String>,
}

/// A group of properties.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectBody {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub required: Vec<String>,
    #[serde(default)]
    pub properties: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagBody {
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagsBody {
    pub tags: Vec<TagBody>,
}

/// Longest namespace, display name and item name, in characters: glance/api/v2/metadef_namespaces.py.
const MAX_NAME_CHARS: usize = 80;
/// Longest description of a namespace, in characters.
const MAX_DESCRIPTION_CHARS: usize = 500;
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

impl NamespaceBody {
    /// What the types alone do not say; the error is for the client to read.
    ///
    /// # Errors
    /// Which part is not as the schema has it.
    pub fn check(&self) -> Result<(), String> {
        check_name(&self.namespace)?;
        short("display_name", self.display_name.as_deref(), MAX_NAME_CHARS)?;
        short("description", self.description.as_deref(), MAX_DESCRIPTION_CHARS)?;
        short("owner", self.owner.as_deref(), 255)?;
        self.resource_type_associations.iter().try_for_each(AssociationBody::check)?;
        self.tags.iter().try_for_each(|tag| check_name(&tag.name))?;
        self.objects.iter().try_for_each(ObjectBody::check)?;
        check_properties(&self.properties)
    }
}

impl AssociationBody {
    /// See [`NamespaceBody::check`].
    ///
    /// # Errors
    /// Which part is not as the schema has it.
    pub fn check(&self) -> Result<(), String> {
        check_name(&self.name)?;
        short("prefix", self.prefix.as_deref(), MAX_NAME_CHARS)?;
        short("properties_target", self.properties_target.as_deref(), MAX_NAME_CHARS)
    }
}

impl ObjectBody {
    /// See [`NamespaceBody::check`].
    ///
    /// # Errors
    /// Which part is not as the schema has it.
    pub fn check(&self) -> Result<(), String> {
        check_name(&self.name)?;
        check_properties(&self.properties)
    }
}

fn check_properties(properties: &BTreeMap<String, Value>) -> Result<(), String> {
    for (name, property) in properties {
        check_name(name)?;
        property.as_object().ok_or_else(|| format!("'{name}' must be an object")).and_then(check_property)?;
    }
    Ok(())
}

/// A name of anything: there, and not too long.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a name must not be empty".into());
    }
    short("name", Some(name), MAX_NAME_CHARS)
}

fn short(what: &str, text: Option<&str>, limit: usize) -> Result<(), String> {
    match text {
        Some(text) if text.chars().count() > limit => {
            Err(format!("'{what}' must be at most {limit} characters long"))
        }
        _ => Ok(()),
    }
}

/// A property: a JSON schema of a part of JSON schema, with a title and a type.
///
/// # Errors
/// What is wrong with it.
pub fn check_property(property: &Map<String, Value>) -> Result<(), String> {
    if !property.get("title").is_some_and(Value::is_string) {
        return Err("'title' is a required property".into());
    }
    let is_type = |value: &Value| value.as_str().is_some_and(|text| TYPES.contains(&text));
    if !property.get("type").is_some_and(is_type) {
        return Err(format!("'type' is a required property, one of {}", TYPES.join(", ")));
    }
    for (key, value) in property {
        let (fits, wanted): (fn(&Value) -> bool, &str) = match key.as_str() {
            "type" | "title" | "default" => continue,
            "name" | "description" | "pattern" => (Value::is_string, "a string"),
            "operators" | "required" => (is_string_list, "a list of strings"),
            "enum" => (Value::is_array, "a list"),
            "minimum" | "maximum" => (Value::is_number, "a number"),
            "maxLength" | "minLength" | "maxItems" | "minItems" => (Value::is_u64, "an integer from 0"),
            "readonly" | "uniqueItems" | "additionalItems" => (Value::is_boolean, "a boolean"),
            "items" => (Value::is_object, "an object"),
            unknown => return Err(format!("Additional properties are not allowed ('{unknown}')")),
        };
        if !fits(value) {
            return Err(format!("'{key}' must be {wanted}"));
        }
    }
    Ok(())
}

fn is_string_list(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

/// A namespace in answers; what it holds is left out where it holds nothing.
#[derive(Clone, Debug, Serialize)]
pub struct NamespaceView {
    pub namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub visibility: &'static str,
    pub protected: bool,
    pub owner: String,
    pub created_at: String,
    pub updated_at: String,
    #[serde(rename = "self")]
    pub this: String,
    pub schema: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_type_associations: Vec<Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Value>,
}

/// `first` and `next` are relative URLs; `next` is there only when more follow.
#[derive(Clone, Debug, Serialize)]
pub struct NamespaceList {
    pub namespaces: Vec<NamespaceView>,
    pub first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    pub schema: &'static str,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{NamespaceBody, check_property};

    #[test]
    fn properties_are_small_schemas() {
        let check = |value: Value| check_property(value.as_object().unwrap());
        check(json!({"title": "t", "type": "string", "enum": ["a"], "default": "a", "minLength": 0}))
            .unwrap();
        for bad in [
            json!({"type": "string"}),
            json!({"title": "t"}),
            json!({"title": "t", "type": "colour"}),
            json!({"title": "t", "type": "string", "enum": "a"}),
            json!({"title": "t", "type": "string", "minLength": -1}),
            json!({"title": "t", "type": "string", "colour": 1}),
        ] {
            assert!(check(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_namespace_is_checked_to_its_leaves() {
        let parse =
            |value: Value| serde_json::from_value::<NamespaceBody>(value).map_err(|error| error.to_string());
        let check = |value: Value| parse(value).and_then(|body| body.check());
        check(json!({"namespace": "OS::A"})).unwrap();
        for bad in [
            json!({}),
            json!({"namespace": ""}),
            json!({"namespace": "x".repeat(81)}),
            json!({"namespace": "x", "colour": 1}),
            json!({"namespace": "x", "visibility": "shared"}),
            json!({"namespace": "x", "properties": {"p": {"title": "t"}}}),
            json!({"namespace": "x", "objects": [{"name": "o", "properties": {"p": 1}}]}),
        ] {
            assert!(check(bad.clone()).is_err(), "{bad}");
        }
    }
}
