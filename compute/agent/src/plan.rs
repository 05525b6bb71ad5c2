//! The host's plan: pulled from the controller for ever, kept on the disk, and worked on from there while the
//! controller is away.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use updraft_base::HostId;
use updraft_compute_api::plan::HostPlan;

use crate::agent::Host;
use crate::controller::Controller;
use crate::layout::write_durably;

/// Between attempts to reach the controller: doubled each time, from the first to the last.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// Reads the plan that was kept; `None` when there is none, or one of another host.
///
/// # Errors
/// The file system's own.
pub fn load(path: &Path, host: HostId) -> io::Result<Option<HostPlan>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match serde_json::from_slice::<HostPlan>(&text) {
        Ok(plan) if plan.host_id == host => Ok(Some(plan)),
        Ok(_) => Ok(None),
        Err(error) => {
            // Written by another version, perhaps. The controller has the truth.
            tracing::warn!(%error, "the plan kept in {} is of no use", path.display());
            Ok(None)
        }
    }
}

/// Pulls the plan for ever. `confirmed` becomes true with the first one that the controller gave to this agent.
pub async fn pull(
    controller: Controller,
    host: Arc<Host>,
    plan: watch::Sender<Option<Arc<HostPlan>>>,
    confirmed: watch::Sender<bool>,
) {
    // None at first, so that the controller answers at once with whatever it has.
    let mut known = None;
    let mut retry = FIRST_RETRY;
    loop {
        let problem = match controller.plan(known).await {
            Ok(None) => None,
            Ok(Some(newer)) if newer.host_id != host.id => {
                Some(format!("the controller sent the plan of host {}, this is {}", newer.host_id, host.id))
            }
            Ok(Some(newer)) => {
                known = Some(newer.generation);
                tracing::info!(generation = newer.generation, servers = newer.servers.len(), "plan received");
                keep(&host, &newer);
                let newer = Some(Arc::new(newer));
                plan.send_if_modified(|now| {
                    let differs = *now != newer;
                    if differs {
                        *now = newer;
                    }
                    differs
                });
                confirmed.send_if_modified(|now| !std::mem::replace(now, true));
                None
            }
            Err(error) => Some(error.to_string()),
        };
        match problem {
            None => retry = FIRST_RETRY,
            Some(problem) => {
                tracing::warn!(retry_ms = retry.as_millis(), "no plan: {problem}");
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    }
}

/// Keeps the plan for the time without a controller. A full disk must not keep it from being carried out.
fn keep(host: &Host, plan: &HostPlan) {
    let path = host.layout.plan_file();
    let kept =
        serde_json::to_vec(plan).map_err(io::Error::other).and_then(|text| write_durably(&path, &text));
    if let Err(error) = kept {
        tracing::error!(%error, "the plan cannot be kept in {}", path.display());
    }
}
