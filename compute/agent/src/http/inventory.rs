//! What is on the host, found by looking.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use updraft_base::{PortId, ServerId};
use updraft_compute_api::inventory::{HostInventory, ServerInventory};

use crate::agent::Host;
use crate::host::process::{Identity, start_ticks};
use crate::layout::ids_in;
use crate::supervisor::found;

pub(super) async fn show(State(host): State<Arc<Host>>) -> Json<HostInventory> {
    Json(inventory(&host))
}

fn inventory(host: &Host) -> HostInventory {
    let plan = host.plan.borrow().clone();
    let plan = plan.as_deref();
    let planned: BTreeSet<ServerId> =
        plan.iter().flat_map(|plan| &plan.servers).map(|server| server.id).collect();
    let planned_ports: BTreeSet<PortId> =
        plan.iter().flat_map(|plan| &plan.network.ports).map(|port| port.id).collect();
    let all: BTreeSet<ServerId> = found(host).union(&planned).copied().collect();
    let servers: Vec<ServerInventory> =
        all.into_iter().map(|id| server(host, id, planned.contains(&id))).collect();
    let port_sockets: Vec<PortId> = ids_in(&host.layout.ports_dir());
    let leaked_servers = servers.iter().filter(|server| !server.planned).map(|server| {
        let ServerInventory { id, qemu_pid, blkd_pid, files, sockets, cgroup, .. } = server;
        let (files, sockets, cgroups) = (files.len(), sockets.len(), usize::from(cgroup.is_some()));
        let processes = usize::from(qemu_pid.is_some()) + usize::from(blkd_pid.is_some());
        format!(
            "server {id} is not planned but has {processes} processes, {files} files, {sockets} sockets and \
             {cgroups} cgroups"
        )
    });
    let leaked_ports = port_sockets
        .iter()
        .filter(|port| !planned_ports.contains(port))
        .map(|port| format!("port {port} is not planned but has a socket"));
    let leaks = leaked_servers.chain(leaked_ports).collect();
    let plan_generation = plan.map(|plan| plan.generation);
    HostInventory {
        host_id: host.id,
        plan_generation,
        servers,
        images: host.images.list(),
        port_sockets,
        leaks,
    }
}

fn server(host: &Host, id: ServerId, planned: bool) -> ServerInventory {
    let layout = &host.layout;
    ServerInventory {
        id,
        planned,
        qemu_pid: living(&layout.qemu_process(id)),
        blkd_pid: living(&layout.blkd_process(id)),
        files: names(&layout.server_dir(id)),
        sockets: names(&layout.server_run_dir(id)),
        cgroup: host.cgroups.existing(id).map(|dir| dir.display().to_string()),
    }
}

/// The process that a record names, when it lives. Without its lock: the server's task may be about to take it.
fn living(record: &Path) -> Option<u32> {
    let identity: Identity = serde_json::from_slice(&std::fs::read(record).ok()?).ok()?;
    let lives = start_ticks(identity.pid).is_ok_and(|ticks| ticks == identity.start_ticks);
    lives.then_some(identity.pid)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.path().display().to_string()).collect();
    names.sort();
    names
}
