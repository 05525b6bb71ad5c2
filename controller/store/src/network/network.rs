use std::collections::HashMap;

use updraft_model::network::Network;

use super::columns::{integer, standard, to_json};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, project_id, name, admin_state_up, shared, external, is_default, mtu, \
     port_security_enabled, dns_domain, network_type, physical_network, segmentation_id, \
     description, tags, created_at, updated_at, revision FROM networks";

/// Networks whose subnets are fetched by one statement; bounds its number of parameters.
const CHUNK: usize = 500;

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct NetworkFilter {
    pub ids: Option<Vec<String>>,
    pub names: Option<Vec<String>>,
    /// What a project sees: its own, the shared and the external ones.
    pub visible_to: Option<String>,
    pub external: Option<bool>,
}

fn from_row(row: &Row) -> Result<Network, StoreError> {
    Ok(Network {
        id: row.try_get("id")?,
        project_id: row.try_get("project_id")?,
        name: row.try_get("name")?,
        admin_state_up: row.try_get("admin_state_up")?,
        shared: row.try_get("shared")?,
        external: row.try_get("external")?,
        is_default: row.try_get("is_default")?,
        mtu: integer(row, "mtu")?,
        port_security_enabled: row.try_get("port_security_enabled")?,
        dns_domain: row.try_get("dns_domain")?,
        network_type: row.try_get("network_type")?,
        physical_network: row.try_get("physical_network")?,
        segmentation_id: row.try_get("segmentation_id")?,
        subnets: Vec::new(),
        standard: standard(row)?,
    })
}

pub async fn insert(tx: &mut Tx, network: &Network) -> Result<(), StoreError> {
    query(
        "INSERT INTO networks (id, project_id, name, admin_state_up, shared, external, is_default, mtu, \
         port_security_enabled, dns_domain, network_type, physical_network, segmentation_id, \
         description, tags, created_at, updated_at, revision) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&network.id)
    .bind(&network.project_id)
    .bind(&network.name)
    .bind(network.admin_state_up)
    .bind(network.shared)
    .bind(network.external)
    .bind(network.is_default)
    .bind(i64::from(network.mtu))
    .bind(network.port_security_enabled)
    .bind(&network.dns_domain)
    .bind(&network.network_type)
    .bind(&network.physical_network)
    .bind(network.segmentation_id)
    .bind(&network.standard.description)
    .bind(to_json(&network.standard.tags)?)
    .bind(network.standard.created_at.0)
    .bind(network.standard.updated_at.0)
    .bind(network.standard.revision)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field that may change.
pub async fn update(tx: &mut Tx, network: &Network) -> Result<(), StoreError> {
    query(
        "UPDATE networks SET name = ?, admin_state_up = ?, shared = ?, external = ?, is_default = ?, mtu = ?, \
         port_security_enabled = ?, dns_domain = ?, description = ?, tags = ?, updated_at = ?, revision = ? \
         WHERE id = ?",
    )
    .bind(&network.name)
    .bind(network.admin_state_up)
    .bind(network.shared)
    .bind(network.external)
    .bind(network.is_default)
    .bind(i64::from(network.mtu))
    .bind(network.port_security_enabled)
    .bind(&network.dns_domain)
    .bind(&network.standard.description)
    .bind(to_json(&network.standard.tags)?)
    .bind(network.standard.updated_at.0)
    .bind(network.standard.revision)
    .bind(&network.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes a network that has neither subnets nor ports (`Reference` otherwise).
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    query("DELETE FROM networks WHERE id = ?").bind(id).execute(tx).await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Network>, StoreError> {
    let filter = NetworkFilter { ids: Some(vec![id.to_owned()]), ..NetworkFilter::default() };
    Ok(list(conn, &filter).await?.pop())
}

/// Networks in the order in which they were made.
pub async fn list(conn: &mut Conn, filter: &NetworkFilter) -> Result<Vec<Network>, StoreError> {
    let mut select = Select::new(SELECT)
        .and_in("id", filter.ids.as_deref())
        .and_in("name", filter.names.as_deref())
        .and_eq("external", filter.external);
    if let Some(project) = filter.visible_to.as_deref() {
        select = select.and_raw("(project_id = ").bind(project).raw(" OR shared = 1 OR external = 1)");
    }
    let rows = select.order("created_at, id", None).fetch(conn).await?;
    let mut networks = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
    for chunk in networks.chunks_mut(CHUNK) {
        load_subnets(conn, chunk).await?;
    }
    Ok(networks)
}

async fn load_subnets(conn: &mut Conn, networks: &mut [Network]) -> Result<(), StoreError> {
    let ids: Vec<String> = networks.iter().map(|network| network.id.clone()).collect();
    let mut by_id: HashMap<String, &mut Network> =
        networks.iter_mut().map(|network| (network.id.clone(), network)).collect();
    let rows = Select::new("SELECT id, network_id FROM subnets")
        .and_in("network_id", Some(&ids))
        .order("created_at, id", None)
        .fetch(conn)
        .await?;
    for row in &rows {
        if let Some(network) = by_id.get_mut(&row.try_get::<String>("network_id")?) {
            network.subnets.push(row.try_get("id")?);
        }
    }
    Ok(())
}
