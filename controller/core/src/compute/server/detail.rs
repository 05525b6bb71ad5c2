//! A server with what other services know of it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use sha2::{Digest, Sha224};
use updraft_compute_api::path::HOST_DOWN_AFTER_S;
use updraft_model::compute::Server;
use updraft_model::network::Port;
use updraft_store::Conn;
use updraft_store::compute::host;
use updraft_store::network::floating_ip::{self, FloatingIpFilter};
use updraft_store::network::network::{self, NetworkFilter};
use updraft_store::network::port::{self, PortFilter};
use updraft_store::network::security_group::{self, SecurityGroupFilter};

use crate::{Core, Error, Result};

/// A server as clients see it.
#[derive(Clone, Debug)]
pub struct ServerDetail {
    pub server: Server,
    /// By the network's name.
    pub addresses: BTreeMap<String, Vec<Address>>,
    /// Names, without repetition.
    pub security_groups: Vec<String>,
    pub host: Option<HostFact>,
}

#[derive(Clone, Debug)]
pub struct Address {
    pub address: IpAddr,
    pub floating: bool,
    pub mac: String,
}

#[derive(Clone, Debug)]
pub struct HostFact {
    pub id: String,
    pub hostname: String,
    pub up: bool,
    pub disabled: bool,
}

pub(super) async fn of(core: &Core, conn: &mut Conn, server: Server) -> Result<ServerDetail> {
    of_all(core, conn, vec![server]).await?.pop().ok_or_else(|| Error::internal("one server has one detail"))
}

/// With a fixed number of queries, however many servers there are.
pub(super) async fn of_all(core: &Core, conn: &mut Conn, servers: Vec<Server>) -> Result<Vec<ServerDetail>> {
    let ids = servers.iter().map(|server| server.id.clone()).collect();
    let ports = port::list(conn, &PortFilter { server_ids: Some(ids), ..PortFilter::default() }).await?;
    let networks = network_names(conn, &ports).await?;
    let groups = group_names(conn, &ports).await?;
    let floating = floating_addresses(conn, &ports).await?;
    let now = core.clock.now();
    let hosts: HashMap<String, HostFact> = host::list(conn)
        .await?
        .into_iter()
        .map(|host| {
            let up = host.is_up(now, HOST_DOWN_AFTER_S);
            (host.id.clone(), HostFact { id: host.id, hostname: host.hostname, up, disabled: host.disabled })
        })
        .collect();
    let mut by_server: HashMap<&str, Vec<&Port>> = HashMap::new();
    for port in &ports {
        by_server.entry(port.server_id.as_deref().unwrap_or_default()).or_default().push(port);
    }
    let details = servers.into_iter().map(|server| {
        let ports = by_server.get(server.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let mut detail = ServerDetail {
            host: server.host_id.as_ref().and_then(|id| hosts.get(id)).cloned(),
            addresses: BTreeMap::new(),
            security_groups: Vec::new(),
            server,
        };
        for port in ports {
            let name = networks.get(&port.network_id).cloned().unwrap_or_default();
            detail.addresses.entry(name).or_default().extend(addresses(port, &floating));
            let named = port.security_groups.iter().filter_map(|id| groups.get(id));
            detail.security_groups.extend(named.cloned());
        }
        detail.security_groups.sort();
        detail.security_groups.dedup();
        detail
    });
    Ok(details.collect())
}

/// Each fixed address, followed by the floating one that is translated to it.
fn addresses(port: &Port, floating: &HashMap<(String, IpAddr), IpAddr>) -> Vec<Address> {
    let mac = port.mac.to_string();
    let one = |fixed: &updraft_model::network::FixedIp| {
        let outside = floating.get(&(port.id.clone(), fixed.address)).copied();
        let inside = Address { address: fixed.address, floating: false, mac: mac.clone() };
        let outside = outside.map(|address| Address { address, floating: true, mac: mac.clone() });
        std::iter::once(inside).chain(outside).collect::<Vec<Address>>()
    };
    port.fixed_ips.iter().flat_map(one).collect()
}

async fn network_names(conn: &mut Conn, ports: &[Port]) -> Result<HashMap<String, String>> {
    let ids = distinct(ports.iter().map(|port| port.network_id.clone()));
    let networks = network::list(conn, &NetworkFilter { ids: Some(ids), ..NetworkFilter::default() }).await?;
    Ok(networks.into_iter().map(|network| (network.id, network.name)).collect())
}

async fn group_names(conn: &mut Conn, ports: &[Port]) -> Result<HashMap<String, String>> {
    let ids = distinct(ports.iter().flat_map(|port| port.security_groups.clone()));
    let filter = SecurityGroupFilter { ids: Some(ids), ..SecurityGroupFilter::default() };
    let groups = security_group::list(conn, &filter).await?;
    Ok(groups.into_iter().map(|group| (group.id, group.name)).collect())
}

async fn floating_addresses(conn: &mut Conn, ports: &[Port]) -> Result<HashMap<(String, IpAddr), IpAddr>> {
    let ids = distinct(ports.iter().map(|port| port.id.clone()));
    let filter = FloatingIpFilter { port_ids: Some(ids), ..FloatingIpFilter::default() };
    let floating = floating_ip::list(conn, &filter).await?;
    Ok(floating
        .into_iter()
        .filter_map(|one| Some(((one.port_id?, one.fixed_address?), one.address)))
        .collect())
}

fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    let set: std::collections::BTreeSet<String> = values.collect();
    set.into_iter().collect()
}

/// The host as tenants see it: the same for all servers of a project on one host, and no name.
pub fn hidden_host_id(project_id: &str, hostname: &str) -> String {
    let hash = Sha224::new().chain_update(project_id).chain_update(hostname).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
