use updraft_model::network::FloatingIp;

use super::columns::{parsed, parsed_optional, standard, text, to_json};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, project_id, network_id, address, address_port_id, port_id, fixed_address, router_id, \
     dns_name, dns_domain, description, tags, created_at, updated_at, revision FROM floating_ips";

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct FloatingIpFilter {
    pub ids: Option<Vec<String>>,
    pub addresses: Option<Vec<String>>,
    pub port_ids: Option<Vec<String>>,
    pub router_ids: Option<Vec<String>>,
    pub project_id: Option<String>,
}

fn from_row(row: &Row) -> Result<FloatingIp, StoreError> {
    Ok(FloatingIp {
        id: row.try_get("id")?,
        project_id: row.try_get("project_id")?,
        network_id: row.try_get("network_id")?,
        address: parsed(row, "address")?,
        address_port_id: row.try_get("address_port_id")?,
        port_id: row.try_get("port_id")?,
        fixed_address: parsed_optional(row, "fixed_address")?,
        router_id: row.try_get("router_id")?,
        dns_name: row.try_get("dns_name")?,
        dns_domain: row.try_get("dns_domain")?,
        standard: standard(row)?,
    })
}

/// Adds a floating IP. `Duplicate` when its address, or the address that it translates to, has one already.
pub async fn insert(tx: &mut Tx, floating: &FloatingIp) -> Result<(), StoreError> {
    query(
        "INSERT INTO floating_ips (id, project_id, network_id, address, address_port_id, port_id, fixed_address, \
         router_id, dns_name, dns_domain, description, tags, created_at, updated_at, revision) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&floating.id)
    .bind(&floating.project_id)
    .bind(&floating.network_id)
    .bind(floating.address.to_string())
    .bind(&floating.address_port_id)
    .bind(&floating.port_id)
    .bind(text(floating.fixed_address))
    .bind(&floating.router_id)
    .bind(&floating.dns_name)
    .bind(&floating.dns_domain)
    .bind(&floating.standard.description)
    .bind(to_json(&floating.standard.tags)?)
    .bind(floating.standard.created_at.0)
    .bind(floating.standard.updated_at.0)
    .bind(floating.standard.revision)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field that may change.
pub async fn update(tx: &mut Tx, floating: &FloatingIp) -> Result<(), StoreError> {
    query(
        "UPDATE floating_ips SET port_id = ?, fixed_address = ?, router_id = ?, dns_name = ?, dns_domain = ?, \
         description = ?, tags = ?, updated_at = ?, revision = ? WHERE id = ?",
    )
    .bind(&floating.port_id)
    .bind(text(floating.fixed_address))
    .bind(&floating.router_id)
    .bind(&floating.dns_name)
    .bind(&floating.dns_domain)
    .bind(&floating.standard.description)
    .bind(to_json(&floating.standard.tags)?)
    .bind(floating.standard.updated_at.0)
    .bind(floating.standard.revision)
    .bind(&floating.id)
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    query("DELETE FROM floating_ips WHERE id = ?").bind(id).execute(tx).await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<FloatingIp>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// Floating IPs in the order in which they were made.
pub async fn list(conn: &mut Conn, filter: &FloatingIpFilter) -> Result<Vec<FloatingIp>, StoreError> {
    let rows = Select::new(SELECT)
        .and_in("id", filter.ids.as_deref())
        .and_in("address", filter.addresses.as_deref())
        .and_in("port_id", filter.port_ids.as_deref())
        .and_in("router_id", filter.router_ids.as_deref())
        .and_eq("project_id", filter.project_id.as_deref())
        .order("created_at, id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}
