use std::collections::BTreeMap;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::query;

/// The limits of a project that differ from the defaults, by resource.
pub async fn limits(conn: &mut Conn, project_id: &str) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows = query("SELECT resource, limit_value FROM network_quotas WHERE project_id = ?")
        .bind(project_id)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("resource")?, row.try_get("limit_value")?))).collect()
}

/// The projects that have limits of their own.
pub async fn projects(conn: &mut Conn) -> Result<Vec<String>, StoreError> {
    let rows =
        query("SELECT DISTINCT project_id FROM network_quotas ORDER BY project_id").fetch_all(conn).await?;
    rows.iter().map(|row| row.try_get("project_id")).collect()
}

pub async fn set(tx: &mut Tx, project_id: &str, resource: &str, limit: i64) -> Result<(), StoreError> {
    query("DELETE FROM network_quotas WHERE project_id = ? AND resource = ?")
        .bind(project_id)
        .bind(resource)
        .execute(tx)
        .await?;
    query("INSERT INTO network_quotas (project_id, resource, limit_value) VALUES (?, ?, ?)")
        .bind(project_id)
        .bind(resource)
        .bind(limit)
        .execute(tx)
        .await?;
    Ok(())
}

/// Gives the project the default limits again.
pub async fn reset(tx: &mut Tx, project_id: &str) -> Result<(), StoreError> {
    query("DELETE FROM network_quotas WHERE project_id = ?").bind(project_id).execute(tx).await?;
    Ok(())
}

/// How many of `resource` the project has; 0 for what is not kept here.
pub async fn in_use(conn: &mut Conn, project_id: &str, resource: &str) -> Result<i64, StoreError> {
    let sql = match resource {
        "floatingip" => "SELECT COUNT(*) AS number FROM floating_ips WHERE project_id = ?",
        "network" => "SELECT COUNT(*) AS number FROM networks WHERE project_id = ?",
        "port" => "SELECT COUNT(*) AS number FROM ports WHERE project_id = ?",
        "router" => "SELECT COUNT(*) AS number FROM routers WHERE project_id = ?",
        "security_group" => "SELECT COUNT(*) AS number FROM security_groups WHERE project_id = ?",
        "security_group_rule" => "SELECT COUNT(*) AS number FROM security_group_rules WHERE project_id = ?",
        "subnet" => "SELECT COUNT(*) AS number FROM subnets WHERE project_id = ?",
        _ => return Ok(0),
    };
    query(sql).bind(project_id).fetch_one(conn).await?.try_get("number")
}
