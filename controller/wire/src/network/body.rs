//! The outside of request bodies: `{"network": {…}}`, or `{"networks": [{…}, …]}` to make several at once.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a POST to a collection asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Items<T> {
    One(T),
    Many(Vec<T>),
}

/// Reads `{singular: {…}}`. The error is what the tenant reads.
pub fn read_one<T: DeserializeOwned>(body: Value, singular: &str) -> Result<T, String> {
    let Value::Object(mut fields) = body else { return Err("Resource body required".into()) };
    match fields.remove(singular) {
        Some(item @ Value::Object(_)) => read_item(item),
        _ => Err(format!("Body contains invalid data: '{singular}' is required")),
    }
}

/// Reads `{singular: {…}}` or `{plural: [{…}, …]}`. The error is what the tenant reads.
pub fn read_items<T: DeserializeOwned>(
    body: Value,
    singular: &str,
    plural: &str,
) -> Result<Items<T>, String> {
    let Value::Object(mut fields) = body else { return Err("Resource body required".into()) };
    match fields.remove(plural) {
        None => read_one(Value::Object(fields), singular).map(Items::One),
        Some(Value::Array(items)) if !items.is_empty() => {
            items.into_iter().map(read_item).collect::<Result<_, _>>().map(Items::Many)
        }
        Some(_) => Err("Resources required".into()),
    }
}

fn read_item<T: DeserializeOwned>(item: Value) -> Result<T, String> {
    serde_json::from_value(item).map_err(|error| in_neutrons_words(&error.to_string()))
}

/// Clients show the message; people know it from Neutron.
fn in_neutrons_words(message: &str) -> String {
    let quoted = |message: &str| message.split('`').nth(1).map(str::to_owned);
    if message.starts_with("unknown field") {
        return format!("Unrecognized attribute(s) '{}'", quoted(message).unwrap_or_default());
    }
    if message.starts_with("missing field") {
        let name = quoted(message).unwrap_or_default();
        return format!("Failed to parse request. Required attribute '{name}' not specified");
    }
    format!("Invalid input. Reason: {message}.")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Items, read_items, read_one};
    use crate::network::{CreateNetwork, CreateSubnet};

    fn message(body: Value) -> String {
        read_items::<CreateSubnet>(body, "subnet", "subnets")
            .map(|_| String::new())
            .unwrap_or_else(|message| message)
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
        assert_eq!(message(json!([])), "Resource body required");
        assert!(message(json!({"subnet": {"network_id": 5}})).contains("invalid type"));
        assert!(read_one::<CreateNetwork>(json!({"network": 5}), "network").is_err());
    }
}
