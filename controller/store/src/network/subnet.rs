use std::collections::HashSet;
use std::net::IpAddr;

use updraft_model::network::{Ipv6Mode, Subnet};

use super::columns::{json, parsed, parsed_optional, standard, text, to_json};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, network_id, project_id, name, cidr, gateway_ip, enable_dhcp, dns_nameservers, \
     host_routes, allocation_pools, ipv6_ra_mode, ipv6_address_mode, service_types, \
     description, tags, created_at, updated_at, revision FROM subnets";

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct SubnetFilter {
    pub ids: Option<Vec<String>>,
    pub names: Option<Vec<String>>,
    pub network_ids: Option<Vec<String>>,
    /// What a project sees: its own, and those of shared networks.
    pub visible_to: Option<String>,
}

fn from_row(row: &Row) -> Result<Subnet, StoreError> {
    Ok(Subnet {
        id: row.try_get("id")?,
        network_id: row.try_get("network_id")?,
        project_id: row.try_get("project_id")?,
        name: row.try_get("name")?,
        cidr: parsed(row, "cidr")?,
        gateway_ip: parsed_optional(row, "gateway_ip")?,
        enable_dhcp: row.try_get("enable_dhcp")?,
        dns_nameservers: json(row, "dns_nameservers")?,
        host_routes: json(row, "host_routes")?,
        allocation_pools: json(row, "allocation_pools")?,
        ipv6_ra_mode: mode(row, "ipv6_ra_mode")?,
        ipv6_address_mode: mode(row, "ipv6_address_mode")?,
        service_types: json(row, "service_types")?,
        standard: standard(row)?,
    })
}

fn mode(row: &Row, column: &'static str) -> Result<Option<Ipv6Mode>, StoreError> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| Ipv6Mode::parse(&text).ok_or_else(|| StoreError::corrupt(column))).transpose()
}

pub async fn insert(tx: &mut Tx, subnet: &Subnet) -> Result<(), StoreError> {
    query(
        "INSERT INTO subnets (id, network_id, project_id, name, cidr, gateway_ip, enable_dhcp, dns_nameservers, \
         host_routes, allocation_pools, ipv6_ra_mode, ipv6_address_mode, service_types, \
         description, tags, created_at, updated_at, revision) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&subnet.id)
    .bind(&subnet.network_id)
    .bind(&subnet.project_id)
    .bind(&subnet.name)
    .bind(subnet.cidr.to_string())
    .bind(text(subnet.gateway_ip))
    .bind(subnet.enable_dhcp)
    .bind(to_json(&subnet.dns_nameservers)?)
    .bind(to_json(&subnet.host_routes)?)
    .bind(to_json(&subnet.allocation_pools)?)
    .bind(subnet.ipv6_ra_mode.map(Ipv6Mode::as_str))
    .bind(subnet.ipv6_address_mode.map(Ipv6Mode::as_str))
    .bind(to_json(&subnet.service_types)?)
    .bind(&subnet.standard.description)
    .bind(to_json(&subnet.standard.tags)?)
    .bind(subnet.standard.created_at.0)
    .bind(subnet.standard.updated_at.0)
    .bind(subnet.standard.revision)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field that may change.
pub async fn update(tx: &mut Tx, subnet: &Subnet) -> Result<(), StoreError> {
    query(
        "UPDATE subnets SET name = ?, gateway_ip = ?, enable_dhcp = ?, dns_nameservers = ?, host_routes = ?, \
         allocation_pools = ?, service_types = ?, description = ?, tags = ?, updated_at = ?, revision = ? \
         WHERE id = ?",
    )
    .bind(&subnet.name)
    .bind(text(subnet.gateway_ip))
    .bind(subnet.enable_dhcp)
    .bind(to_json(&subnet.dns_nameservers)?)
    .bind(to_json(&subnet.host_routes)?)
    .bind(to_json(&subnet.allocation_pools)?)
    .bind(to_json(&subnet.service_types)?)
    .bind(&subnet.standard.description)
    .bind(to_json(&subnet.standard.tags)?)
    .bind(subnet.standard.updated_at.0)
    .bind(subnet.standard.revision)
    .bind(&subnet.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes a subnet of which no port has an address (`Reference` otherwise).
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    query("DELETE FROM subnets WHERE id = ?").bind(id).execute(tx).await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Subnet>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// Subnets in the order in which they were made.
pub async fn list(conn: &mut Conn, filter: &SubnetFilter) -> Result<Vec<Subnet>, StoreError> {
    let mut select = Select::new(SELECT)
        .and_in("id", filter.ids.as_deref())
        .and_in("name", filter.names.as_deref())
        .and_in("network_id", filter.network_ids.as_deref());
    if let Some(project) = filter.visible_to.as_deref() {
        select = select
            .and_raw("(project_id = ")
            .bind(project)
            .raw(" OR network_id IN (SELECT id FROM networks WHERE shared = 1))");
    }
    select.order("created_at, id", None).fetch(conn).await?.iter().map(from_row).collect()
}

/// The subnets of one network, in the order in which they were made.
pub async fn of_network(conn: &mut Conn, network_id: &str) -> Result<Vec<Subnet>, StoreError> {
    list(conn, &SubnetFilter { network_ids: Some(vec![network_id.to_owned()]), ..SubnetFilter::default() })
        .await
}

/// The addresses that ports have.
pub async fn taken_addresses(conn: &mut Conn, id: &str) -> Result<HashSet<IpAddr>, StoreError> {
    let rows =
        query("SELECT address FROM port_fixed_ips WHERE subnet_id = ?").bind(id).fetch_all(conn).await?;
    rows.iter().map(|row| parsed(row, "address")).collect()
}
