//! `POST /servers` (API reference, "Create Server").

use std::collections::BTreeMap;

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
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
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

#[derive(Deserialize)]
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
        let mut server: Value = rules::read(&mut body, "server", SERVER, version)?;
        let Some(members) = server.as_object_mut() else {
            return Err(SchemaError::invalid("server", "A JSON object is expected"));
        };
        let networks = read_networks(members.remove("networks"), version)?;
        let block_devices = read_list(
            members.remove("block_device_mapping_v2"),
            "block_device_mapping_v2",
            BLOCK_DEVICE,
            version,
        )?;
        let groups: Vec<NamedGroup> =
            read_list(members.remove("security_groups"), "security_groups", SECURITY_GROUP, version)?;
        let server: NewServer =
            serde_json::from_value(server).map_err(|error| SchemaError::invalid("server", error))?;
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
    match hostname {
        Some(hostname) if hostname.contains('.') && !version.at_least(DOMAINS_SINCE) => {
            Err(SchemaError::invalid("hostname", "A name without a domain is expected"))
        }
        _ => Ok(()),
    }
}

fn take_hints(root: &mut Map<String, Value>) -> Result<Map<String, Value>, SchemaError> {
    let mut hints = Map::new();
    for name in HINTS {
        match root.remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::Object(object)) => hints.extend(object),
            Some(_) => return Err(SchemaError::invalid(name, "A JSON object is expected")),
        }
    }
    Ok(hints)
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
            let networks = read_list(list, "networks", NETWORK, version)?;
            Ok(if networks.is_empty() { Networks::Unsaid } else { Networks::These(networks) })
        }
    }
}

/// A list of objects, each with these fields; nothing is an empty list.
fn read_list<T: serde::de::DeserializeOwned>(
    value: Option<Value>,
    path: &str,
    fields: &[Field],
    version: Microversion,
) -> Result<Vec<T>, SchemaError> {
    let items = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(SchemaError::invalid(path, "A list is expected")),
    };
    items.into_iter().map(|item| rules::read_value(item, path, fields, version)).collect()
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
            (89, json!({"networks": "none", "hostname": "h"}), false),
            (90, json!({"networks": "none", "hostname": "h"}), true),
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
        ] {
            let result = read(base(extra.clone()), minor);
            assert_eq!(result.is_ok(), allowed, "2.{minor} {extra}: {result:?}");
        }
    }

    #[test]
    fn hints_stand_beside_the_server() {
        let body = json!({"server": {"name": "n", "flavorRef": "1"}, "os:scheduler_hints": {"group": "g"}});
        assert_eq!(CreateServer::read(body, Microversion(1)).unwrap().hints["group"], "g");
        let body = json!({"server": {"name": "n", "flavorRef": "1"}, "hints": {}});
        assert!(CreateServer::read(body, Microversion(1)).is_err());
    }
}
