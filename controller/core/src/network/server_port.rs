//! Servers' ports: what compute uses to plug servers in. Everything here runs inside compute's own transaction;
//! compute raises the hosts' plan generation.

use updraft_model::Timestamp;
use updraft_model::network::{Network, Port, PortStatus, device_owner};
use updraft_store::network::network::{self, NetworkFilter};
use updraft_store::network::port::{self, PortFilter};
use updraft_store::network::security_group::{self, SecurityGroupFilter};
use updraft_store::{Conn, Tx};
use updraft_wire::network::{CreatePort, FixedIpFields};

use super::error::group_not_found;
use super::port::{create_in, delete_in, visible};
use super::{AVAILABILITY_ZONE, input};
use crate::{Caller, Error, ErrorKind, Result};

/// Which server, and which of its cards.
#[derive(Clone, Debug)]
pub struct Card<'a> {
    pub server_id: &'a str,
    /// From 0, in the order in which the guest finds them.
    pub position: u32,
    /// What DHCP announces and DNS answers; what is no DNS name is left out.
    pub host_name: &'a str,
}

/// A port to be made for a server.
#[derive(Clone, Debug, Default)]
pub struct NewPort {
    pub network_id: String,
    /// The address that the request names.
    pub fixed_address: Option<String>,
    /// Ids; `None` is the project's default group.
    pub security_groups: Option<Vec<String>>,
}

/// Makes a port that lives as long as the server.
pub async fn create(
    tx: &mut Tx,
    caller: &Caller,
    card: &Card<'_>,
    new: NewPort,
    now: Timestamp,
) -> Result<Port> {
    let fixed_ips = new
        .fixed_address
        .map(|address| vec![FixedIpFields { ip_address: Some(address), ..FixedIpFields::default() }]);
    let network = super::network::visible(tx, caller, &new.network_id).await?;
    if network.subnets.is_empty() {
        let message = format!("Network {} requires a subnet in order to boot instances on.", network.id);
        return Err(Error::bad_request("NetworkRequiresSubnet", message));
    }
    // A port without port security takes no groups, whatever the server asked for.
    let security_groups = new.security_groups.filter(|_| network.port_security_enabled);
    let request =
        CreatePort { network_id: new.network_id, fixed_ips, security_groups, ..CreatePort::default() };
    let mut port = create_in(tx, caller, request, now).await?;
    port.owned_by_server = true;
    plug(tx, port, card, now).await
}

/// Takes a port that the tenant made. 409 when something uses it already.
pub async fn claim(
    tx: &mut Tx,
    caller: &Caller,
    card: &Card<'_>,
    port_id: &str,
    now: Timestamp,
) -> Result<Port> {
    let port = visible(tx, caller, port_id).await?;
    if !caller.is_admin() && caller.project_id.as_deref() != Some(port.project_id.as_str()) {
        return Err(super::error::port_not_found(port_id));
    }
    if port.server_id.is_some() || !port.device_id.is_empty() || port.is_of_the_cloud() {
        return Err(Error::conflict("PortInUse", format!("Port {port_id} is still in use.")));
    }
    if port.fixed_ips.is_empty() {
        let message = format!("Port {port_id} requires a FixedIP in order to be used.");
        return Err(Error::bad_request("PortRequiresFixedIP", message));
    }
    plug(tx, port, card, now).await
}

async fn plug(tx: &mut Tx, mut port: Port, card: &Card<'_>, now: Timestamp) -> Result<Port> {
    port.server_id = Some(card.server_id.to_owned());
    port.server_position = card.position;
    port.device_id = card.server_id.to_owned();
    port.device_owner = format!("{}{AVAILABILITY_ZONE}", device_owner::COMPUTE_PREFIX);
    if port.dns_name.is_empty() {
        port.dns_name = input::dns_name("dns_name", card.host_name).unwrap_or_default();
    }
    port.standard.touch(now);
    port::update(tx, &port).await?;
    Ok(port)
}

/// The server's ports, in the order of its cards.
pub async fn of_server(conn: &mut Conn, server_id: &str) -> Result<Vec<Port>> {
    let filter = PortFilter { server_ids: Some(vec![server_id.to_owned()]), ..PortFilter::default() };
    Ok(port::list(conn, &filter).await?)
}

