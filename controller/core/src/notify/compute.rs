//! Nova's unversioned notifications of servers (`compute.instance.*`; docs.openstack.org/nova, "Available legacy
//! notifications"): what billing and Designate's sink listen to.

use serde_json::{Value, json};
use updraft_model::Timestamp;
use updraft_model::compute::{Program, Server, Task, VmState};
use updraft_store::Notice;

/// A task begins: `compute.instance.create.start`, `compute.instance.delete.start`, …
pub(crate) fn started(server: &Server, task: &Task) -> Notice {
    notice(server, task, "start", false)
}

/// A task came to its end.
pub(crate) fn ended(server: &Server, task: &Task) -> Notice {
    let mut notice = notice(server, task, "end", false);
    if task.program == Program::Create {
        notice.payload["message"] = json!("Success");
    }
    notice
}

/// A task was given up.
pub(crate) fn failed(server: &Server, task: &Task) -> Notice {
    let mut notice = notice(server, task, "error", true);
    notice.payload["message"] = json!(task.message);
    notice
}

fn notice(server: &Server, task: &Task, phase: &str, is_error: bool) -> Notice {
    let action = match task.program {
        Program::Create => "create",
        Program::Delete => "delete",
        Program::Start => "power_on",
        Program::Stop => "power_off",
        Program::Reboot => "reboot",
    };
    let context =
        [("request_id", &task.request_id), ("project_id", &task.project_id), ("user_id", &task.user_id)];
    Notice {
        event_type: format!("compute.instance.{action}.{phase}"),
        is_error,
        payload: payload(server),
        context: context.into_iter().map(|(key, value)| (key, value.clone())).collect(),
    }
}

/// Nova's spelling of a time here: `2026-01-02 03:04:05+00:00`.
fn time(time: Timestamp) -> String {
    time.seconds_z().replace('T', " ").replace('Z', "+00:00")
}

fn optional(moment: Option<Timestamp>) -> String {
    moment.map(time).unwrap_or_default()
}

fn payload(server: &Server) -> Value {
    let (spec, flavor) = (&server.spec, &server.spec.flavor);
    let state = match server.vm_state {
        VmState::Deleted => "deleted",
        state => state.as_str(),
    };
    json!({
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "instance_id": server.id,
        "display_name": server.name,
        "reservation_id": spec.reservation_id,
        "hostname": spec.hostname,
        "instance_type": flavor.name,
        "instance_flavor_id": flavor.id,
        "memory_mb": flavor.memory_mib,
        "disk_gb": flavor.disk_gib + flavor.ephemeral_gib,
        "root_gb": flavor.disk_gib,
        "ephemeral_gb": flavor.ephemeral_gib,
        "vcpus": flavor.vcpus,
        "host": server.host_id,
        "node": server.host_id,
        "availability_zone": spec.availability_zone,
        "image_ref_url": spec.root_disk.image_id,
        "image_meta": {"base_image_ref": spec.root_disk.image_id},
        "metadata": spec.metadata,
        "access_ip_v4": spec.access_ip_v4,
        "access_ip_v6": spec.access_ip_v6,
        "state": state,
        "state_description": server.task_state.map(|state| state.as_str()).unwrap_or_default(),
        "created_at": time(server.created_at),
        "launched_at": optional(server.launched_at),
        "deleted_at": optional(server.deleted_at),
        "terminated_at": optional(server.deleted_at),
    })
}
