//! What a server is plugged into.

use std::collections::BTreeSet;

use updraft_model::network::{Port, SecurityGroup};
use updraft_store::network::security_group::{self, SecurityGroupFilter};

use super::server::find;
use crate::network::server_port;
use crate::{Caller, Core, Result};

/// The server's ports, in the order of its cards.
pub async fn ports(core: &Core, caller: &Caller, server_id: &str) -> Result<Vec<Port>> {
    let mut conn = core.read().await?;
    let server = find(&mut conn, caller, server_id).await?;
    server_port::of_server(&mut conn, &server.id).await
}

/// The security groups of all its ports, each once.
pub async fn security_groups(core: &Core, caller: &Caller, server_id: &str) -> Result<Vec<SecurityGroup>> {
    let ports = ports(core, caller, server_id).await?;
    let ids: BTreeSet<String> = ports.into_iter().flat_map(|port| port.security_groups).collect();
    let filter =
        SecurityGroupFilter { ids: Some(ids.into_iter().collect()), ..SecurityGroupFilter::default() };
    Ok(security_group::list(&mut core.read().await?, &filter).await?)
}