/// The server runs on this host, or on none: its ports go with it. Repeating it changes nothing.
pub async fn bind(tx: &mut Tx, server_id: &str, host_id: Option<&str>, now: Timestamp) -> Result<()> {
    for mut port in of_server(tx, server_id).await? {
        if port.host_id.as_deref() == host_id {
            continue;
        }
        port.host_id = host_id.map(str::to_owned);
        port.status = PortStatus::Down;
        port.standard.touch(now);
        port::update(tx, &port).await?;
    }
    Ok(())
}

/// The server is gone: its own ports go, those that the tenant made are free again. Repeating it changes nothing.
pub async fn release(tx: &mut Tx, server_id: &str, now: Timestamp) -> Result<()> {
    for port in of_server(tx, server_id).await? {
        unplug(tx, port, now).await?;
    }
    Ok(())
}

/// The same for one port.
pub async fn unplug(tx: &mut Tx, port: Port, now: Timestamp) -> Result<()> {
    if port.owned_by_server {
        return delete_in(tx, &port, now).await;
    }
    let mut port = port;
    port.server_id = None;
    port.server_position = 0;
    port.host_id = None;
    port.device_id = String::new();
    port.device_owner = String::new();
    port.status = PortStatus::Down;
    port.standard.touch(now);
    Ok(port::update(tx, &port).await?)
}

/// What the host reports of the ports bound to it: (port, whether a virtual machine is plugged in). Ports of other hosts
/// are not its business. Answers whether anything changed.
pub async fn observe(
    tx: &mut Tx,
    host_id: &str,
    connected: &[(String, bool)],
    now: Timestamp,
) -> Result<bool> {
    let ids = connected.iter().map(|(id, _)| id.clone()).collect();
    let filter =
        PortFilter { ids: Some(ids), host_ids: Some(vec![host_id.to_owned()]), ..PortFilter::default() };
    let mut changed = false;
    for mut port in port::list(tx, &filter).await? {
        let is_up =
            connected.iter().any(|(id, connected)| *id == port.id && *connected) && port.admin_state_up;
        let status = if is_up { PortStatus::Active } else { PortStatus::Down };
        if port.status != status {
            port.status = status;
            port.standard.touch(now);
            port::update(tx, &port).await?;
            changed = true;
        }
    }
    Ok(changed)
}

/// The ids of the project's groups that a request names, by id or by name. 400 for a name that several have.
pub async fn resolve_groups(conn: &mut Conn, project_id: &str, references: &[String]) -> Result<Vec<String>> {
    let filter =
        SecurityGroupFilter { project_id: Some(project_id.to_owned()), ..SecurityGroupFilter::default() };
    let groups = security_group::list(conn, &filter).await?;
    let mut ids = Vec::with_capacity(references.len());
    for reference in references {
        let by_id = groups.iter().find(|group| group.id == *reference);
        let named: Vec<_> = groups.iter().filter(|group| group.name == *reference).collect();
        let group = match (by_id, named.as_slice()) {
            (Some(group), _) => group,
            (None, [group]) => *group,
            (None, []) => return Err(group_not_found(reference)),
            (None, _) => {
                let message = format!(
                    "Multiple security groups found matching '{reference}'. Use an ID to be more specific."
                );
                return Err(Error::new(ErrorKind::Conflict, "NoUniqueMatch", message));
            }
        };
        ids.push(group.id.clone());
    }
    Ok(ids)
}

/// The project's default group, made when this is its first use of the network service.
pub async fn default_group(tx: &mut Tx, project_id: &str, now: Timestamp) -> Result<String> {
    super::security_group::ensure_default(tx, project_id, now).await
}

/// The networks among which a server that names none may be plugged: the project's own, else the shared ones.
pub async fn candidates(conn: &mut Conn, project_id: &str) -> Result<Vec<Network>> {
    let filter = NetworkFilter {
        visible_to: Some(project_id.to_owned()),
        external: Some(false),
        ..NetworkFilter::default()
    };
    let mut networks = network::list(conn, &filter).await?;
    networks.retain(|network| !network.subnets.is_empty());
    let own: Vec<Network> =
        networks.iter().filter(|network| network.project_id == project_id).cloned().collect();
    Ok(if own.is_empty() { networks } else { own })
}
