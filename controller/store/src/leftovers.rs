//! What services other than identity keep of a project, when the project goes and after it has gone.

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::query;

/// Things of one kind that belong to a project that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    pub project_id: String,
    /// In plain words and in the plural.
    pub what: &'static str,
    pub number: i64,
}

/// What was set for the project, and what was made for it without being asked for: its quotas, and its default security
/// group when no port is in it and no other group speaks of it.
pub async fn forget_settings(tx: &mut Tx, project_id: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM compute_quotas WHERE project_id = ?",
        "DELETE FROM network_quotas WHERE project_id = ?",
        "DELETE FROM security_groups WHERE id IN (SELECT security_group_id FROM default_security_groups \
         WHERE project_id = ?) AND id NOT IN (SELECT security_group_id FROM port_security_groups) \
         AND id NOT IN (SELECT remote_group_id FROM (SELECT remote_group_id FROM security_group_rules \
         WHERE remote_group_id IS NOT NULL AND remote_group_id <> security_group_id) others)",
    ] {
        query(sql).bind(project_id).execute(tx).await?;
    }
    Ok(())
}

/// Everything that belongs to projects that do not exist. What belongs to nobody has no project, and is not meant.
pub async fn list(conn: &mut Conn) -> Result<Vec<Leftover>, StoreError> {
    let mut found = Vec::new();
    for (what, sql) in KINDS {
        for row in query(sql).fetch_all(conn).await? {
            found.push(Leftover {
                project_id: row.try_get("project_id")?,
                what,
                number: row.try_get("number")?,
            });
        }
    }
    Ok(found)
}

const KINDS: [(&str, &str); 11] = [
    (
        "servers",
        "SELECT project_id, COUNT(*) AS number FROM servers WHERE deleted_at IS NULL AND project_id <> '' \
         AND project_id NOT IN (SELECT id FROM projects) GROUP BY project_id",
    ),
    (
        "images",
        "SELECT owner AS project_id, COUNT(*) AS number FROM images WHERE owner <> '' \
         AND owner NOT IN (SELECT id FROM projects) AND owner NOT IN (SELECT id FROM domains) GROUP BY owner",
    ),
    (
        "networks",
        "SELECT project_id, COUNT(*) AS number FROM networks WHERE project_id <> '' \
         AND project_id NOT IN (SELECT id FROM projects) GROUP BY project_id",
    ),
    (
        "subnets",
        "SELECT project_id, COUNT(*) AS number FROM subnets WHERE project_id <> '' \
         AND project_id NOT IN (SELECT id FROM projects) GROUP BY project_id",
    ),
    (
        "ports",
        "SELECT project_id, COUNT(*) AS number FROM ports WHERE project_id <> '' \
         AND project_id NOT IN (SELECT id FROM projects) GROUP BY project_id",
    ),
    (
        "routers",
        "SELECT project_id, COUNT(*) AS number FROM routers WHERE project_id <> '' \
         AND project_id NOT IN (SELECT id FROM projects) GROUP BY project_id",
    ),
    (
        "floating IPs",
        "SELECT project_id, COUNT(*) AS number FROM floating_ips WHERE project_id <> '' \
         AND project_id NOT IN (SELECT id FROM projects) GROUP BY project_id",
    ),
    (
        "security groups",
        "SELECT project_id, COUNT(*) AS number FROM security_groups WHERE project_id <> '' \
         AND project_id NOT IN (SELECT id FROM projects) GROUP BY project_id",
    ),
    (
        "role assignments",
        "SELECT target_id AS project_id, COUNT(*) AS number FROM role_assignments WHERE target_kind = 'project' \
         AND target_id NOT IN (SELECT id FROM projects) AND target_id NOT IN (SELECT id FROM domains) \
         GROUP BY target_id",
    ),
    (
        "limits",
        "SELECT owner_id AS project_id, COUNT(*) AS number FROM project_limits \
         WHERE owner_id NOT IN (SELECT id FROM projects) AND owner_id NOT IN (SELECT id FROM domains) \
         GROUP BY owner_id",
    ),
    (
        "users whose default it is",
        "SELECT default_project_id AS project_id, COUNT(*) AS number FROM users \
         WHERE default_project_id IS NOT NULL AND default_project_id NOT IN (SELECT id FROM projects) \
         AND default_project_id NOT IN (SELECT id FROM domains) GROUP BY default_project_id",
    ),
];
