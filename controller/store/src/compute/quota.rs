use updraft_model::compute::quota::{Limits, Resource, Usage};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::query;

/// The limits that were set for the project. Names that this release does not know are passed over.
pub async fn limits(conn: &mut Conn, project_id: &str) -> Result<Limits, StoreError> {
    let rows = query("SELECT resource, hard_limit FROM compute_quotas WHERE project_id = ?")
        .bind(project_id)
        .fetch_all(conn)
        .await?;
    let mut limits = Limits::default();
    for row in &rows {
        if let Some(resource) = Resource::parse(&row.try_get::<String>("resource")?) {
            limits.set.insert(resource, row.try_get("hard_limit")?);
        }
    }
    Ok(limits)
}

pub async fn set_limit(
    tx: &mut Tx,
    project_id: &str,
    resource: Resource,
    limit: i64,
) -> Result<(), StoreError> {
    query("DELETE FROM compute_quotas WHERE project_id = ? AND resource = ?")
        .bind(project_id)
        .bind(resource.as_str())
        .execute(tx)
        .await?;
    query("INSERT INTO compute_quotas (project_id, resource, hard_limit) VALUES (?, ?, ?)")
        .bind(project_id)
        .bind(resource.as_str())
        .bind(limit)
        .execute(tx)
        .await?;
    Ok(())
}

/// Back to the defaults.
pub async fn clear_limits(tx: &mut Tx, project_id: &str) -> Result<(), StoreError> {
    query("DELETE FROM compute_quotas WHERE project_id = ?").bind(project_id).execute(tx).await?;
    Ok(())
}

/// What the project's servers use: every server that is not deleted counts, whatever its state.
pub async fn usage(conn: &mut Conn, project_id: &str) -> Result<Usage, StoreError> {
    let row = query(
        // MySQL's sums are decimals; to SQLite the cast means "a number".
        "SELECT COUNT(*) AS instances, CAST(COALESCE(SUM(vcpus), 0) AS SIGNED) AS cores, \
         CAST(COALESCE(SUM(memory_mib), 0) AS SIGNED) AS ram FROM servers WHERE project_id = ? AND deleted_at IS NULL",
    )
    .bind(project_id)
    .fetch_one(conn)
    .await?;
    Ok(Usage {
        instances: row.try_get("instances")?,
        cores: row.try_get("cores")?,
        ram_mib: row.try_get("ram")?,
    })
}
