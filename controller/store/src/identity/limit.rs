//! Unified limits: the defaults of resources, and what single projects and domains may have instead.

use updraft_model::identity::{Limit, LimitOwner, RegisteredLimit};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT_REGISTERED: &str =
    "SELECT id, service_id, region_id, resource_name, default_limit, description FROM registered_limits";
const SELECT: &str = "SELECT l.id, l.owner_id, l.owner_is_domain, l.registered_limit_id, r.service_id, r.region_id, \
                      r.resource_name, l.resource_limit, l.description FROM project_limits l \
                      JOIN registered_limits r ON r.id = l.registered_limit_id";

/// The key of a limit for all regions.
const ALL_REGIONS: &str = "";

/// What lists may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct LimitFilter {
    pub owner_id: Option<String>,
    pub service_id: Option<String>,
    pub region_id: Option<String>,
    pub resource_name: Option<String>,
}

fn registered_from_row(row: &Row) -> Result<RegisteredLimit, StoreError> {
    Ok(RegisteredLimit {
        id: row.try_get("id")?,
        service_id: row.try_get("service_id")?,
        region_id: row.try_get("region_id")?,
        resource_name: row.try_get("resource_name")?,
        default_limit: row.try_get("default_limit")?,
        description: row.try_get("description")?,
    })
}

fn from_row(row: &Row) -> Result<Limit, StoreError> {
    let owner_id = row.try_get("owner_id")?;
    Ok(Limit {
        id: row.try_get("id")?,
        owner: match row.try_get("owner_is_domain")? {
            true => LimitOwner::Domain(owner_id),
            false => LimitOwner::Project(owner_id),
        },
        registered_limit_id: row.try_get("registered_limit_id")?,
        service_id: row.try_get("service_id")?,
        region_id: row.try_get("region_id")?,
        resource_name: row.try_get("resource_name")?,
        resource_limit: row.try_get("resource_limit")?,
        description: row.try_get("description")?,
    })
}

/// Adds a default. `Duplicate` when the service has one for that resource and region.
pub async fn insert_registered(tx: &mut Tx, limit: &RegisteredLimit) -> Result<(), StoreError> {
    query(
        "INSERT INTO registered_limits (id, service_id, region_id, region_key, resource_name, default_limit, \
         description) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&limit.id)
    .bind(&limit.service_id)
    .bind(&limit.region_id)
    .bind(limit.region_id.as_deref().unwrap_or(ALL_REGIONS))
    .bind(&limit.resource_name)
    .bind(limit.default_limit)
    .bind(&limit.description)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field but the id.
pub async fn update_registered(tx: &mut Tx, limit: &RegisteredLimit) -> Result<(), StoreError> {
    query(
        "UPDATE registered_limits SET service_id = ?, region_id = ?, region_key = ?, resource_name = ?, \
         default_limit = ?, description = ? WHERE id = ?",
    )
    .bind(&limit.service_id)
    .bind(&limit.region_id)
    .bind(limit.region_id.as_deref().unwrap_or(ALL_REGIONS))
    .bind(&limit.resource_name)
    .bind(limit.default_limit)
    .bind(&limit.description)
    .bind(&limit.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes a default; `Reference` while projects have limits of their own for it.
pub async fn delete_registered(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM registered_limits WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get_registered(conn: &mut Conn, id: &str) -> Result<Option<RegisteredLimit>, StoreError> {
    let rows = Select::new(SELECT_REGISTERED).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(registered_from_row).transpose()
}

/// Defaults that fit; `owner_id` does not count.
pub async fn list_registered(
    conn: &mut Conn,
    filter: &LimitFilter,
) -> Result<Vec<RegisteredLimit>, StoreError> {
    let select = Select::new(SELECT_REGISTERED)
        .and_eq("service_id", filter.service_id.as_deref())
        .and_eq("region_id", filter.region_id.as_deref())
        .and_eq("resource_name", filter.resource_name.as_deref());
    let rows = select.order("service_id, resource_name, id", None).fetch(conn).await?;
    rows.iter().map(registered_from_row).collect()
}

/// Adds a limit. `Duplicate` when its owner has one for that resource.
pub async fn insert(tx: &mut Tx, limit: &Limit) -> Result<(), StoreError> {
    query(
        "INSERT INTO project_limits (id, registered_limit_id, owner_id, owner_is_domain, resource_limit, description) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(&limit.id)
    .bind(&limit.registered_limit_id)
    .bind(limit.owner.id())
    .bind(matches!(limit.owner, LimitOwner::Domain(_)))
    .bind(limit.resource_limit)
    .bind(&limit.description)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes the limit and the description.
pub async fn update(tx: &mut Tx, limit: &Limit) -> Result<(), StoreError> {
    query("UPDATE project_limits SET resource_limit = ?, description = ? WHERE id = ?")
        .bind(limit.resource_limit)
        .bind(&limit.description)
        .bind(&limit.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes a limit; false when there was none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM project_limits WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Limit>, StoreError> {
    let rows = Select::new(SELECT).and_eq("l.id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

pub async fn list(conn: &mut Conn, filter: &LimitFilter) -> Result<Vec<Limit>, StoreError> {
    let select = Select::new(SELECT)
        .and_eq("l.owner_id", filter.owner_id.as_deref())
        .and_eq("r.service_id", filter.service_id.as_deref())
        .and_eq("r.region_id", filter.region_id.as_deref())
        .and_eq("r.resource_name", filter.resource_name.as_deref());
    let rows = select.order("l.owner_id, r.resource_name, l.id", None).fetch(conn).await?;
    rows.iter().map(from_row).collect()
}

/// Whether some project or domain has a limit of its own under this default.
pub async fn is_in_use(conn: &mut Conn, registered_limit_id: &str) -> Result<bool, StoreError> {
    let row = query("SELECT 1 AS found FROM project_limits WHERE registered_limit_id = ? LIMIT 1")
        .bind(registered_limit_id)
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}
