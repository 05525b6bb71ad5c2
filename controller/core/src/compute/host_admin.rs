//! Hosts, for administrators.

use updraft_model::compute::{Host, Server, VmState};
use updraft_store::compute::{host, server, server::ServerFilter};

use crate::policy::{require_admin, require_reader};
use crate::{Caller, Core, Error, Result, Topic};

/// A host and the servers on it.
#[derive(Clone, Debug)]
pub struct HostDetail {
    pub host: Host,
    pub servers: Vec<Server>,
}

impl HostDetail {
    /// Servers that are switched on.
    pub fn running(&self) -> usize {
        self.servers.iter().filter(|server| server.vm_state == VmState::Active).count()
    }
}

/// All hosts, in the order of their names.
pub async fn list(core: &Core, caller: &Caller) -> Result<Vec<HostDetail>> {
    require_admin(caller)?;
    let mut conn = core.read().await?;
    let mut details = Vec::new();
    for host in host::list(&mut conn).await? {
        let filter = ServerFilter { host_id: Some(host.id.clone()), ..ServerFilter::default() };
        details.push(HostDetail { servers: server::list(&mut conn, &filter).await?, host });
    }
    Ok(details)
}

/// Whether there is the one availability zone: there is, from the first token on.
pub fn require_zone_reader(caller: &Caller) -> Result<()> {
    require_reader(caller).map(drop)
}

/// What an administrator decides about a host. `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct HostChange {
    pub disabled: Option<bool>,
    pub disabled_reason: Option<String>,
    pub forced_down: Option<bool>,
}

/// Changes a host's service; answers the host.
pub async fn update(core: &Core, caller: &Caller, id: &str, change: HostChange) -> Result<HostDetail> {
    require_admin(caller)?;
    let id = id.to_owned();
    let detail = core.write(move |tx| {
        Box::pin(async move {
            let missing =
                || Error::not_found("ComputeHostNotFound", format!("Service {id} could not be found."));
            let mut host = host::get(tx, &id).await?.ok_or_else(missing)?;
            if let Some(disabled) = change.disabled {
                host.disabled = disabled;
                host.disabled_reason = change.disabled_reason;
            }
            if let Some(forced_down) = change.forced_down {
                host.forced_down = forced_down;
            }
            host::update_service(tx, &host).await?;
            let filter = ServerFilter { host_id: Some(host.id.clone()), ..ServerFilter::default() };
            Ok(HostDetail { servers: server::list(tx, &filter).await?, host })
        })
    });
    let detail = detail.await?;
    core.nudge.send(Topic::Tasks);
    Ok(detail)
}
