//! Flavors (API reference, "Flavors", "Flavors access", "Flavors extra-specs").

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rules::{self, Field, SchemaError};
use super::server::links;
use super::{Microversion, lenient};

const DETAIL: &[Field] = &[
    Field::always("id"),
    Field::always("name"),
    Field::always("ram"),
    Field::always("vcpus"),
    Field::always("disk"),
    Field::always("swap"),
    Field::always("rxtx_factor"),
    Field::always("OS-FLV-EXT-DATA:ephemeral"),
    Field::always("OS-FLV-DISABLED:disabled"),
    Field::always("os-flavor-access:is_public"),
    Field::always("links"),
    Field::since("description", 55),
    Field::since("extra_specs", 61),
];

const BRIEF: &[Field] =
    &[Field::always("id"), Field::always("name"), Field::always("links"), Field::since("description", 55)];

const CREATE: &[Field] = &[
    Field::always("id"),
    Field::always("name"),
    Field::always("ram"),
    Field::always("vcpus"),
    Field::always("disk"),
    Field::always("swap"),
    Field::always("rxtx_factor"),
    Field::always("OS-FLV-EXT-DATA:ephemeral"),
    Field::always("os-flavor-access:is_public"),
    Field::since("description", 55),
];

/// Before 2.75 a flavor without swap shows an empty text.
const NUMERIC_SWAP_SINCE: u16 = 75;

/// Everything that any version shows of a flavor.
#[derive(Clone, Debug)]
pub struct FlavorView {
    pub id: String,
    pub name: String,
    pub vcpus: u16,
    pub memory_mib: u32,
    pub disk_gib: u32,
    pub ephemeral_gib: u32,
    pub swap_mib: u32,
    pub rxtx_factor: f64,
    pub is_public: bool,
    pub disabled: bool,
    pub description: Option<String>,
    /// `None`: the caller may not see them.
    pub extra_specs: Option<BTreeMap<String, String>>,
}

impl FlavorView {
    /// As `GET /flavors/{id}` and `/flavors/detail` show it.
    pub fn render(&self, endpoint: &str, version: Microversion) -> Value {
        self.keep(endpoint, version, DETAIL)
    }

    /// As `GET /flavors` shows it.
    pub fn brief(&self, endpoint: &str, version: Microversion) -> Value {
        self.keep(endpoint, version, BRIEF)
    }

    fn keep(&self, endpoint: &str, version: Microversion, fields: &[Field]) -> Value {
        let no_swap = self.swap_mib == 0 && !version.at_least(NUMERIC_SWAP_SINCE);
        let mut value = json!({
            "id": self.id,
            "name": self.name,
            "ram": self.memory_mib,
            "vcpus": self.vcpus,
            "disk": self.disk_gib,
            "swap": if no_swap { json!("") } else { json!(self.swap_mib) },
            "rxtx_factor": self.rxtx_factor,
            "OS-FLV-EXT-DATA:ephemeral": self.ephemeral_gib,
            "OS-FLV-DISABLED:disabled": self.disabled,
            "os-flavor-access:is_public": self.is_public,
            "links": links(endpoint, "flavors", &self.id),
            "description": self.description,
            "extra_specs": self.extra_specs,
        });
        if let Some(object) = value.as_object_mut() {
            rules::keep(object, fields, version, true);
            if self.extra_specs.is_none() {
                object.remove("extra_specs");
            }
        }
        value
    }
}

