//! From the model to the wire.

use std::collections::BTreeMap;

use updraft_core::compute::server::{Address, HostFact, ServerDetail, hidden_host_id};
use updraft_model::compute::server::DiskConfig;
use updraft_model::compute::{DEFAULT_AVAILABILITY_ZONE, FlavorSnapshot, TaskState};
use updraft_wire::compute::server::{AddressView, FaultView, ServerFlavor, ServerView};

/// Digits of the id in a hypervisor's name for a server.
const INSTANCE_NAME_DIGITS: usize = 8;

pub(super) fn of(detail: ServerDetail) -> ServerView {
    let ServerDetail { server, addresses, security_groups, host } = detail;
    let status = server.status();
    let spec = server.spec;
    let zone = match (&host, &spec.availability_zone) {
        (Some(_), _) => DEFAULT_AVAILABILITY_ZONE.to_owned(),
        (None, requested) => requested.clone().unwrap_or_default(),
    };
    ServerView {
        instance_name: format!("instance-{}", server.id.get(..INSTANCE_NAME_DIGITS).unwrap_or(&server.id)),
        host_id: host
            .as_ref()
            .map(|host| hidden_host_id(&server.project_id, &host.hostname))
            .unwrap_or_default(),
        host_status: host.as_ref().map_or("", host_status),
        host: host.map(|host| host.hostname),
        id: server.id,
        name: server.name,
        description: spec.description,
        status,
        vm_state: server.vm_state.as_str(),
        task_state: server.task_state.map(TaskState::as_str),
        power_state: server.power_state.code(),
        project_id: server.project_id,
        user_id: server.user_id,
        addresses: addresses_view(addresses),
        access_ip_v4: spec.access_ip_v4.unwrap_or_default(),
        access_ip_v6: spec.access_ip_v6.unwrap_or_default(),
        flavor: flavor_view(spec.flavor),
        image_id: spec.root_disk.image_id,
        key_name: spec.key_name,
        config_drive: spec.config_drive,
        metadata: spec.metadata,
        tags: spec.tags,
        security_groups,
        disk_config: disk_config(spec.disk_config),
        availability_zone: zone,
        pinned_availability_zone: spec.availability_zone,
        locked: server.locked.is_some(),
        locked_reason: server.locked.and_then(|lock| lock.reason),
        fault: server.fault.map(|fault| FaultView {
            code: fault.code,
            message: fault.message,
            created: fault.created_at.seconds_z(),
        }),
        created: server.created_at.seconds_z(),
        updated: server.updated_at.seconds_z(),
        launched_at: server.launched_at.map(|time| time.micros_bare()),
        terminated_at: server.deleted_at.map(|time| time.micros_bare()),
        hostname: spec.hostname,
        reservation_id: spec.reservation_id,
        launch_index: spec.launch_index,
        user_data: spec.user_data,
    }
}

fn host_status(host: &HostFact) -> &'static str {
    match (host.up, host.disabled) {
        (false, _) => "DOWN",
        (true, true) => "MAINTENANCE",
        (true, false) => "UP",
    }
}

pub(super) const fn disk_config(config: DiskConfig) -> &'static str {
    match config {
        DiskConfig::Auto => "AUTO",
        DiskConfig::Manual => "MANUAL",
    }
}

fn flavor_view(flavor: FlavorSnapshot) -> ServerFlavor {
    ServerFlavor {
        id: flavor.id,
        name: flavor.name,
        vcpus: flavor.vcpus,
        memory_mib: flavor.memory_mib,
        disk_gib: flavor.disk_gib,
        ephemeral_gib: flavor.ephemeral_gib,
        swap_mib: flavor.swap_mib,
        extra_specs: flavor.extra_specs,
    }
}

pub(super) fn addresses_view(networks: BTreeMap<String, Vec<Address>>) -> BTreeMap<String, Vec<AddressView>> {
    let one = |address: Address| AddressView {
        version: if address.address.is_ipv4() { 4 } else { 6 },
        address: address.address.to_string(),
        kind: if address.floating { "floating" } else { "fixed" },
        mac: address.mac,
    };
    networks.into_iter().map(|(name, list)| (name, list.into_iter().map(one).collect())).collect()
}
