//! Limits and quotas (API reference, "Limits", "Quota sets").

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Microversion;
use super::lenient;
use super::rules::{Field, SchemaError, check};

/// The members of a quota set. Networks left in 2.36, injected files in 2.57.
pub const QUOTA: &[Field] = &[
    Field::always("cores"),
    Field::always("instances"),
    Field::always("key_pairs"),
    Field::always("metadata_items"),
    Field::always("ram"),
    Field::always("server_group_members"),
    Field::always("server_groups"),
    Field::between("fixed_ips", 1, 35),
    Field::between("floating_ips", 1, 35),
    Field::between("security_groups", 1, 35),
    Field::between("security_group_rules", 1, 35),
    Field::between("injected_file_content_bytes", 1, 56),
    Field::between("injected_file_path_bytes", 1, 56),
    Field::between("injected_files", 1, 56),
];

const ABSOLUTE: &[Field] = &[
    Field::always("maxServerMeta"),
    Field::always("maxTotalCores"),
    Field::always("maxTotalInstances"),
    Field::always("maxTotalKeypairs"),
    Field::always("maxTotalRAMSize"),
    Field::always("maxServerGroups"),
    Field::always("maxServerGroupMembers"),
    Field::always("totalCoresUsed"),
    Field::always("totalInstancesUsed"),
    Field::always("totalRAMUsed"),
    Field::always("totalServerGroupsUsed"),
    Field::between("maxImageMeta", 1, 38),
    Field::between("maxPersonality", 1, 56),
    Field::between("maxPersonalitySize", 1, 56),
    Field::between("maxSecurityGroupRules", 1, 35),
    Field::between("maxSecurityGroups", 1, 35),
    Field::between("maxTotalFloatingIps", 1, 35),
    Field::between("totalSecurityGroupsUsed", 1, 35),
    Field::between("totalFloatingIpsUsed", 1, 35),
];

/// Limit and use of one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    pub limit: i64,
    pub in_use: i64,
}

/// By Nova's names.
pub type Quotas = BTreeMap<&'static str, Quota>;

/// `GET /os-quota-sets/{project}`; with `id` where the API shows it, with use in `/detail`.
pub fn quota_set(quotas: &Quotas, version: Microversion, id: Option<&str>, detail: bool) -> Value {
    let mut set = Map::new();
    for field in QUOTA.iter().filter(|field| field.exists_in(version)) {
        // The network service keeps what has no entry here: no limit, nothing in use.
        let quota = quotas.get(field.name).copied().unwrap_or(Quota { limit: -1, in_use: 0 });
        let value = if detail {
            json!({"limit": quota.limit, "in_use": quota.in_use, "reserved": 0})
        } else {
            json!(quota.limit)
        };
        set.insert(field.name.into(), value);
    }
    if let Some(id) = id {
        set.insert("id".into(), json!(id));
    }
    json!({ "quota_set": set })
}

/// `PUT /os-quota-sets/{project}`: the new limits, and whether they may be below what is in use.
pub fn read_quota_set(
    body: &Value,
    version: Microversion,
) -> Result<(BTreeMap<String, i64>, bool), SchemaError> {
    if let Some(root) = body.as_object() {
        check("body", root, &[Field::always("quota_set")], version)?;
    }
    let set = body.get("quota_set").and_then(Value::as_object);
    let mut set =
        set.ok_or_else(|| SchemaError::invalid("body", "'quota_set' is a required property"))?.clone();
    if set.get("force").is_some_and(Value::is_null) {
        return Err(SchemaError::invalid("force", "A boolean is expected"));
    }
    let force = set.remove("force").map_or(Ok(None), lenient::boolean);
    let force =
        force.map_err(|error: serde_json::Error| SchemaError::invalid("force", error))?.unwrap_or(false);
    check("quota_set", &set, QUOTA, version)?;
    let limit = |(name, value): (String, Value)| {
        let number = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (-1..=i64::from(i32::MAX)).contains(number));
        number
            .map(|number| (name.clone(), number))
            .ok_or_else(|| SchemaError::invalid(&name, "a number from -1 on is expected"))
    };
    Ok((set.into_iter().map(limit).collect::<Result<_, _>>()?, force))
}

