//! Servers as the API shows them, and the smaller requests about them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::rules::{self, Field, SchemaError};
use super::server_create::check_hostname;
use super::{Microversion, lenient};

/// `GET /servers/{id}` and `GET /servers/detail`. The order is the API reference's.
const DETAIL: &[Field] = &[
    Field::always("accessIPv4"),
    Field::always("accessIPv6"),
    Field::always("addresses"),
    Field::always("config_drive"),
    Field::always("created"),
    Field::since("description", 19),
    Field::always("fault"),
    Field::always("flavor"),
    Field::always("hostId"),
    Field::since("host_status", 16),
    Field::always("id"),
    Field::always("image"),
    Field::always("key_name"),
    Field::always("links"),
    Field::since("locked", 9),
    Field::since("locked_reason", 73),
    Field::always("metadata"),
    Field::always("name"),
    Field::always("OS-DCF:diskConfig"),
    Field::always("OS-EXT-AZ:availability_zone"),
    Field::always("OS-EXT-SRV-ATTR:host").for_admin(),
    Field::always("OS-EXT-SRV-ATTR:hypervisor_hostname").for_admin(),
    Field::always("OS-EXT-SRV-ATTR:instance_name").for_admin(),
    Field::between("OS-EXT-SRV-ATTR:hostname", 3, 89).for_admin(),
    Field::since("OS-EXT-SRV-ATTR:hostname", 90),
    Field::since("OS-EXT-SRV-ATTR:kernel_id", 3).for_admin(),
    Field::since("OS-EXT-SRV-ATTR:launch_index", 3).for_admin(),
    Field::since("OS-EXT-SRV-ATTR:ramdisk_id", 3).for_admin(),
    Field::since("OS-EXT-SRV-ATTR:reservation_id", 3).for_admin(),
    Field::since("OS-EXT-SRV-ATTR:root_device_name", 3).for_admin(),
    Field::since("OS-EXT-SRV-ATTR:user_data", 3).for_admin(),
    Field::always("OS-EXT-STS:power_state"),
    Field::always("OS-EXT-STS:task_state"),
    Field::always("OS-EXT-STS:vm_state"),
    Field::always("os-extended-volumes:volumes_attached"),
    Field::always("OS-SRV-USG:launched_at"),
    Field::always("OS-SRV-USG:terminated_at"),
    Field::since("pinned_availability_zone", 96),
    Field::always("progress"),
    Field::always("security_groups"),
    Field::always("status"),
    Field::since("tags", 26),
    Field::always("tenant_id"),
    Field::since("trusted_image_certificates", 63),
    Field::always("updated"),
    Field::always("user_id"),
];

/// `PUT /servers/{id}` before 2.75; from then on it answers as `GET` does.
const UPDATED: &[Field] = &[
    Field::always("accessIPv4"),
    Field::always("accessIPv6"),
    Field::always("addresses"),
    Field::always("created"),
    Field::since("description", 19),
    Field::always("fault"),
    Field::always("flavor"),
    Field::always("hostId"),
    Field::always("id"),
    Field::always("image"),
    Field::always("links"),
    Field::since("locked", 9),
    Field::since("locked_reason", 73),
    Field::always("metadata"),
    Field::always("name"),
    Field::always("OS-DCF:diskConfig"),
    Field::always("progress"),
    Field::always("status"),
    Field::since("tags", 26),
    Field::always("tenant_id"),
    Field::since("trusted_image_certificates", 63),
    Field::always("updated"),
    Field::always("user_id"),
];

/// A server group shows up where one server is shown, not in lists.
const GROUPS_SINCE: u16 = 71;
const WHOLE_UPDATE_SINCE: u16 = 75;
const EMBEDDED_FLAVOR_SINCE: u16 = 47;

/// What of a server one may see beside what its project always sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// `OS-EXT-SRV-ATTR:*`, which tell of the host.
    pub attributes: bool,
    pub host_status: bool,
    /// The flavor's.
    pub extra_specs: bool,
}

/// In which answer a server is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Show,
    List,
    Update,
}

/// Everything that any version shows of a server.
#[derive(Clone, Debug)]
pub struct ServerView {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub status: &'static str,
    pub vm_state: &'static str,
    pub task_state: Option<&'static str>,
    pub power_state: i64,
    pub project_id: String,
    pub user_id: String,
    pub addresses: BTreeMap<String, Vec<AddressView>>,
    pub access_ip_v4: String,
    pub access_ip_v6: String,
    pub flavor: ServerFlavor,
    pub image_id: String,
    pub key_name: Option<String>,
    pub config_drive: bool,
    pub metadata: BTreeMap<String, String>,
    pub tags: Vec<String>,
    pub security_groups: Vec<String>,
    pub disk_config: &'static str,
    pub availability_zone: String,
    pub pinned_availability_zone: Option<String>,
    pub locked: bool,
    pub locked_reason: Option<String>,
    pub fault: Option<FaultView>,
    /// `…Z`, whole seconds.
    pub created: String,
    pub updated: String,
    /// With microseconds and without a zone.
    pub launched_at: Option<String>,
    pub terminated_at: Option<String>,
    pub host_id: String,
    pub host: Option<String>,
    /// `UP`, `DOWN`, `MAINTENANCE`, `UNKNOWN`, or nothing without a host.
    pub host_status: &'static str,
    pub instance_name: String,
    pub hostname: String,
    pub reservation_id: String,
    pub launch_index: u32,
    pub user_data: Option<String>,
}

