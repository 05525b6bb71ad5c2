//! What `network agent list` shows: there are no agents for networks alone, so each host counts as one.

use updraft_compute_api::path::HOST_DOWN_AFTER_S;
use updraft_model::compute::Host;
use updraft_store::compute::host;

use crate::policy::Target;
use crate::{Caller, Core, Result};

/// A host, and whether it has reported lately.
#[derive(Clone, Debug)]
pub struct Agent {
    pub host: Host,
    pub alive: bool,
}

/// All hosts; by default for administrators, nothing for others: as in Neutron, a list leaves out what a rule refuses.
pub async fn list(core: &Core, caller: &Caller) -> Result<Vec<Agent>> {
    if !caller.may("get_agent", &Target::own(caller)) {
        return Ok(Vec::new());
    }
    let now = core.clock.now();
    let hosts = host::list(&mut core.read().await?).await?;
    Ok(hosts.into_iter().map(|host| Agent { alive: host.is_up(now, HOST_DOWN_AFTER_S), host }).collect())
}
