//! `POST /servers` (API reference, "Create Server").

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::rules::{self, Field, SchemaError};
use super::{Microversion, lenient};

const SERVER: &[Field] = &[
    Field::always("name"),
    Field::always("imageRef"),
    Field::always("flavorRef"),
    Field::always("adminPass"),
    Field::always("metadata"),
    Field::always("networks"),
    Field::always("OS-DCF:diskConfig"),
    Field::always("accessIPv4"),
    Field::always("accessIPv6"),
    Field::between("personality", 1, 56),
    Field::always("availability_zone"),
    Field::always("block_device_mapping"),
    Field::always("block_device_mapping_v2"),
    Field::always("config_drive"),
    Field::always("key_name"),
    Field::always("min_count"),
    Field::always("max_count"),
    Field::always("return_reservation_id"),
    Field::always("security_groups"),
    Field::always("user_data"),
    Field::since("description", 19),
    Field::since("tags", 52),
    Field::since("trusted_image_certificates", 63),
    Field::since("host", 74),
    Field::since("hypervisor_hostname", 74),
    Field::since("hostname", 90),
];

const NETWORK: &[Field] = &[
    Field::always("uuid"),
    Field::always("port"),
    Field::always("fixed_ip"),
    // 2.37 to 2.41 lost it by mistake, and the history keeps the mistake.
    Field::between("tag", 32, 36),
    Field::since("tag", 42),
];

const BLOCK_DEVICE: &[Field] = &[
    Field::always("virtual_name"),
    Field::always("volume_id"),
    Field::always("snapshot_id"),
    Field::always("volume_size"),
    Field::always("device_name"),
    Field::always("delete_on_termination"),
    Field::always("no_device"),
    Field::always("connection_info"),
    Field::always("source_type"),
    Field::always("uuid"),
    Field::always("image_id"),
    Field::always("destination_type"),
    Field::always("guest_format"),
    Field::always("device_type"),
    Field::always("disk_bus"),
    Field::always("boot_index"),
    Field::between("tag", 32, 32),
    Field::since("tag", 42),
    Field::since("volume_type", 67),
];

const SECURITY_GROUP: &[Field] = &[Field::always("name")];

/// Before 2.19 a server is described by its name.
const DESCRIPTION_SINCE: u16 = 19;

/// The names under which scheduler hints may stand beside `server`.
const HINTS: [&str; 2] = ["os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"];

/// The body, checked against the schema of its microversion.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateServer {
    pub server: NewServer,
    pub networks: Networks,
    pub block_devices: Vec<BlockDevice>,
    /// Names or ids.
    pub security_groups: Vec<String>,
    pub hints: Map<String, Value>,
}

/// The plain members of `server`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
pub struct NewServer {
    pub name: String,
    #[serde(rename = "imageRef", default)]
    pub image_ref: Option<String>,
    #[serde(rename = "flavorRef", deserialize_with = "required_text")]
    pub flavor_ref: String,
    #[serde(rename = "adminPass", default)]
    pub admin_password: Option<String>,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    #[serde(rename = "OS-DCF:diskConfig", default)]
    pub disk_config: Option<String>,
    #[serde(rename = "accessIPv4", default)]
    pub access_ip_v4: Option<String>,
    #[serde(rename = "accessIPv6", default)]
    pub access_ip_v6: Option<String>,
    #[serde(default)]
    pub personality: Vec<Value>,
    #[serde(default)]
    pub availability_zone: Option<String>,
    #[serde(default)]
    pub block_device_mapping: Vec<Value>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub config_drive: Option<bool>,
    #[serde(default)]
    pub key_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub min_count: Option<u32>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub max_count: Option<u32>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub return_reservation_id: Option<bool>,
    #[serde(default)]
    pub user_data: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub trusted_image_certificates: Option<Vec<String>>,
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub hypervisor_hostname: Option<String>,
    #[serde(default)]
    pub hostname: Option<String>,
}

/// `networks`.
#[derive(Clone, Debug, PartialEq)]
pub enum Networks {
    /// The key was not there: before 2.37 it means "auto".
    Unsaid,
    Auto,
    None,
    These(Vec<RequestedNetwork>),
}

