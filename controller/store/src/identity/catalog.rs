//! Regions, services and endpoints.

use updraft_model::identity::{Endpoint, Interface, Region, Service};

use super::json;
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT_REGION: &str = "SELECT id, description, parent_region_id, extra FROM regions";
const SELECT_SERVICE: &str = "SELECT id, kind, name, description, enabled, extra FROM services";
const SELECT_ENDPOINT: &str =
    "SELECT id, service_id, interface, region_id, url, enabled, extra FROM endpoints";

fn region_from_row(row: &Row) -> Result<Region, StoreError> {
    Ok(Region {
        id: row.try_get("id")?,
        description: row.try_get("description")?,
        parent_region_id: row.try_get("parent_region_id")?,
        extra: json::get(row, "extra")?,
    })
}

fn service_from_row(row: &Row) -> Result<Service, StoreError> {
    Ok(Service {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        enabled: row.try_get("enabled")?,
        extra: json::get(row, "extra")?,
    })
}

fn endpoint_from_row(row: &Row) -> Result<Endpoint, StoreError> {
    let interface: String = row.try_get("interface")?;
    Ok(Endpoint {
        id: row.try_get("id")?,
        service_id: row.try_get("service_id")?,
        interface: Interface::parse(&interface).ok_or_else(|| StoreError::corrupt("endpoints.interface"))?,
        region_id: row.try_get("region_id")?,
        url: row.try_get("url")?,
        enabled: row.try_get("enabled")?,
        extra: json::get(row, "extra")?,
    })
}

/// Adds a region. `Duplicate` when the id is taken, `Reference` when its parent does not exist.
pub async fn insert_region(tx: &mut Tx, region: &Region) -> Result<(), StoreError> {
    query("INSERT INTO regions (id, description, parent_region_id, extra) VALUES (?, ?, ?, ?)")
        .bind(&region.id)
        .bind(&region.description)
        .bind(&region.parent_region_id)
        .bind(json::text(&region.extra)?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes the description and the parent.
pub async fn update_region(tx: &mut Tx, region: &Region) -> Result<(), StoreError> {
    query("UPDATE regions SET description = ?, parent_region_id = ?, extra = ? WHERE id = ?")
        .bind(&region.description)
        .bind(&region.parent_region_id)
        .bind(json::text(&region.extra)?)
        .bind(&region.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Ids of a region and of everything inside it.
pub async fn region_tree(conn: &mut Conn, id: &str) -> Result<Vec<String>, StoreError> {
    let rows = query(
        "WITH RECURSIVE tree (id, depth) AS (SELECT id, 0 FROM regions WHERE id = ? \
         UNION ALL SELECT r.id, tree.depth + 1 FROM regions r JOIN tree ON r.parent_region_id = tree.id) \
         SELECT id FROM tree ORDER BY depth",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.try_get("id")).collect()
}

/// Removes the region; `Reference` when endpoints or other regions are in it.
pub async fn delete_region(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM regions WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get_region(conn: &mut Conn, id: &str) -> Result<Option<Region>, StoreError> {
    let rows = Select::new(SELECT_REGION).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(region_from_row).transpose()
}

pub async fn list_regions(conn: &mut Conn, parent: Option<&str>) -> Result<Vec<Region>, StoreError> {
    let select = Select::new(SELECT_REGION).and_eq("parent_region_id", parent);
    select.order("id", None).fetch(conn).await?.iter().map(region_from_row).collect()
}

pub async fn insert_service(tx: &mut Tx, service: &Service) -> Result<(), StoreError> {
    query("INSERT INTO services (id, kind, name, description, enabled, extra) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(&service.id)
        .bind(&service.kind)
        .bind(&service.name)
        .bind(&service.description)
        .bind(service.enabled)
        .bind(json::text(&service.extra)?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes every field but the id.
pub async fn update_service(tx: &mut Tx, service: &Service) -> Result<(), StoreError> {
    query("UPDATE services SET kind = ?, name = ?, description = ?, enabled = ?, extra = ? WHERE id = ?")
        .bind(&service.kind)
        .bind(&service.name)
        .bind(&service.description)
        .bind(service.enabled)
        .bind(json::text(&service.extra)?)
        .bind(&service.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes the service, its endpoints, and the limits of its resources; false when there was none.
pub async fn delete_service(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    query(
        "DELETE FROM project_limits WHERE registered_limit_id IN \
         (SELECT id FROM registered_limits WHERE service_id = ?)",
    )
    .bind(id)
    .execute(tx)
    .await?;
    query("DELETE FROM registered_limits WHERE service_id = ?").bind(id).execute(tx).await?;
    let changed = query("DELETE FROM services WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get_service(conn: &mut Conn, id: &str) -> Result<Option<Service>, StoreError> {
    let rows = Select::new(SELECT_SERVICE).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(service_from_row).transpose()
}

pub async fn list_services(
    conn: &mut Conn,
    kind: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Service>, StoreError> {
    let select = Select::new(SELECT_SERVICE).and_eq("kind", kind).and_eq("name", name);
    select.order("kind, id", None).fetch(conn).await?.iter().map(service_from_row).collect()
}

/// Adds an endpoint. `Reference` when its service or region does not exist.
pub async fn insert_endpoint(tx: &mut Tx, endpoint: &Endpoint) -> Result<(), StoreError> {
    query(
        "INSERT INTO endpoints (id, service_id, interface, region_id, url, enabled, extra) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
        .bind(&endpoint.id)
        .bind(&endpoint.service_id)
        .bind(endpoint.interface.as_str())
        .bind(&endpoint.region_id)
        .bind(&endpoint.url)
        .bind(endpoint.enabled)
        .bind(json::text(&endpoint.extra)?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes every field but the id.
pub async fn update_endpoint(tx: &mut Tx, endpoint: &Endpoint) -> Result<(), StoreError> {
    query(
        "UPDATE endpoints SET service_id = ?, interface = ?, region_id = ?, url = ?, enabled = ?, extra = ? WHERE id = ?",
    )
        .bind(&endpoint.service_id)
        .bind(endpoint.interface.as_str())
        .bind(&endpoint.region_id)
        .bind(&endpoint.url)
        .bind(endpoint.enabled)
        .bind(json::text(&endpoint.extra)?)
        .bind(&endpoint.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes the endpoint; false when there was none.
pub async fn delete_endpoint(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM endpoints WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get_endpoint(conn: &mut Conn, id: &str) -> Result<Option<Endpoint>, StoreError> {
    let rows = Select::new(SELECT_ENDPOINT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(endpoint_from_row).transpose()
}

pub async fn list_endpoints(
    conn: &mut Conn,
    service_id: Option<&str>,
    interface: Option<Interface>,
    region_id: Option<&str>,
) -> Result<Vec<Endpoint>, StoreError> {
    let select = Select::new(SELECT_ENDPOINT)
        .and_eq("service_id", service_id)
        .and_eq("interface", interface.map(Interface::as_str))
        .and_eq("region_id", region_id);
    select.order("service_id, interface, id", None).fetch(conn).await?.iter().map(endpoint_from_row).collect()
}
