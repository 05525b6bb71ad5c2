//! netd, told the whole network of the host: at each change of the plan, and again whenever netd was restarted or
//! does not have in force what it should.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use updraft_base::PortId;
use updraft_compute_api::plan::HostPlan;
use updraft_dataplane_api::SocketRole;
use updraft_dataplane_api::net::{NetConfig, NetRequest, NetResponse, NetStatus};
use updraft_dataplane_api::socket;

use crate::layout::{Layout, ids_in, remove};
use crate::metadata::service::PlanWatch;

/// How often netd is asked how it is.
const POLL_PERIOD: Duration = Duration::from_secs(1);
/// How long netd may take to put a configuration into force.
const APPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long netd may take for its status.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum NetdError {
    #[error("netd does not answer: {0}")]
    Silent(io::Error),
    #[error("netd refuses the network: {reason}")]
    Refused { reason: String },
    #[error("netd answered something else than was asked")]
    OtherAnswer,
}

/// What is known of netd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetState {
    /// The ports that netd serves, or would if a guest came.
    pub applied_ports: BTreeSet<PortId>,
    /// The generation in force.
    pub generation: Option<u64>,
    /// Port → true when its virtual machine is plugged in.
    pub plugged: BTreeMap<PortId, bool>,
    /// Why netd is of no use now, in plain words.
    pub problem: Option<String>,
}

/// The plan's network with what only this host knows: the ports' sockets.
pub fn configuration(plan: &HostPlan, layout: &Layout) -> NetConfig {
    let mut config = plan.network.clone();
    for port in &mut config.ports {
        port.socket_path = layout.port_socket(port.id);
        port.socket_role = SocketRole::Connects;
    }
    config
}

/// Keeps netd at the plan, for ever, and publishes how it is.
pub async fn keep(socket: PathBuf, layout: Layout, mut plan: PlanWatch, state: watch::Sender<NetState>) {
    // Which plan this netd process has taken.
    let mut applied: Option<(u32, Arc<HostPlan>)> = None;
    loop {
        let wanted = plan.borrow_and_update().clone();
        let next = match status(&socket).await {
            Ok(status) => converge(&socket, &layout, wanted, &status, &mut applied).await,
            Err(error) => NetState { problem: Some(error.to_string()), ..NetState::default() },
        };
        state.send_if_modified(|now| {
            let changed = *now != next;
            if changed && now.problem != next.problem {
                match &next.problem {
                    Some(problem) => tracing::warn!("{problem}"),
                    None => tracing::info!("netd answers"),
                }
            }
            *now = next;
            changed
        });
        tokio::select! {
            changed = plan.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(POLL_PERIOD) => {}
        }
    }
}

async fn converge(
    socket: &Path,
    layout: &Layout,
    wanted: Option<Arc<HostPlan>>,
    status: &NetStatus,
    applied: &mut Option<(u32, Arc<HostPlan>)>,
) -> NetState {
    let mut generation = status.generation;
    let mut problem = None;
    if let Some(plan) = wanted {
        let current =
            applied.as_ref().is_some_and(|(pid, taken)| *pid == status.pid && Arc::ptr_eq(taken, &plan));
        if !current || generation < plan.network.generation {
            match apply(socket, configuration(&plan, layout)).await {
                Ok(in_force) if in_force == plan.network.generation => {
                    generation = in_force;
                    remove_unplanned_sockets(&plan, layout);
                    *applied = Some((status.pid, plan));
                }
                Ok(in_force) => {
                    let ours = plan.network.generation;
                    problem =
                        Some(format!("netd keeps generation {in_force} of the network instead of {ours}"));
                }
                Err(error) => problem = Some(error.to_string()),
            }
        }
    }
    let taken = applied.as_ref().filter(|(pid, _)| *pid == status.pid).map(|(_, plan)| plan);
    NetState {
        applied_ports: taken.into_iter().flat_map(|plan| &plan.network.ports).map(|port| port.id).collect(),
        generation: Some(generation),
        plugged: status.ports.iter().map(|port| (port.id, port.plugged)).collect(),
        problem,
    }
}

/// A QEMU that was killed leaves its end of a port behind.
fn remove_unplanned_sockets(plan: &HostPlan, layout: &Layout) {
    let planned: BTreeSet<PortId> = plan.network.ports.iter().map(|port| port.id).collect();
    for id in ids_in::<PortId>(&layout.ports_dir()).into_iter().filter(|id| !planned.contains(id)) {
        if let Err(error) = remove(&layout.port_socket(id)) {
            tracing::warn!(port = %id, %error, "the socket of a port that is gone was not removed");
        }
    }
}

async fn apply(socket: &Path, config: NetConfig) -> Result<u64, NetdError> {
    match call(socket, NetRequest::Apply { config }, APPLY_TIMEOUT).await? {
        NetResponse::Applied { generation } => Ok(generation),
        NetResponse::Refused { reason } => Err(NetdError::Refused { reason }),
        NetResponse::Status { .. } => Err(NetdError::OtherAnswer),
    }
}

async fn status(socket: &Path) -> Result<NetStatus, NetdError> {
    match call(socket, NetRequest::Status, STATUS_TIMEOUT).await? {
        NetResponse::Status { status } => Ok(status),
        NetResponse::Applied { .. } | NetResponse::Refused { .. } => Err(NetdError::OtherAnswer),
    }
}

async fn call(socket: &Path, request: NetRequest, timeout: Duration) -> Result<NetResponse, NetdError> {
    let socket = socket.to_path_buf();
    let answer = tokio::task::spawn_blocking(move || socket::call(&socket, &request, timeout)).await;
    answer.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(NetdError::Silent)
}