/// One of `networks`: a network or a port.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
pub struct RequestedNetwork {
    #[serde(rename = "uuid", default)]
    pub network_id: Option<String>,
    #[serde(rename = "port", default)]
    pub port_id: Option<String>,
    #[serde(default)]
    pub fixed_ip: Option<String>,
    #[serde(default)]
    pub tag: Option<String>,
}

/// One of `block_device_mapping_v2`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
pub struct BlockDevice {
    #[serde(default)]
    pub source_type: Option<String>,
    #[serde(default)]
    pub destination_type: Option<String>,
    #[serde(default)]
    pub uuid: Option<String>,
    #[serde(default)]
    pub boot_index: Option<Value>,
    #[serde(default)]
    pub volume_size: Option<Value>,
}

#[derive(Deserialize, JsonSchema)]
struct NamedGroup {
    name: String,
}

fn required_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    lenient::text(deserializer)?.ok_or_else(|| serde::de::Error::custom("text is expected"))
}

impl CreateServer {
    /// Reads the body of a request made with `version`.
    pub fn read(mut body: Value, version: Microversion) -> Result<Self, SchemaError> {
        let hints = match body.as_object_mut() {
            Some(root) => take_hints(root)?,
            None => Map::new(),
        };
        let nullable = ["description", "trusted_image_certificates"];
        let mut server: Value = rules::read_filled(&mut body, "server", SERVER, version, &nullable)?;
        let Some(members) = server.as_object_mut() else {
            return Err(SchemaError::invalid("server", "A JSON object is expected"));
        };
        let networks = read_networks(members.remove("networks"), version)?;
        let devices = members.remove("block_device_mapping_v2");
        check_devices(devices.as_ref())?;
        let nullable = ["boot_index", "no_device", "volume_type"];
        let block_devices = read_list(devices, "block_device_mapping_v2", BLOCK_DEVICE, version, &nullable)?;
        let groups: Vec<NamedGroup> =
            read_list(members.remove("security_groups"), "security_groups", SECURITY_GROUP, version, &[])?;
        let mut server: NewServer =
            serde_json::from_value(server).map_err(|error| SchemaError::invalid("server", error))?;
        if !version.at_least(DESCRIPTION_SINCE) {
            server.description = Some(server.name.clone());
        }
        check_hostname(server.hostname.as_deref(), version)?;
        Ok(Self {
            server,
            networks,
            block_devices,
            security_groups: groups.into_iter().map(|group| group.name).collect(),
            hints,
        })
    }
}

/// A host name may have a domain from 2.94 on.
pub(super) fn check_hostname(hostname: Option<&str>, version: Microversion) -> Result<(), SchemaError> {
    const DOMAINS_SINCE: u16 = 94;
    const SHORTEST: usize = 2;
    match hostname {
        Some(hostname) if hostname.contains('.') && !version.at_least(DOMAINS_SINCE) => {
            Err(SchemaError::invalid("hostname", "A name without a domain is expected"))
        }
        Some(hostname) if hostname.len() < SHORTEST && !version.at_least(DOMAINS_SINCE) => {
            Err(SchemaError::invalid("hostname", "It is too short"))
        }
        _ => Ok(()),
    }
}

fn take_hints(root: &mut Map<String, Value>) -> Result<Map<String, Value>, SchemaError> {
    let mut hints = Map::new();
    for name in HINTS {
        match root.remove(name) {
            None => {}
            Some(Value::Object(object)) => {
                for (name, hint) in &object {
                    check_hint(name, hint)?;
                }
                hints.extend(object);
            }
            Some(_) => return Err(SchemaError::invalid(name, "A JSON object is expected")),
        }
    }
    Ok(hints)
}

/// Hints have no effect here, and are what they must be all the same.
fn check_hint(name: &str, hint: &Value) -> Result<(), SchemaError> {
    let texts = |good: fn(&str) -> bool| {
        hint.as_array().is_some_and(|list| list.iter().all(|item| item.as_str().is_some_and(good)))
    };
    let text = |good: fn(&str) -> bool| hint.as_str().is_some_and(good);
    let good = match name {
        "group" | "different_host" => text(is_uuid) || texts(is_uuid),
        "same_host" => hint.is_string() || texts(is_uuid),
        "query" => hint.is_string() || hint.is_object(),
        "target_cell" => text(|cell| (1..=255).contains(&cell.chars().count())),
        "different_cell" => hint.is_string() || texts(|_| true),
        "build_near_host_ip" => text(|address| address.parse::<IpAddr>().is_ok()),
        "cidr" => text(is_prefix),
        _ => true,
    };
    if good { Ok(()) } else { Err(SchemaError::invalid(name, "It is not what is expected")) }
}

