//! What a server is plugged into.

use std::collections::BTreeSet;

use updraft_model::network::{Port, RemotePeer, SecurityGroup};
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

/// The security groups of a server, and those that their rules name.
#[derive(Clone, Debug)]
pub struct ServerGroups {
    /// Of all its ports, each once.
    pub groups: Vec<SecurityGroup>,
    /// Those of the server's project alone: names of others are not shown.
    pub named_by_rules: Vec<SecurityGroup>,
}

pub async fn security_groups(core: &Core, caller: &Caller, server_id: &str) -> Result<ServerGroups> {
    let mut conn = core.read().await?;
    let server = find(&mut conn, caller, server_id, "os_compute_api:os-security-groups:list").await?;
    let ports = server_port::of_server(&mut conn, &server.id).await?;
    let ids: BTreeSet<String> = ports.into_iter().flat_map(|port| port.security_groups).collect();
    let filter =
        SecurityGroupFilter { ids: Some(ids.into_iter().collect()), ..SecurityGroupFilter::default() };
    let groups = security_group::list(&mut conn, &filter).await?;
    let rules = groups.iter().flat_map(|group| &group.rules);
    let named: BTreeSet<String> = rules
        .filter_map(|rule| match &rule.spec.remote {
            RemotePeer::Group(id) => Some(id.clone()),
            RemotePeer::Any | RemotePeer::Prefix(_) => None,
        })
        .collect();
    let filter = SecurityGroupFilter {
        ids: Some(named.into_iter().collect()),
        project_id: Some(server.project_id),
        ..SecurityGroupFilter::default()
    };
    let named_by_rules = security_group::list(&mut conn, &filter).await?;
    Ok(ServerGroups { groups, named_by_rules })
}