/// `POST /flavors`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct CreateFlavor {
    pub name: String,
    #[serde(default, deserialize_with = "lenient::text")]
    pub id: Option<String>,
    #[serde(rename = "ram", deserialize_with = "lenient::number")]
    pub memory_mib: Option<u32>,
    #[serde(deserialize_with = "lenient::number")]
    pub vcpus: Option<u32>,
    #[serde(rename = "disk", deserialize_with = "lenient::number")]
    pub disk_gib: Option<u32>,
    #[serde(rename = "swap", default, deserialize_with = "lenient::number")]
    pub swap_mib: Option<u32>,
    #[serde(rename = "OS-FLV-EXT-DATA:ephemeral", default, deserialize_with = "lenient::number")]
    pub ephemeral_gib: Option<u32>,
    #[serde(default)]
    pub rxtx_factor: Option<Value>,
    #[serde(rename = "os-flavor-access:is_public", default, deserialize_with = "lenient::boolean")]
    pub is_public: Option<bool>,
    #[serde(default)]
    pub description: Option<String>,
}

impl CreateFlavor {
    pub fn read(mut body: Value, version: Microversion) -> Result<Self, SchemaError> {
        let request: Self = rules::read_filled(&mut body, "flavor", CREATE, version, &["id", "description"])?;
        match request.id.as_deref() {
            Some("") => Err(SchemaError::invalid("id", "Value: . '' is too short")),
            _ => Ok(request),
        }
    }

    /// A number or text that is one, above 0; 1.0 when not said.
    pub fn rxtx_factor(&self) -> Result<f64, SchemaError> {
        let factor = match &self.rxtx_factor {
            None => Some(1.0),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        factor
            .filter(|factor| factor.is_finite() && *factor > 0.0)
            .ok_or_else(|| SchemaError::invalid("rxtx_factor", "a number above 0 is expected"))
    }
}

/// `PUT /flavors/{id}`, from 2.55 on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct UpdateFlavor {
    pub description: Option<String>,
}

impl UpdateFlavor {
    pub fn read(mut body: Value, version: Microversion) -> Result<Self, SchemaError> {
        if body.get("flavor").and_then(|flavor| flavor.get("description")).is_none() {
            return Err(SchemaError::invalid("flavor", "'description' is a required property"));
        }
        rules::read(&mut body, "flavor", &[Field::since("description", 55)], version)
    }
}

/// `POST /flavors/{id}/action`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum FlavorAction {
    #[serde(rename = "addTenantAccess")]
    AddTenantAccess { tenant: String },
    #[serde(rename = "removeTenantAccess")]
    RemoveTenantAccess { tenant: String },
}

/// The answer of the access calls.
pub fn access(flavor_id: &str, project_ids: &[String]) -> Value {
    let one = |project_id: &String| json!({"flavor_id": flavor_id, "tenant_id": project_id});
    json!({"flavor_access": project_ids.iter().map(one).collect::<Vec<Value>>()})
}

/// `{"extra_specs": {…}}`: values are text; numbers are taken as text.
pub fn read_extra_specs(body: &Value) -> Result<BTreeMap<String, String>, SchemaError> {
    let root = body.as_object().filter(|root| root.len() == 1);
    let specs = root.and_then(|root| root.get("extra_specs")).and_then(Value::as_object);
    let specs = specs.ok_or_else(|| SchemaError::invalid("body", "'extra_specs' is a required property"))?;
    specs.iter().map(|(key, value)| Ok((spec_key(key)?, spec_value(key, value)?))).collect()
}

/// `{key: value}` with exactly this key.
pub fn read_extra_spec(body: &Value, key: &str) -> Result<String, SchemaError> {
    let one = body.as_object().filter(|root| root.len() == 1).and_then(|root| root.get(key));
    let value =
        one.ok_or_else(|| SchemaError::invalid("body", format!("'{key}' is the one expected property")))?;
    spec_key(key)?;
    spec_value(key, value)
}

fn spec_key(key: &str) -> Result<String, SchemaError> {
    const LONGEST: usize = 255;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
    if key.is_empty() || key.len() > LONGEST || !key.chars().all(plain) {
        return Err(SchemaError::invalid(
            "extra_specs",
            "a key has up to 255 of the characters a-z A-Z 0-9 - _ : . and space",
        ));
    }
    Ok(key.to_owned())
}