/// 32 hexadecimal digits, in groups or not.
fn is_uuid(text: &str) -> bool {
    const DIGITS: usize = 32;
    let digits: Vec<char> = text.chars().filter(|c| *c != '-').take(DIGITS + 1).collect();
    digits.len() == DIGITS && digits.iter().all(char::is_ascii_hexdigit)
}

/// `/24` and its like.
fn is_prefix(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c) || c == '.' || c == ':';
    text.strip_prefix('/').is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain))
}

/// What of block devices is looked at here and nowhere else.
fn check_devices(devices: Option<&Value>) -> Result<(), SchemaError> {
    const LONGEST_NAME: usize = 255;
    for device in devices.and_then(Value::as_array).into_iter().flatten() {
        let unfit = |key: &str| Err(SchemaError::invalid(key, "It is not what is expected"));
        if let Some(flag) = device.get("delete_on_termination")
            && lenient::boolean(flag).is_err()
        {
            return unfit("delete_on_termination");
        }
        if let Some(size) = device.get("volume_size")
            && !lenient::number(size).is_ok_and(|size| size.is_some_and(|size| size > 0))
        {
            return unfit("volume_size");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        let name = |name: &str| (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(plain);
        if device.get("device_name").is_some_and(|value| !value.as_str().is_some_and(name)) {
            return unfit("device_name");
        }
    }
    Ok(())
}

fn read_networks(value: Option<Value>, version: Microversion) -> Result<Networks, SchemaError> {
    const WORDS_SINCE: u16 = 37;
    match value {
        None if version.at_least(WORDS_SINCE) => {
            Err(SchemaError::invalid("server", "'networks' is a required property"))
        }
        None => Ok(Networks::Unsaid),
        Some(Value::String(word)) if version.at_least(WORDS_SINCE) => match word.as_str() {
            "auto" => Ok(Networks::Auto),
            "none" => Ok(Networks::None),
            _ => Err(SchemaError::invalid("networks", "'auto', 'none' or a list is expected")),
        },
        list => {
            let networks = read_list(list, "networks", NETWORK, version, &["port"])?;
            Ok(if networks.is_empty() { Networks::Unsaid } else { Networks::These(networks) })
        }
    }
}

/// A list of objects, each with these fields, of which the `nullable` may be null; nothing is an empty list.
fn read_list<T: serde::de::DeserializeOwned>(
    value: Option<Value>,
    path: &str,
    fields: &[Field],
    version: Microversion,
    nullable: &[&str],
) -> Result<Vec<T>, SchemaError> {
    let items = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(SchemaError::invalid(path, "A list is expected")),
    };
    let one = |item: Value| {
        if let Some(object) = item.as_object() {
            rules::refuse_null(object, nullable)?;
        }
        rules::read_value(item, path, fields, version)
    };
    items.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{CreateServer, Networks};
    use crate::compute::Microversion;

    fn read(server: Value, minor: u16) -> Result<CreateServer, String> {
        CreateServer::read(json!({ "server": server }), Microversion(minor)).map_err(|error| error.message)
    }

    /// What the `openstack` client sends for `server create --image --flavor --network`.
    #[test]
    fn the_clients_own_form_is_taken() {
        let request = read(
            json!({
                "name": "one", "imageRef": "i", "flavorRef": "1", "min_count": 1, "max_count": 1,
                "block_device_mapping_v2": [{"uuid": "i", "boot_index": 0, "source_type": "image",
                    "destination_type": "local", "delete_on_termination": true}],
                "networks": [{"uuid": "n"}], "config_drive": true,
            }),
            96,
        )
        .unwrap();
        assert_eq!(request.server.config_drive, Some(true));
        assert_eq!(request.block_devices[0].destination_type.as_deref(), Some("local"));
        assert!(
            matches!(request.networks, Networks::These(networks) if networks[0].network_id.as_deref() == Some("n"))
        );
    }

    /// (microversion, body, allowed)
    #[test]
    fn keys_come_and_go_with_the_microversion() {
        let base = |extra: Value| {
            let mut server = json!({"name": "n", "imageRef": "i", "flavorRef": 1});
            server.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            server
        };
        for (minor, extra, allowed) in [
            (1, json!({}), true),
            (37, json!({}), false),
            (37, json!({"networks": "auto"}), true),
            (36, json!({"networks": "auto"}), false),
            (96, json!({"networks": "some"}), false),
            (18, json!({"description": "d"}), false),
            (19, json!({"description": "d"}), true),
            (51, json!({"networks": "none", "tags": []}), false),
            (52, json!({"networks": "none", "tags": ["a"]}), true),
            (56, json!({"networks": "none", "personality": []}), true),
            (57, json!({"networks": "none", "personality": []}), false),
            (89, json!({"networks": "none", "hostname": "hh"}), false),
            (90, json!({"networks": "none", "hostname": "hh"}), true),
            (93, json!({"networks": "none", "hostname": "h"}), false),
            (94, json!({"networks": "none", "hostname": "h"}), true),
            (93, json!({"networks": "none", "hostname": "h.example"}), false),
            (94, json!({"networks": "none", "hostname": "h.example"}), true),
            (96, json!({"networks": [{"uuid": "n", "tag": "t"}]}), true),
            (41, json!({"networks": [{"uuid": "n", "tag": "t"}]}), false),
            (96, json!({"networks": [{"id": "n"}]}), false),
            (1, json!({"config_drive": "True", "min_count": "2"}), true),
            (1, json!({"config_drive": "perhaps"}), false),
            (1, json!({"unheard": 1}), false),
            (1, json!({"security_groups": [{"name": "a"}]}), true),
            (1, json!({"security_groups": ["a"]}), false),
            (1, json!({"metadata": {"a": 1}}), false),
            (1, json!({"config_drive": "y"}), false),
            (1, json!({"config_drive": null}), false),
            (1, json!({"key_name": null}), false),
            (1, json!({"min_count": null}), false),
            (1, json!({"user_data": null}), false),
            (19, json!({"description": null}), true),
            (1, json!({"networks": [{"uuid": "n", "port": null}]}), true),
            (1, json!({"networks": [{"uuid": "n", "fixed_ip": null}]}), false),
            (1, json!({"block_device_mapping_v2": [{"boot_index": null}]}), true),
            (1, json!({"block_device_mapping_v2": [{"volume_size": 0}]}), false),
            (1, json!({"block_device_mapping_v2": [{"volume_size": "1"}]}), true),
            (1, json!({"block_device_mapping_v2": [{"device_name": ""}]}), false),
            (1, json!({"block_device_mapping_v2": [{"delete_on_termination": "perhaps"}]}), false),
        ] {
            let result = read(base(extra.clone()), minor);
            assert_eq!(result.is_ok(), allowed, "2.{minor} {extra}: {result:?}");
        }
    }

    #[test]
    fn hints_stand_beside_the_server() {
        let body = json!({"server": {"name": "n", "flavorRef": "1"}, "os:scheduler_hints": {"group": "g"}});
        assert!(CreateServer::read(body, Microversion(1)).is_err(), "groups are named by UUID");
        for (hint, value, good) in [
            ("group", json!("00000000-0000-4000-8000-000000000000"), true),
            ("different_host", json!(["x"]), false),
            ("same_host", json!("x"), true),
            ("query", json!(5), false),
            ("query", json!("[]"), true),
            ("cidr", json!("24"), false),
            ("cidr", json!("/24"), true),
            ("build_near_host_ip", json!("x"), false),
            ("unheard", json!(null), true),
        ] {
            let hints = json!({ hint: value });
            let body = json!({"server": {"name": "n", "flavorRef": "1"}, "os:scheduler_hints": hints});
            assert_eq!(CreateServer::read(body, Microversion(1)).is_ok(), good, "{hint}");
        }
        let body = json!({"server": {"name": "n", "flavorRef": "1"}, "os:scheduler_hints": null});
        assert!(CreateServer::read(body, Microversion(1)).is_err());
        let body = json!({"server": {"name": "n", "flavorRef": "1"}, "hints": {}});
        assert!(CreateServer::read(body, Microversion(1)).is_err());
    }
}
