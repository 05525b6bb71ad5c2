//! Tells the controller what is: at each change, and every ten seconds.

use std::sync::Arc;
use std::time::Duration;

use updraft_compute_api::observed::HostObserved;

use crate::agent::Host;
use crate::controller::Controller;
use crate::host::capacity::{capacity, disk_problem, hostname};

/// The controller hears from the host at least this often.
const PUSH_PERIOD: Duration = Duration::from_secs(10);
/// Changes within so short a time go together.
const GATHER_TIME: Duration = Duration::from_millis(20);
/// Between attempts to reach the controller: doubled each time, from the first to the last.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// Pushes for ever.
pub async fn push(controller: Controller, host: Arc<Host>) {
    let (mut servers, mut net, mut plan) = (host.board.changes(), host.net.clone(), host.plan.clone());
    let mut retry = FIRST_RETRY;
    loop {
        servers.mark_unchanged();
        net.mark_unchanged();
        plan.mark_unchanged();
        if let Err(error) = controller.observed(&observed(&host)).await {
            tracing::debug!(%error, "observation not pushed");
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
            continue;
        }
        retry = FIRST_RETRY;
        tokio::select! {
            _ = servers.changed() => {}
            _ = net.changed() => {}
            _ = plan.changed() => {}
            () = tokio::time::sleep(PUSH_PERIOD) => continue,
        }
        tokio::time::sleep(GATHER_TIME).await;
    }
}

/// Everything that the host observes now.
pub fn observed(host: &Host) -> HostObserved {
    let plan_generation = host.plan.borrow().as_ref().map_or(0, |plan| plan.generation);
    let ports = host.net.borrow().plugged.clone();
    HostObserved {
        host_id: host.id,
        hostname: hostname(),
        plan_generation,
        agent_url: host.config.advertised_url(),
        accelerator: host
            .probed
            .accelerator
            .map(|accelerator| accelerator.name().to_owned())
            .unwrap_or_default(),
        accelerator_reason: host.probed.reason.clone(),
        hypervisor_version: host.probed.version.clone(),
        capacity: capacity(&host.config),
        servers: host.board.all(),
        ports,
        problems: problems(host),
    }
}

/// What is wrong on the host itself, in plain words.
pub fn problems(host: &Host) -> Vec<String> {
    let accelerator = host.probed.accelerator.is_none().then(|| host.probed.reason.clone());
    let netd = host.net.borrow().problem.clone();
    accelerator.into_iter().chain(netd).chain(disk_problem(&host.config)).collect()
}
