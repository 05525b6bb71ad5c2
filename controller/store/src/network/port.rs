use std::collections::HashMap;
use std::net::IpAddr;

use updraft_base::MacAddress;
use updraft_model::network::{FixedIp, Port, PortStatus};

use super::columns::{integer, json, object, parsed, standard, to_json};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, network_id, project_id, name, mac, admin_state_up, status, device_id, device_owner, \
     server_id, server_position, owned_by_server, host_id, binding_profile, vnic_type, allowed_address_pairs, extra_dhcp_opts, \
     port_security_enabled, dns_name, description, tags, created_at, updated_at, revision FROM ports";

/// Ports whose addresses and groups are fetched by one statement; bounds its number of parameters.
const CHUNK: usize = 500;

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct PortFilter {
    pub ids: Option<Vec<String>>,
    pub names: Option<Vec<String>>,
    pub network_ids: Option<Vec<String>>,
    pub device_ids: Option<Vec<String>>,
    pub device_owners: Option<Vec<String>>,
    pub server_ids: Option<Vec<String>>,
    pub host_ids: Option<Vec<String>>,
    /// Ports with one of these addresses.
    pub addresses: Option<Vec<String>>,
    /// Ports with an address in one of these subnets.
    pub subnet_ids: Option<Vec<String>>,
    /// Ports that are members of one of these security groups.
    pub group_ids: Option<Vec<String>>,
    /// What a project sees: its own, and those in networks of its own.
    pub visible_to: Option<String>,
}

fn from_row(row: &Row) -> Result<Port, StoreError> {
    let status: String = row.try_get("status")?;
    Ok(Port {
        id: row.try_get("id")?,
        network_id: row.try_get("network_id")?,
        project_id: row.try_get("project_id")?,
        name: row.try_get("name")?,
        mac: parsed(row, "mac")?,
        admin_state_up: row.try_get("admin_state_up")?,
        status: PortStatus::parse(&status).ok_or_else(|| StoreError::corrupt("ports.status"))?,
        device_id: row.try_get("device_id")?,
        device_owner: row.try_get("device_owner")?,
        server_id: row.try_get("server_id")?,
        server_position: integer(row, "server_position")?,
        owned_by_server: row.try_get("owned_by_server")?,
        host_id: row.try_get("host_id")?,
        binding_profile: object(row, "binding_profile")?,
        vnic_type: row.try_get("vnic_type")?,
        fixed_ips: Vec::new(),
        security_groups: Vec::new(),
        allowed_address_pairs: json(row, "allowed_address_pairs")?,
        extra_dhcp_opts: json(row, "extra_dhcp_opts")?,
        port_security_enabled: row.try_get("port_security_enabled")?,
        dns_name: row.try_get("dns_name")?,
        standard: standard(row)?,
    })
}