/// `GET /limits`.
pub fn limits(quotas: &Quotas, version: Microversion) -> Value {
    let quota = |name: &str| quotas.get(name).copied().unwrap_or(Quota { limit: -1, in_use: 0 });
    let mut absolute = Map::new();
    for (key, value) in [
        ("maxServerMeta", quota("metadata_items").limit),
        ("maxImageMeta", quota("metadata_items").limit),
        ("maxTotalCores", quota("cores").limit),
        ("maxTotalInstances", quota("instances").limit),
        ("maxTotalKeypairs", quota("key_pairs").limit),
        ("maxTotalRAMSize", quota("ram").limit),
        ("maxServerGroups", quota("server_groups").limit),
        ("maxServerGroupMembers", quota("server_group_members").limit),
        ("maxPersonality", quota("injected_files").limit),
        ("maxPersonalitySize", quota("injected_file_content_bytes").limit),
        ("maxSecurityGroupRules", -1),
        ("maxSecurityGroups", -1),
        ("maxTotalFloatingIps", -1),
        ("totalCoresUsed", quota("cores").in_use),
        ("totalInstancesUsed", quota("instances").in_use),
        ("totalRAMUsed", quota("ram").in_use),
        ("totalServerGroupsUsed", quota("server_groups").in_use),
        ("totalSecurityGroupsUsed", 0),
        ("totalFloatingIpsUsed", 0),
    ] {
        if ABSOLUTE.iter().any(|field| field.name == key && field.exists_in(version)) {
            absolute.insert(key.into(), json!(value));
        }
    }
    json!({"limits": {"absolute": absolute, "rate": []}})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Quota, Quotas, limits, quota_set, read_quota_set};
    use crate::compute::Microversion;

    #[test]
    fn limits_shrink_as_in_the_samples() {
        for (minor, keys) in [(1, 19), (36, 14), (39, 13), (57, 11), (96, 11)] {
            let answer = limits(&Quotas::new(), Microversion(minor));
            assert_eq!(answer["limits"]["absolute"].as_object().unwrap().len(), keys, "2.{minor}");
        }
    }

    #[test]
    fn quota_sets_shrink_as_in_the_samples() {
        let quotas = Quotas::from([("cores", Quota { limit: 20, in_use: 3 })]);
        for (minor, keys) in [(1, 14), (36, 10), (57, 7)] {
            let answer = quota_set(&quotas, Microversion(minor), None, false);
            assert_eq!(answer["quota_set"].as_object().unwrap().len(), keys, "2.{minor}");
        }
        let answer = quota_set(&quotas, Microversion(57), Some("p"), true);
        assert_eq!(answer["quota_set"]["cores"], json!({"limit": 20, "in_use": 3, "reserved": 0}));
        assert_eq!(answer["quota_set"]["id"], "p");
    }

    #[test]
    fn new_limits_are_numbers_from_minus_one_on() {
        let read =
            |set: serde_json::Value, minor| read_quota_set(&json!({ "quota_set": set }), Microversion(minor));
        assert_eq!(read(json!({"cores": "5", "force": "True"}), 1).unwrap().0["cores"], 5);
        assert!(read(json!({"cores": 5, "force": "True"}), 1).unwrap().1);
        assert!(read(json!({"cores": -2}), 1).is_err());
        assert!(read(json!({"injected_files": 5}), 57).is_err());
        assert!(read(json!({"unheard": 5}), 1).is_err());
        assert!(read(json!({"tenant_id": "p"}), 1).is_err());
        assert!(read(json!({"force": "y"}), 1).is_err());
        assert!(read(json!({"force": null}), 1).is_err());
        assert!(read_quota_set(&json!({"quota_set": {}, "x": 1}), Microversion(1)).is_err());
    }
}
