//! The outside of request bodies: `{"network": {…}}`, or `{"networks": [{…}, …]}` to make several at once.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::field::INVALID_INPUT;
use super::values;

/// What a POST to a collection asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Items<T> {
    One(T),
    Many(Vec<T>),
}

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Neutron's type, on which clients match.
    pub code: &'static str,
    /// What the tenant reads.
    pub message: String,
}

impl Invalid {
    fn new(message: impl Into<String>) -> Self {
        Self { code: "HTTPBadRequest", message: message.into() }
    }
}

/// Reads `{singular: {…}}`.
pub fn read_one<T: DeserializeOwned>(body: Value, singular: &str) -> Result<T, Invalid> {
    let Value::Object(mut fields) = body else { return Err(Invalid::new("Body contains invalid data")) };
    match fields.remove(singular) {
        Some(item @ Value::Object(_)) => read_item(item),
        None | Some(Value::Null) => Err(Invalid::new(format!("Unable to find '{singular}' in request body"))),
        Some(_) => Err(Invalid::new(format!("Object '{singular}' contains invalid data"))),
    }
}

/// Reads `{singular: {…}}` or `{plural: [{…}, …]}`.
pub fn read_items<T: DeserializeOwned>(
    body: Value,
    singular: &str,
    plural: &str,
) -> Result<Items<T>, Invalid> {
    let Value::Object(mut fields) = body else { return Err(Invalid::new("Body contains invalid data")) };
    match fields.remove(plural) {
        None => read_one(Value::Object(fields), singular).map(Items::One),
        Some(Value::Array(items)) if !items.is_empty() => {
            items.into_iter().map(read_item).collect::<Result<_, _>>().map(Items::Many)
        }
        Some(_) => Err(Invalid::new("Resources required")),
    }
}

/// As Neutron looks at attributes: first whether all are known and none is missing, then at their values.
fn read_item<T: DeserializeOwned>(mut item: Value) -> Result<T, Invalid> {
    merge_owner(&mut item)?;
    let parsed: Result<T, serde_json::Error> = serde::Deserialize::deserialize(&item);
    let parsed = parsed.map_err(|error| error.to_string());
    if let Some(refusal) = parsed.as_ref().err().and_then(|message| about_names(message)) {
        return Err(refusal);
    }
    values::check(&item)?;
    parsed.map_err(|message| about_a_value(&message))
}

/// `tenant_id` is the older name of `project_id`; clients that send both mean one project.
fn merge_owner(item: &mut Value) -> Result<(), Invalid> {
    let Value::Object(fields) = item else { return Ok(()) };
    if let (Some(tenant), Some(project)) = (fields.get("tenant_id"), fields.get("project_id")) {
        if tenant != project {
            return Err(Invalid::new("'project_id' and 'tenant_id' do not match"));
        }
        fields.remove("tenant_id");
    }
    Ok(())
}

/// Clients show the message; people know it from Neutron.
fn about_names(message: &str) -> Option<Invalid> {
    let quoted = || message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("unknown field") {
        return Some(Invalid::new(format!("Unrecognized attribute(s) '{}'", quoted())));
    }
    message.starts_with("missing field").then(|| {
        Invalid::new(format!("Failed to parse request. Required attribute '{}' not specified", quoted()))
    })
}

fn about_a_value(message: &str) -> Invalid {
    if message.starts_with(INVALID_INPUT) {
        return Invalid { code: "InvalidInput", message: message.to_owned() };
    }
    Invalid::new(format!("Invalid input. Reason: {message}."))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Items, read_items, read_one};
    use crate::network::{CreateNetwork, CreateSubnet};

    fn message(body: Value) -> String {
        read_items::<CreateSubnet>(body, "subnet", "subnets")
            .map(|_| String::new())
            .unwrap_or_else(|refusal| refusal.message)
    }

    #[test]
    fn one_or_many() {
        let one =
            read_items::<CreateNetwork>(json!({"network": {"name": "a"}}), "network", "networks").unwrap();
        assert!(matches!(one, Items::One(network) if network.name.as_deref() == Some("a")));
        let many = json!({"networks": [{"name": "a"}, {"admin_state_up": "False"}]});
        let Items::Many(many) = read_items::<CreateNetwork>(many, "network", "networks").unwrap() else {
            panic!()
        };
        assert_eq!(many[1].admin_state_up, Some(false));
    }

    #[test]
    fn what_is_wrong_is_said_in_neutrons_words() {
        assert_eq!(message(json!({"subnet": {"sauce": 1}})), "Unrecognized attribute(s) 'sauce'");
        assert_eq!(
            message(json!({"subnet": {"cidr": "10.0.0.0/24"}})),
            "Failed to parse request. Required attribute 'network_id' not specified"
        );
        assert_eq!(message(json!({"subnets": []})), "Resources required");
        assert_eq!(message(json!([])), "Body contains invalid data");
        assert_eq!(message(json!({"port": {}})), "Unable to find 'subnet' in request body");
        assert_eq!(
            message(json!({"subnet": {"network_id": 5}})),
            "Invalid input for network_id. Reason: '5' is not a valid UUID."
        );
        assert!(read_one::<CreateNetwork>(json!({"network": 5}), "network").is_err());
    }

    #[test]
    fn flags_and_numbers_as_neutron_reads_them() {
        let read = |key: &str, value: Value| {
            read_one::<CreateNetwork>(json!({"network": {key: value}}), "network")
                .map(|network| (network.admin_state_up, network.mtu))
                .map_err(|refusal| (refusal.code, refusal.message))
        };
        for (value, flag) in
            [(json!("no"), false), (json!("T"), true), (json!(" on "), true), (json!(0), false)]
        {
            assert_eq!(read("admin_state_up", value).unwrap().0, Some(flag));
        }
        assert_eq!(read("mtu", json!("1400")).unwrap().1, Some(1400));
        let refused = |text: &str| Err(("InvalidInput", format!("Invalid input for operation: {text}.")));
        assert_eq!(read("admin_state_up", json!("maybe")), refused("'maybe' cannot be converted to boolean"));
        assert_eq!(read("admin_state_up", Value::Null), refused("'None' cannot be converted to boolean"));
        assert_eq!(read("mtu", json!("x")), refused("'x' is not an integer"));
        assert_eq!(read("mtu", Value::Null), refused("'None' is not an integer"));
    }

    #[test]
    fn one_project_under_both_names() {
        let read = |tenant: &str| {
            let fields = json!({"project_id": "p", "tenant_id": tenant});
            read_one::<CreateNetwork>(json!({"network": fields}), "network").map(|network| network.project_id)
        };
        assert_eq!(read("p").unwrap().as_deref(), Some("p"));
        assert!(read("q").is_err());
    }
}
