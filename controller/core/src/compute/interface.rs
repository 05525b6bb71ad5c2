//! What a server is plugged into.

use std::collections::BTreeSet;

use updraft_model::network::{Port, SecurityGroup};
use updraft_store::network::security_group::{self, SecurityGroupFilter};

use super::access::find;
use crate::network::server_port;
use crate::{Caller, Core, Result};

/// The server's ports, in the order of its cards; `one` when a single one is asked for.
pub async fn ports(core: &Core, caller: &Caller, server_id: &str, one: bool) -> Result<Vec<Port>> {
    let rule = match one {
        true => "os_compute_api:os-attach-interfaces:show",
        false => "os_compute_api:os-attach-interfaces:list",
    };
    ports_for(core, caller, server_id, rule).await
}

async fn ports_for(core: &Core, caller: &Caller, server_id: &str, rule: &str) -> Result<Vec<Port>> {
    let mut conn = core.read().await?;
    let server = find(&mut conn, caller, server_id, rule).await?;
    server_port::of_server(&mut conn, &server.id).await
}

/// A server that may be asked for its volumes. Volumes are not offered yet, so it has none.
pub async fn may_list_volumes(core: &Core, caller: &Caller, server_id: &str) -> Result<()> {
    let rule = "os_compute_api:os-volumes-attachments:index";
    find(&mut core.read().await?, caller, server_id, rule).await.map(drop)
}

/// The security groups of all its ports, each once.
pub async fn security_groups(core: &Core, caller: &Caller, server_id: &str) -> Result<Vec<SecurityGroup>> {
    let ports = ports_for(core, caller, server_id, "os_compute_api:os-security-groups:list").await?;
    let ids: BTreeSet<String> = ports.into_iter().flat_map(|port| port.security_groups).collect();
    let filter =
        SecurityGroupFilter { ids: Some(ids.into_iter().collect()), ..SecurityGroupFilter::default() };
    Ok(security_group::list(&mut core.read().await?, &filter).await?)
}
