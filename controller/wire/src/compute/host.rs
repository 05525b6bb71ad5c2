//! Hosts as the API shows them: compute services, hypervisors, availability zones.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::rules::{self, Field, SchemaError};
use super::{Microversion, lenient};

/// From 2.53 on services and hypervisors are known by UUID.
pub const UUID_SINCE: u16 = 53;
/// From 2.88 on a hypervisor no longer shows what placement knows better.
const LEAN_HYPERVISOR_SINCE: u16 = 88;
/// From 2.28 on `cpu_info` is an object.
const CPU_OBJECT_SINCE: u16 = 28;
const FORCED_DOWN_SINCE: u16 = 11;

/// A host, with everything that any version shows.
#[derive(Clone, Debug)]
pub struct HostView {
    pub id: String,
    /// Its number in the order of names, for versions that know no UUIDs.
    pub number: u64,
    pub hostname: String,
    pub host_ip: String,
    pub up: bool,
    pub disabled: bool,
    pub disabled_reason: Option<String>,
    pub forced_down: bool,
    /// With microseconds and without a zone.
    pub updated_at: String,
    pub zone: String,
    /// `QEMU`.
    pub kind: String,
    pub version: u64,
    pub cpu: Value,
    pub uptime: Option<String>,
    pub vcpus: u64,
    pub vcpus_used: u64,
    pub memory_mib: u64,
    pub memory_mib_used: u64,
    pub disk_gib: u64,
    pub disk_gib_used: u64,
    pub disk_gib_free: u64,
    pub running_servers: u64,
    /// (id, name)
    pub servers: Vec<(String, String)>,
}

/// From 2.75 on a hypervisor without servers says so.
const EMPTY_SERVERS_SINCE: u16 = 75;

const HYPERVISOR: &[Field] = &[
    Field::always("id"),
    Field::always("hypervisor_hostname"),
    Field::always("hypervisor_type"),
    Field::always("hypervisor_version"),
    Field::always("host_ip"),
    Field::always("service"),
    Field::always("state"),
    Field::always("status"),
    Field::since("servers", 53),
    Field::since("uptime", 88),
    Field::between("cpu_info", 1, 87),
    Field::between("current_workload", 1, 87),
    Field::between("disk_available_least", 1, 87),
    Field::between("free_disk_gb", 1, 87),
    Field::between("free_ram_mb", 1, 87),
    Field::between("local_gb", 1, 87),
    Field::between("local_gb_used", 1, 87),
    Field::between("memory_mb", 1, 87),
    Field::between("memory_mb_used", 1, 87),
    Field::between("running_vms", 1, 87),
    Field::between("vcpus", 1, 87),
    Field::between("vcpus_used", 1, 87),
];

