use updraft_model::compute::Flavor;

use super::{from_json, to_json};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, name, vcpus, memory_mib, disk_gib, ephemeral_gib, swap_mib, rxtx_factor, is_public, \
                      disabled, description, extra_specs FROM flavors";

/// What [`list`] may be narrowed to.
#[derive(Clone, Debug, Default)]
pub struct FlavorFilter {
    pub is_public: Option<bool>,
    /// Only what this project may use: public flavors and those that it was given.
    pub usable_by: Option<String>,
    pub min_disk_gib: Option<i64>,
    pub min_memory_mib: Option<i64>,
}

fn from_row(row: &Row) -> Result<Flavor, StoreError> {
    let number = |column: &'static str| -> Result<u32, StoreError> {
        u32::try_from(row.try_get::<i64>(column)?).map_err(|_| StoreError::corrupt(column))
    };
    Ok(Flavor {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        vcpus: u16::try_from(number("vcpus")?).map_err(|_| StoreError::corrupt("flavors.vcpus"))?,
        memory_mib: number("memory_mib")?,
        disk_gib: number("disk_gib")?,
        ephemeral_gib: number("ephemeral_gib")?,
        swap_mib: number("swap_mib")?,
        rxtx_factor: row.try_get("rxtx_factor")?,
        is_public: row.try_get("is_public")?,
        disabled: row.try_get("disabled")?,
        description: row.try_get("description")?,
        extra_specs: from_json(&row.try_get::<String>("extra_specs")?, "flavors.extra_specs")?,
    })
}

/// Adds a flavor. `Duplicate` when the id or the name is taken.
pub async fn insert(tx: &mut Tx, flavor: &Flavor) -> Result<(), StoreError> {
    query(
        "INSERT INTO flavors (id, name, vcpus, memory_mib, disk_gib, ephemeral_gib, swap_mib, rxtx_factor, is_public, \
         disabled, description, extra_specs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&flavor.id)
    .bind(&flavor.name)
    .bind(i64::from(flavor.vcpus))
    .bind(i64::from(flavor.memory_mib))
    .bind(i64::from(flavor.disk_gib))
    .bind(i64::from(flavor.ephemeral_gib))
    .bind(i64::from(flavor.swap_mib))
    .bind(flavor.rxtx_factor)
    .bind(flavor.is_public)
    .bind(flavor.disabled)
    .bind(&flavor.description)
    .bind(to_json(&flavor.extra_specs)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes what may change: the description and the extra specs.
pub async fn update(tx: &mut Tx, flavor: &Flavor) -> Result<(), StoreError> {
    query("UPDATE flavors SET description = ?, extra_specs = ? WHERE id = ?")
        .bind(&flavor.description)
        .bind(to_json(&flavor.extra_specs)?)
        .bind(&flavor.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// False when there was none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM flavors WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Flavor>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// Flavors in the order of their ids.
pub async fn list(conn: &mut Conn, filter: &FlavorFilter) -> Result<Vec<Flavor>, StoreError> {
    let mut select = Select::new(SELECT)
        .and_eq("is_public", filter.is_public)
        .and_compare("disk_gib", " >= ", filter.min_disk_gib)
        .and_compare("memory_mib", " >= ", filter.min_memory_mib);
    if let Some(project_id) = &filter.usable_by {
        select = select
            .and_raw("(is_public = 1 OR id IN (SELECT flavor_id FROM flavor_access WHERE project_id = ")
            .bind(project_id.clone())
            .raw("))");
    }
    let rows = select.order("id", None).fetch(conn).await?;
    rows.iter().map(from_row).collect()
}

/// The projects that were given a flavor that is not public.
pub async fn list_access(conn: &mut Conn, flavor_id: &str) -> Result<Vec<String>, StoreError> {
    let rows = query("SELECT project_id FROM flavor_access WHERE flavor_id = ? ORDER BY project_id")
        .bind(flavor_id)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| row.try_get("project_id")).collect()
}

/// `Duplicate` when the project has it already.
pub async fn add_access(tx: &mut Tx, flavor_id: &str, project_id: &str) -> Result<(), StoreError> {
    query("INSERT INTO flavor_access (flavor_id, project_id) VALUES (?, ?)")
        .bind(flavor_id)
        .bind(project_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// False when the project did not have it.
pub async fn remove_access(tx: &mut Tx, flavor_id: &str, project_id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM flavor_access WHERE flavor_id = ? AND project_id = ?")
        .bind(flavor_id)
        .bind(project_id)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}