fn spec_value(key: &str, value: &Value) -> Result<String, SchemaError> {
    const LONGEST: usize = 255;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(SchemaError::invalid(key, "text is expected")),
    };
    if text.chars().count() > LONGEST {
        return Err(SchemaError::invalid(key, "it is longer than 255 characters"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{CreateFlavor, FlavorAction, FlavorView, UpdateFlavor, read_extra_spec, read_extra_specs};
    use crate::compute::Microversion;

    fn view() -> FlavorView {
        FlavorView {
            id: "1".into(),
            name: "m1.tiny".into(),
            vcpus: 1,
            memory_mib: 512,
            disk_gib: 1,
            ephemeral_gib: 0,
            swap_mib: 0,
            rxtx_factor: 1.0,
            is_public: true,
            disabled: false,
            description: None,
            extra_specs: Some(BTreeMap::new()),
        }
    }

    #[test]
    fn a_flavor_grows_with_the_microversion() {
        for (minor, keys, swap) in
            [(1, 11, json!("")), (55, 12, json!("")), (61, 13, json!("")), (75, 13, json!(0))]
        {
            let flavor = view().render("", Microversion(minor));
            assert_eq!(flavor.as_object().unwrap().len(), keys, "2.{minor}");
            assert_eq!(flavor["swap"], swap, "2.{minor}");
        }
        assert_eq!(view().brief("", Microversion(54)).as_object().unwrap().len(), 3);
    }

    #[test]
    fn numbers_may_be_text() {
        let body = json!({"flavor": {"name": "f", "ram": "512", "vcpus": 1, "disk": 0, "id": 7, "rxtx_factor": "2.5"}});
        let flavor = CreateFlavor::read(body, Microversion(1)).unwrap();
        assert_eq!((flavor.memory_mib, flavor.id.as_deref()), (Some(512), Some("7")));
        assert_eq!(flavor.rxtx_factor(), Ok(2.5));
        let body = json!({"flavor": {"name": "f", "ram": -1, "vcpus": 1, "disk": 0}});
        assert!(CreateFlavor::read(body, Microversion(1)).is_err());
        for (key, value) in [
            ("disk", json!("")),
            ("disk", json!(null)),
            ("swap", json!("")),
            ("rxtx_factor", json!(null)),
            ("os-flavor-access:is_public", json!("y")),
            ("os-flavor-access:is_public", json!(null)),
            ("id", json!("")),
        ] {
            let mut body = json!({"flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 0}});
            body["flavor"][key] = value;
            assert!(CreateFlavor::read(body.clone(), Microversion(1)).is_err(), "{body}");
        }
        let body = json!({"flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 0, "description": "d"}});
        assert!(CreateFlavor::read(body, Microversion(54)).is_err());
    }

    #[test]
    fn extra_specs_are_plain() {
        assert_eq!(read_extra_specs(&json!({"extra_specs": {"hw:a": 1}})).unwrap()["hw:a"], "1");
        assert!(read_extra_specs(&json!({"extra_specs": {"a/b": "1"}})).is_err());
        assert!(read_extra_specs(&json!({"extra_specs": {}, "x": 1})).is_err());
        assert!(read_extra_spec(&json!({"a": "1"}), "b").is_err());
    }

    #[test]
    fn an_update_says_the_description() {
        assert!(UpdateFlavor::read(json!({"flavor": {}}), Microversion(55)).is_err());
        assert!(UpdateFlavor::read(json!({"flavor": {"description": null}}), Microversion(55)).is_ok());
    }

    #[test]
    fn actions_name_a_project() {
        let action = serde_json::from_value(json!({"addTenantAccess": {"tenant": "p"}})).unwrap();
        assert!(matches!(action, FlavorAction::AddTenantAccess { tenant } if tenant == "p"));
        assert!(serde_json::from_value::<FlavorAction>(json!({"format": {}})).is_err());
    }
}