/// Adds a port with its addresses and groups. `Duplicate` when the network has its MAC or a subnet an address of it.
pub async fn insert(tx: &mut Tx, port: &Port) -> Result<(), StoreError> {
    query(
        "INSERT INTO ports (id, network_id, project_id, name, mac, admin_state_up, status, device_id, device_owner, \
         server_id, server_position, owned_by_server, host_id, binding_profile, vnic_type, allowed_address_pairs, extra_dhcp_opts, \
         port_security_enabled, dns_name, description, tags, created_at, updated_at, revision) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&port.id)
    .bind(&port.network_id)
    .bind(&port.project_id)
    .bind(&port.name)
    .bind(port.mac.to_string())
    .bind(port.admin_state_up)
    .bind(port.status.as_str())
    .bind(&port.device_id)
    .bind(&port.device_owner)
    .bind(&port.server_id)
    .bind(i64::from(port.server_position))
    .bind(port.owned_by_server)
    .bind(&port.host_id)
    .bind(to_json(&port.binding_profile)?)
    .bind(&port.vnic_type)
    .bind(to_json(&port.allowed_address_pairs)?)
    .bind(to_json(&port.extra_dhcp_opts)?)
    .bind(port.port_security_enabled)
    .bind(&port.dns_name)
    .bind(&port.standard.description)
    .bind(to_json(&port.standard.tags)?)
    .bind(port.standard.created_at.0)
    .bind(port.standard.updated_at.0)
    .bind(port.standard.revision)
    .execute(tx)
    .await?;
    insert_parts(tx, port).await
}

/// Writes every field that may change, addresses and groups among them.
pub async fn update(tx: &mut Tx, port: &Port) -> Result<(), StoreError> {
    query(
        "UPDATE ports SET project_id = ?, name = ?, mac = ?, admin_state_up = ?, status = ?, device_id = ?, \
         device_owner = ?, server_id = ?, server_position = ?, owned_by_server = ?, host_id = ?, binding_profile = ?, vnic_type = ?, \
         allowed_address_pairs = ?, extra_dhcp_opts = ?, port_security_enabled = ?, dns_name = ?, \
         description = ?, tags = ?, updated_at = ?, revision = ? WHERE id = ?",
    )
    .bind(&port.project_id)
    .bind(&port.name)
    .bind(port.mac.to_string())
    .bind(port.admin_state_up)
    .bind(port.status.as_str())
    .bind(&port.device_id)
    .bind(&port.device_owner)
    .bind(&port.server_id)
    .bind(i64::from(port.server_position))
    .bind(port.owned_by_server)
    .bind(&port.host_id)
    .bind(to_json(&port.binding_profile)?)
    .bind(&port.vnic_type)
    .bind(to_json(&port.allowed_address_pairs)?)
    .bind(to_json(&port.extra_dhcp_opts)?)
    .bind(port.port_security_enabled)
    .bind(&port.dns_name)
    .bind(&port.standard.description)
    .bind(to_json(&port.standard.tags)?)
    .bind(port.standard.updated_at.0)
    .bind(port.standard.revision)
    .bind(&port.id)
    .execute(tx)
    .await?;
    for statement in
        ["DELETE FROM port_fixed_ips WHERE port_id = ?", "DELETE FROM port_security_groups WHERE port_id = ?"]
    {
        query(statement).bind(&port.id).execute(tx).await?;
    }
    insert_parts(tx, port).await
}

async fn insert_parts(tx: &mut Tx, port: &Port) -> Result<(), StoreError> {
    for (position, fixed) in port.fixed_ips.iter().enumerate() {
        query("INSERT INTO port_fixed_ips (subnet_id, address, port_id, position) VALUES (?, ?, ?, ?)")
            .bind(&fixed.subnet_id)
            .bind(fixed.address.to_string())
            .bind(&port.id)
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .execute(tx)
            .await?;
    }
    for group in &port.security_groups {
        query("INSERT INTO port_security_groups (port_id, security_group_id) VALUES (?, ?)")
            .bind(&port.id)
            .bind(group)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Removes the port with its addresses (`Reference` while a router or floating IP refers to it).
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    query("DELETE FROM ports WHERE id = ?").bind(id).execute(tx).await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Port>, StoreError> {
    let filter = PortFilter { ids: Some(vec![id.to_owned()]), ..PortFilter::default() };
    Ok(list(conn, &filter).await?.pop())
}

/// Whether a port of the network has this MAC.
pub async fn has_mac(conn: &mut Conn, network_id: &str, mac: MacAddress) -> Result<bool, StoreError> {
    let row = query("SELECT 1 AS one FROM ports WHERE network_id = ? AND mac = ?")
        .bind(network_id)
        .bind(mac.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

/// Ports in the order in which they were made; those of one server in the order of its cards.
pub async fn list(conn: &mut Conn, filter: &PortFilter) -> Result<Vec<Port>, StoreError> {
    let mut select = Select::new(SELECT)
        .and_in("id", filter.ids.as_deref())
        .and_in("name", filter.names.as_deref())
        .and_in("network_id", filter.network_ids.as_deref())
        .and_in("device_id", filter.device_ids.as_deref())
        .and_in("device_owner", filter.device_owners.as_deref())
        .and_in("server_id", filter.server_ids.as_deref())
        .and_in("host_id", filter.host_ids.as_deref());
    for (sql, values) in [
        ("id IN (SELECT port_id FROM port_fixed_ips WHERE address", &filter.addresses),
        ("id IN (SELECT port_id FROM port_fixed_ips WHERE subnet_id", &filter.subnet_ids),
        ("id IN (SELECT port_id FROM port_security_groups WHERE security_group_id", &filter.group_ids),
    ] {
        match values {
            None => {}
            Some(values) if values.is_empty() => select = select.and("1 = 0"),
            Some(values) => select = select.and_in(sql, Some(values)).raw(")"),
        }
    }
    if let Some(project) = filter.visible_to.as_deref() {
        select = select
            .and_raw("(project_id = ")
            .bind(project)
            .raw(" OR network_id IN (SELECT id FROM networks WHERE project_id = ")
            .bind(project)
            .raw("))");
    }
    let rows = select.order("server_position, created_at, id", None).fetch(conn).await?;
    let mut ports = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
    for chunk in ports.chunks_mut(CHUNK) {
        load_parts(conn, chunk).await?;
    }
    Ok(ports)
}

async fn load_parts(conn: &mut Conn, ports: &mut [Port]) -> Result<(), StoreError> {
    let ids: Vec<String> = ports.iter().map(|port| port.id.clone()).collect();
    let mut by_id: HashMap<String, &mut Port> =
        ports.iter_mut().map(|port| (port.id.clone(), port)).collect();
    let rows = Select::new("SELECT port_id, subnet_id, address FROM port_fixed_ips")
        .and_in("port_id", Some(&ids))
        .order("port_id, position", None)
        .fetch(conn)
        .await?;
    for row in &rows {
        let address: IpAddr = parsed(row, "address")?;
        if let Some(port) = by_id.get_mut(&row.try_get::<String>("port_id")?) {
            port.fixed_ips.push(FixedIp { subnet_id: row.try_get("subnet_id")?, address });
        }
    }
    let rows = Select::new("SELECT port_id, security_group_id FROM port_security_groups")
        .and_in("port_id", Some(&ids))
        .order("port_id, security_group_id", None)
        .fetch(conn)
        .await?;
    for row in &rows {
        if let Some(port) = by_id.get_mut(&row.try_get::<String>("port_id")?) {
            port.security_groups.push(row.try_get("security_group_id")?);
        }
    }
    Ok(())
}