impl HostView {
    fn state(&self) -> &'static str {
        if self.up { "up" } else { "down" }
    }

    fn status(&self) -> &'static str {
        if self.disabled { "disabled" } else { "enabled" }
    }

    fn shown_id(&self, version: Microversion) -> Value {
        if version.at_least(UUID_SINCE) { json!(self.id) } else { json!(self.number) }
    }

    /// A member of `GET /os-services`.
    pub fn service(&self, version: Microversion) -> Value {
        let mut service = json!({
            "id": self.shown_id(version),
            "binary": "nova-compute",
            "host": self.hostname,
            "zone": self.zone,
            "status": self.status(),
            "state": self.state(),
            "disabled_reason": self.disabled_reason,
            "updated_at": self.updated_at,
        });
        if version.at_least(FORCED_DOWN_SINCE) {
            service["forced_down"] = json!(self.forced_down);
        }
        service
    }

    /// A member of `GET /os-hypervisors`.
    pub fn brief_hypervisor(&self, version: Microversion) -> Value {
        json!({
            "id": self.shown_id(version),
            "hypervisor_hostname": self.hostname,
            "state": self.state(),
            "status": self.status(),
        })
    }

    /// `GET /os-hypervisors/{id}` and members of `/detail`; `with_servers` where they are asked for.
    pub fn hypervisor(&self, version: Microversion, with_servers: bool) -> Value {
        let mut object = match self.capacity_members(version) {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        for (key, value) in [
            ("id", self.shown_id(version)),
            ("hypervisor_hostname", json!(self.hostname)),
            ("hypervisor_type", json!(self.kind)),
            ("hypervisor_version", json!(self.version)),
            ("host_ip", json!(self.host_ip)),
            ("state", json!(self.state())),
            ("status", json!(self.status())),
            ("uptime", json!(self.uptime)),
            (
                "service",
                json!({
                    "id": self.shown_id(version),
                    "host": self.hostname,
                    "disabled_reason": self.disabled_reason,
                }),
            ),
        ] {
            object.insert(key.into(), value);
        }
        if with_servers && (!self.servers.is_empty() || version.at_least(EMPTY_SERVERS_SINCE)) {
            let servers = self.servers.iter().map(|(id, name)| json!({"uuid": id, "name": name})).collect();
            object.insert("servers".into(), Value::Array(servers));
        }
        rules::keep(&mut object, HYPERVISOR, version, true);
        Value::Object(object)
    }

    fn capacity_members(&self, version: Microversion) -> Value {
        if version.at_least(LEAN_HYPERVISOR_SINCE) {
            return json!({});
        }
        let cpu =
            if version.at_least(CPU_OBJECT_SINCE) { self.cpu.clone() } else { json!(self.cpu.to_string()) };
        json!({
            "cpu_info": cpu,
            "current_workload": 0,
            "disk_available_least": self.disk_gib_free,
            "free_disk_gb": self.disk_gib.saturating_sub(self.disk_gib_used),
            "free_ram_mb": self.memory_mib.saturating_sub(self.memory_mib_used),
            "local_gb": self.disk_gib,
            "local_gb_used": self.disk_gib_used,
            "memory_mb": self.memory_mib,
            "memory_mb_used": self.memory_mib_used,
            "running_vms": self.running_servers,
            "vcpus": self.vcpus,
            "vcpus_used": self.vcpus_used,
        })
    }
}

/// `GET /os-hypervisors/statistics`, before 2.88.
pub fn statistics(hosts: &[HostView]) -> Value {
    let sum = |count: fn(&HostView) -> u64| hosts.iter().map(count).sum::<u64>();
    json!({"hypervisor_statistics": {
        "count": hosts.len(),
        "current_workload": 0,
        "disk_available_least": sum(|host| host.disk_gib_free),
        "free_disk_gb": sum(|host| host.disk_gib.saturating_sub(host.disk_gib_used)),
        "free_ram_mb": sum(|host| host.memory_mib.saturating_sub(host.memory_mib_used)),
        "local_gb": sum(|host| host.disk_gib),
        "local_gb_used": sum(|host| host.disk_gib_used),
        "memory_mb": sum(|host| host.memory_mib),
        "memory_mb_used": sum(|host| host.memory_mib_used),
        "running_vms": sum(|host| host.running_servers),
        "vcpus": sum(|host| host.vcpus),
        "vcpus_used": sum(|host| host.vcpus_used),
    }})
}

/// `GET /os-availability-zone`; the hosts only in `/detail`, which is for administrators.
pub fn availability_zones(zone: &str, hosts: Option<&[HostView]>) -> Value {
    let services = hosts.map(|hosts| {
        let one = |host: &HostView| {
            let service =
                json!({"active": !host.disabled, "available": host.up, "updated_at": host.updated_at});
            (host.hostname.clone(), json!({ "nova-compute": service }))
        };
        Value::Object(hosts.iter().map(one).collect())
    });
    json!({"availabilityZoneInfo": [{"zoneName": zone, "zoneState": {"available": true}, "hosts": services}]})
}

const SERVICE: &[Field] =
    &[Field::since("status", 53), Field::since("disabled_reason", 53), Field::since("forced_down", 53)];

/// `PUT /os-services/{id}`, from 2.53 on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UpdateService {
    pub status: Option<String>,
    pub disabled_reason: Option<String>,
    #[serde(deserialize_with = "lenient::boolean")]
    pub forced_down: Option<bool>,
}