/// The flavor inside a server: a link before 2.47, its values from then on.
#[derive(Clone, Debug)]
pub struct ServerFlavor {
    pub id: String,
    pub name: String,
    pub vcpus: u16,
    pub memory_mib: u32,
    pub disk_gib: u32,
    pub ephemeral_gib: u32,
    pub swap_mib: u32,
    pub extra_specs: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub struct AddressView {
    pub address: String,
    pub version: u8,
    /// `fixed` or `floating`.
    pub kind: &'static str,
    pub mac: String,
}

#[derive(Clone, Debug)]
pub struct FaultView {
    pub code: u16,
    pub message: String,
    pub created: String,
}

/// `links` of anything: `self` in the versioned tree, `bookmark` outside of it.
pub fn links(endpoint: &str, collection: &str, id: &str) -> Value {
    json!([
        {"rel": "self", "href": format!("{endpoint}/compute/v2.1/{collection}/{id}")},
        bookmark(endpoint, collection, id),
    ])
}

fn bookmark(endpoint: &str, collection: &str, id: &str) -> Value {
    json!({"rel": "bookmark", "href": format!("{endpoint}/compute/{collection}/{id}")})
}

impl ServerView {
    /// The member of `GET /servers`.
    pub fn brief(&self, endpoint: &str) -> Value {
        json!({"id": self.id, "name": self.name, "links": links(endpoint, "servers", &self.id)})
    }

    /// The server in full, as `place` shows it in `version`.
    pub fn render(&self, endpoint: &str, version: Microversion, place: Place, sight: Sight) -> Value {
        let short = place == Place::Update && !version.at_least(WHOLE_UPDATE_SINCE);
        let mut object = self.members(endpoint, version);
        object.insert("addresses".into(), addresses(&self.addresses, !short));
        rules::keep(&mut object, if short { UPDATED } else { DETAIL }, version, sight.attributes);
        if !sight.host_status {
            object.remove("host_status");
        }
        if let (false, Some(Value::Object(flavor))) = (sight.extra_specs, object.get_mut("flavor")) {
            flavor.remove("extra_specs");
        }
        if place != Place::List && version.at_least(GROUPS_SINCE) {
            object.insert("server_groups".into(), json!([]));
        }
        Value::Object(object)
    }

    fn members(&self, endpoint: &str, version: Microversion) -> Map<String, Value> {
        let mut object = self.state_members();
        object.extend(self.host_members());
        object.extend(members(json!({
            "accessIPv4": self.access_ip_v4,
            "accessIPv6": self.access_ip_v6,
            "config_drive": if self.config_drive { "True" } else { "" },
            "created": self.created,
            "description": self.description,
            "flavor": self.flavor.render(endpoint, version),
            "id": self.id,
            "image": {"id": self.image_id, "links": [bookmark(endpoint, "images", &self.image_id)]},
            "key_name": self.key_name,
            "links": links(endpoint, "servers", &self.id),
            "metadata": self.metadata,
            "name": self.name,
            "OS-DCF:diskConfig": self.disk_config,
            "OS-EXT-AZ:availability_zone": self.availability_zone,
            "os-extended-volumes:volumes_attached": [],
            "pinned_availability_zone": self.pinned_availability_zone,
            "tags": self.tags,
            "tenant_id": self.project_id,
            "trusted_image_certificates": null,
            "updated": self.updated,
            "user_id": self.user_id,
        })));
        if !self.security_groups.is_empty() {
            let groups: Vec<Value> =
                self.security_groups.iter().map(|name| json!({ "name": name })).collect();
            object.insert("security_groups".into(), Value::Array(groups));
        }
        object
    }

    fn state_members(&self) -> Map<String, Value> {
        let mut object = members(json!({
            "locked": self.locked,
            "locked_reason": self.locked_reason,
            "OS-EXT-STS:power_state": self.power_state,
            "OS-EXT-STS:task_state": self.task_state,
            "OS-EXT-STS:vm_state": self.vm_state,
            "OS-SRV-USG:launched_at": self.launched_at,
            "OS-SRV-USG:terminated_at": self.terminated_at,
            "status": self.status,
        }));
        if matches!(self.status, "ACTIVE" | "BUILD" | "REBUILD" | "RESIZE" | "VERIFY_RESIZE" | "MIGRATING") {
            object.insert("progress".into(), json!(0));
        }
        if let (Some(fault), "ERROR" | "DELETED") = (&self.fault, self.status) {
            let fault = json!({"code": fault.code, "message": fault.message, "created": fault.created});
            object.insert("fault".into(), fault);
        }
        object
    }

