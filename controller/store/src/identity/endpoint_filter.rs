//! Groups of endpoints, and what is tied to projects.

use updraft_model::identity::EndpointGroup;

use super::json;
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, name, description, filters FROM endpoint_groups";

fn from_row(row: &Row) -> Result<EndpointGroup, StoreError> {
    Ok(EndpointGroup {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        filters: json::get(row, "filters")?,
    })
}

pub async fn insert_group(tx: &mut Tx, group: &EndpointGroup) -> Result<(), StoreError> {
    query("INSERT INTO endpoint_groups (id, name, description, filters) VALUES (?, ?, ?, ?)")
        .bind(&group.id)
        .bind(&group.name)
        .bind(&group.description)
        .bind(json::text(&group.filters)?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes every field but the id.
pub async fn update_group(tx: &mut Tx, group: &EndpointGroup) -> Result<(), StoreError> {
    query("UPDATE endpoint_groups SET name = ?, description = ?, filters = ? WHERE id = ?")
        .bind(&group.name)
        .bind(&group.description)
        .bind(json::text(&group.filters)?)
        .bind(&group.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes a group, also from the projects that it is tied to; false when there was none.
pub async fn delete_group(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM endpoint_groups WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get_group(conn: &mut Conn, id: &str) -> Result<Option<EndpointGroup>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// Groups in the order of their names; of one name, or all.
pub async fn list_groups(conn: &mut Conn, name: Option<&str>) -> Result<Vec<EndpointGroup>, StoreError> {
    let rows = Select::new(SELECT).and_eq("name", name).order("name, id", None).fetch(conn).await?;
    rows.iter().map(from_row).collect()
}

/// Ties an endpoint to a project. `Duplicate` when it is tied already.
pub async fn tie_endpoint(tx: &mut Tx, project_id: &str, endpoint_id: &str) -> Result<(), StoreError> {
    query("INSERT INTO project_endpoints (project_id, endpoint_id) VALUES (?, ?)")
        .bind(project_id)
        .bind(endpoint_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Unties an endpoint; false when it was not tied.
pub async fn untie_endpoint(tx: &mut Tx, project_id: &str, endpoint_id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM project_endpoints WHERE project_id = ? AND endpoint_id = ?")
        .bind(project_id)
        .bind(endpoint_id)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}

/// Pairs (project, endpoint) that are tied; of one project or all, of one endpoint or all.
pub async fn tied_endpoints(
    conn: &mut Conn,
    project_id: Option<&str>,
    endpoint_id: Option<&str>,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = Select::new("SELECT project_id, endpoint_id FROM project_endpoints")
        .and_eq("project_id", project_id)
        .and_eq("endpoint_id", endpoint_id)
        .order("project_id, endpoint_id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("project_id")?, row.try_get("endpoint_id")?))).collect()
}

/// Ties a group to a project. `Duplicate` when it is tied already.
pub async fn tie_group(tx: &mut Tx, project_id: &str, group_id: &str) -> Result<(), StoreError> {
    query("INSERT INTO project_endpoint_groups (project_id, endpoint_group_id) VALUES (?, ?)")
        .bind(project_id)
        .bind(group_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Unties a group; false when it was not tied.
pub async fn untie_group(tx: &mut Tx, project_id: &str, group_id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM project_endpoint_groups WHERE project_id = ? AND endpoint_group_id = ?")
        .bind(project_id)
        .bind(group_id)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}

/// Pairs (project, group) that are tied; of one project or all, of one group or all.
pub async fn tied_groups(
    conn: &mut Conn,
    project_id: Option<&str>,
    group_id: Option<&str>,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = Select::new("SELECT project_id, endpoint_group_id FROM project_endpoint_groups")
        .and_eq("project_id", project_id)
        .and_eq("endpoint_group_id", group_id)
        .order("project_id, endpoint_group_id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("project_id")?, row.try_get("endpoint_group_id")?))).collect()
}