impl UpdateService {
    pub fn read(body: Value, version: Microversion) -> Result<Self, SchemaError> {
        const LONGEST_REASON: usize = 255;
        if let Some(object) = body.as_object() {
            rules::refuse_null(object, &[])?;
        }
        let request: Self = rules::read_value(body, "body", SERVICE, version)?;
        let unfit = |reason: &String| reason.is_empty() || reason.chars().count() > LONGEST_REASON;
        if request.disabled_reason.as_ref().is_some_and(unfit) {
            return Err(SchemaError::invalid("disabled_reason", "1 to 255 characters are expected"));
        }
        let wrong = match request.status.as_deref() {
            None => request.forced_down.is_none() || request.disabled_reason.is_some(),
            Some("disabled") => false,
            Some("enabled") => request.disabled_reason.is_some(),
            Some(_) => true,
        };
        if wrong {
            let reason = "'status' is enabled or disabled, 'disabled_reason' goes with disabled, else 'forced_down' is needed";
            return Err(SchemaError::invalid("body", reason));
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{HostView, UpdateService, availability_zones};
    use crate::compute::Microversion;

    fn view() -> HostView {
        HostView {
            id: "uuid".into(),
            number: 1,
            hostname: "node-1".into(),
            host_ip: "127.0.0.1".into(),
            up: true,
            disabled: false,
            disabled_reason: None,
            forced_down: false,
            updated_at: "t".into(),
            zone: "nova".into(),
            kind: "QEMU".into(),
            version: 7_002_000,
            cpu: json!({}),
            uptime: None,
            vcpus: 2,
            vcpus_used: 1,
            memory_mib: 1024,
            memory_mib_used: 64,
            disk_gib: 10,
            disk_gib_used: 1,
            disk_gib_free: 9,
            running_servers: 1,
            servers: vec![("s".into(), "n".into())],
        }
    }

    #[test]
    fn hypervisors_follow_the_samples() {
        for (minor, keys) in [(1, 20), (53, 20), (87, 20), (88, 9)] {
            let hypervisor = view().hypervisor(Microversion(minor), false);
            assert_eq!(hypervisor.as_object().unwrap().len(), keys, "2.{minor}");
        }
        assert_eq!(view().hypervisor(Microversion(52), false)["id"], 1);
        assert_eq!(view().hypervisor(Microversion(53), true)["servers"][0]["uuid"], "s");
        let idle = HostView { servers: Vec::new(), ..view() };
        assert!(idle.hypervisor(Microversion(74), true).get("servers").is_none());
        assert_eq!(idle.hypervisor(Microversion(75), true)["servers"], json!([]));
        assert!(view().hypervisor(Microversion(27), false)["cpu_info"].is_string());
    }

    #[test]
    fn services_follow_the_samples() {
        assert_eq!(view().service(Microversion(1)).as_object().unwrap().len(), 8);
        assert_eq!(view().service(Microversion(11)).as_object().unwrap().len(), 9);
        assert_eq!(view().service(Microversion(53))["id"], "uuid");
    }

    #[test]
    fn a_service_changes_in_these_ways_only() {
        let read = |body| UpdateService::read(body, Microversion(53)).is_ok();
        assert!(read(json!({"status": "disabled", "disabled_reason": "r"})));
        assert!(read(json!({"forced_down": true})));
        assert!(read(json!({"forced_down": "true"})));
        assert!(!read(json!({"forced_down": null})));
        assert!(!read(json!({"status": "disabled", "disabled_reason": ""})));
        assert!(!read(json!({"status": "disabled", "disabled_reason": null})));
        assert!(!read(json!({"status": "disabled", "disabled_reason": "r".repeat(256)})));
        assert!(!read(json!({"status": "enabled", "disabled_reason": "r"})));
        assert!(!read(json!({"status": "away"})));
        assert!(!read(json!({})));
        assert!(UpdateService::read(json!({"forced_down": true}), Microversion(52)).is_err());
    }

    #[test]
    fn members_do_not_see_hosts() {
        assert!(availability_zones("nova", None)["availabilityZoneInfo"][0]["hosts"].is_null());
        let detail = availability_zones("nova", Some(&[view()]));
        assert_eq!(detail["availabilityZoneInfo"][0]["hosts"]["node-1"]["nova-compute"]["available"], true);
    }
}
