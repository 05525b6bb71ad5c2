use std::collections::HashMap;

use updraft_model::network::{Gateway, Router};

use super::columns::{json, standard, to_json};
use super::port::{self, PortFilter};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, project_id, name, admin_state_up, gateway_network_id, gateway_port_id, enable_snat, \
     routes, description, tags, created_at, updated_at, revision FROM routers";

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct RouterFilter {
    pub ids: Option<Vec<String>>,
    pub names: Option<Vec<String>>,
    pub project_id: Option<String>,
}

fn from_row(row: &Row) -> Result<Router, StoreError> {
    let network_id: Option<String> = row.try_get("gateway_network_id")?;
    let port_id: Option<String> = row.try_get("gateway_port_id")?;
    let enable_snat = row.try_get("enable_snat")?;
    Ok(Router {
        id: row.try_get("id")?,
        project_id: row.try_get("project_id")?,
        name: row.try_get("name")?,
        admin_state_up: row.try_get("admin_state_up")?,
        gateway: network_id.zip(port_id).map(|(network_id, port_id)| Gateway {
            network_id,
            port_id,
            enable_snat,
            fixed_ips: Vec::new(),
        }),
        routes: json(row, "routes")?,
        standard: standard(row)?,
    })
}

pub async fn insert(tx: &mut Tx, router: &Router) -> Result<(), StoreError> {
    query(
        "INSERT INTO routers (id, project_id, name, admin_state_up, gateway_network_id, gateway_port_id, enable_snat, \
         routes, description, tags, created_at, updated_at, revision) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&router.id)
    .bind(&router.project_id)
    .bind(&router.name)
    .bind(router.admin_state_up)
    .bind(router.gateway.as_ref().map(|gateway| &gateway.network_id))
    .bind(router.gateway.as_ref().map(|gateway| &gateway.port_id))
    .bind(router.gateway.as_ref().is_none_or(|gateway| gateway.enable_snat))
    .bind(to_json(&router.routes)?)
    .bind(&router.standard.description)
    .bind(to_json(&router.standard.tags)?)
    .bind(router.standard.created_at.0)
    .bind(router.standard.updated_at.0)
    .bind(router.standard.revision)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field that may change.
pub async fn update(tx: &mut Tx, router: &Router) -> Result<(), StoreError> {
    query(
        "UPDATE routers SET name = ?, admin_state_up = ?, gateway_network_id = ?, gateway_port_id = ?, \
         enable_snat = ?, routes = ?, description = ?, tags = ?, updated_at = ?, revision = ? WHERE id = ?",
    )
    .bind(&router.name)
    .bind(router.admin_state_up)
    .bind(router.gateway.as_ref().map(|gateway| &gateway.network_id))
    .bind(router.gateway.as_ref().map(|gateway| &gateway.port_id))
    .bind(router.gateway.as_ref().is_none_or(|gateway| gateway.enable_snat))
    .bind(to_json(&router.routes)?)
    .bind(&router.standard.description)
    .bind(to_json(&router.standard.tags)?)
    .bind(router.standard.updated_at.0)
    .bind(router.standard.revision)
    .bind(&router.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes a router that no floating IP refers to (`Reference` otherwise).
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    query("DELETE FROM routers WHERE id = ?").bind(id).execute(tx).await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Router>, StoreError> {
    let filter = RouterFilter { ids: Some(vec![id.to_owned()]), ..RouterFilter::default() };
    Ok(list(conn, &filter).await?.pop())
}

/// Routers in the order in which they were made.
pub async fn list(conn: &mut Conn, filter: &RouterFilter) -> Result<Vec<Router>, StoreError> {
    let rows = Select::new(SELECT)
        .and_in("id", filter.ids.as_deref())
        .and_in("name", filter.names.as_deref())
        .and_eq("project_id", filter.project_id.as_deref())
        .order("created_at, id", None)
        .fetch(conn)
        .await?;
    let mut routers = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
    let port_ids =
        routers.iter().filter_map(|router| Some(router.gateway.as_ref()?.port_id.clone())).collect();
    let ports = port::list(conn, &PortFilter { ids: Some(port_ids), ..PortFilter::default() }).await?;
    let mut addresses: HashMap<String, _> = ports.into_iter().map(|port| (port.id, port.fixed_ips)).collect();
    for gateway in routers.iter_mut().filter_map(|router| router.gateway.as_mut()) {
        gateway.fixed_ips = addresses.remove(&gateway.port_id).unwrap_or_default();
    }
    Ok(routers)
}