    fn host_members(&self) -> Map<String, Value> {
        members(json!({
            "hostId": self.host_id,
            "host_status": self.host_status,
            "OS-EXT-SRV-ATTR:host": self.host,
            "OS-EXT-SRV-ATTR:hypervisor_hostname": self.host,
            "OS-EXT-SRV-ATTR:instance_name": self.instance_name,
            "OS-EXT-SRV-ATTR:hostname": self.hostname,
            "OS-EXT-SRV-ATTR:kernel_id": "",
            "OS-EXT-SRV-ATTR:launch_index": self.launch_index,
            "OS-EXT-SRV-ATTR:ramdisk_id": "",
            "OS-EXT-SRV-ATTR:reservation_id": self.reservation_id,
            "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
            "OS-EXT-SRV-ATTR:user_data": self.user_data,
        }))
    }
}

impl ServerFlavor {
    fn render(&self, endpoint: &str, version: Microversion) -> Value {
        if !version.at_least(EMBEDDED_FLAVOR_SINCE) {
            return json!({"id": self.id, "links": [bookmark(endpoint, "flavors", &self.id)]});
        }
        json!({
            "vcpus": self.vcpus,
            "ram": self.memory_mib,
            "disk": self.disk_gib,
            "ephemeral": self.ephemeral_gib,
            "swap": self.swap_mib,
            "original_name": self.name,
            "extra_specs": self.extra_specs,
        })
    }
}

/// `addresses`, keyed by the network's name. `extended` adds the kind and the MAC.
pub fn addresses(networks: &BTreeMap<String, Vec<AddressView>>, extended: bool) -> Value {
    let one = |address: &AddressView| {
        let mut value = json!({"addr": address.address, "version": address.version});
        if extended {
            value["OS-EXT-IPS:type"] = json!(address.kind);
            value["OS-EXT-IPS-MAC:mac_addr"] = json!(address.mac);
        }
        value
    };
    let object = networks.iter().map(|(name, list)| (name.clone(), list.iter().map(one).collect())).collect();
    Value::Object(object)
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

const UPDATE_REQUEST: &[Field] = &[
    Field::always("name"),
    Field::always("OS-DCF:diskConfig"),
    Field::always("accessIPv4"),
    Field::always("accessIPv6"),
    Field::since("description", 19),
    Field::since("hostname", 90),
];

/// `PUT /servers/{id}`. A double option tells "set to null" from "not said".
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UpdateServer {
    pub name: Option<String>,
    #[serde(rename = "OS-DCF:diskConfig")]
    pub disk_config: Option<String>,
    #[serde(rename = "accessIPv4")]
    pub access_ip_v4: Option<String>,
    #[serde(rename = "accessIPv6")]
    pub access_ip_v6: Option<String>,
    #[serde(deserialize_with = "said")]
    pub description: Option<Option<String>>,
    pub hostname: Option<String>,
}

fn said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

impl UpdateServer {
    pub fn read(mut body: Value, version: Microversion) -> Result<Self, SchemaError> {
        let request: Self =
            rules::read_filled(&mut body, "server", UPDATE_REQUEST, version, &["description"])?;
        check_hostname(request.hostname.as_deref(), version)?;
        Ok(request)
    }
}

const CREATE_ANSWER_PASSWORD: &str = "adminPass";

/// The answer of `POST /servers`.
pub fn created(
    endpoint: &str,
    id: &str,
    disk_config: &str,
    admin_password: Option<&str>,
    security_groups: &[String],
) -> Value {
    let groups: Vec<Value> = security_groups.iter().map(|name| json!({ "name": name })).collect();
    let mut server = json!({
        "id": id,
        "links": links(endpoint, "servers", id),
        "OS-DCF:diskConfig": disk_config,
        "security_groups": groups,
    });
    if let Some(password) = admin_password {
        server[CREATE_ANSWER_PASSWORD] = json!(password);
    }
    json!({ "server": server })
}

/// `"reboot": {"type": …}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reboot {
    #[serde(rename = "type")]
    pub kind: String,
}

/// `"os-getConsoleOutput": {"length": …}`; -1 and nothing mean "all".
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleOutput {
    pub length: Option<Value>,
}

/// `"remote_console": {"protocol": …, "type": …}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteConsole {
    pub protocol: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// `"os-getVNCConsole": {"type": …}` and its like, before 2.6.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LegacyConsole {
    #[serde(rename = "type")]
    pub kind: String,
}

/// `"addSecurityGroup": {"name": …}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedGroup {
    pub name: String,
}

/// `"os-resetState": {"state": …}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetState {
    pub state: String,
}

/// `"lock": {"locked_reason": …}` from 2.73 on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LockRequest {
    pub locked_reason: Option<String>,
}

/// A number of console lines: a number, or text that is one.
pub fn console_length(request: &ConsoleOutput) -> Result<Option<u32>, SchemaError> {
    match &request.length {
        None | Some(Value::Null) => Ok(None),
        Some(value) if value == &json!(-1) || value == &json!("-1") => Ok(None),
        Some(value) => lenient::number(value.clone())
            .map_err(|error: serde_json::Error| SchemaError::invalid("length", error)),
    }
}

#[cfg(test)]
mod tests;
