use updraft_model::Timestamp;
use updraft_model::identity::{Project, name_key};

use super::json;
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, domain_id, parent_id, name, description, enabled, tags, options, extra, tokens_valid_after FROM projects";

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct ProjectFilter {
    pub ids: Option<Vec<String>>,
    pub domain_id: Option<String>,
    pub parent_id: Option<String>,
    pub name: Option<String>,
    pub enabled: Option<bool>,
}

fn from_row(row: &Row) -> Result<Project, StoreError> {
    Ok(Project {
        id: row.try_get("id")?,
        domain_id: row.try_get("domain_id")?,
        parent_id: row.try_get("parent_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        enabled: row.try_get("enabled")?,
        tags: json::get(row, "tags")?,
        options: json::get(row, "options")?,
        extra: json::get(row, "extra")?,
        is_domain: false,
        tokens_valid_after: Timestamp(row.try_get("tokens_valid_after")?),
    })
}

/// Adds a project. `Duplicate` when the domain has one of that name.
pub async fn insert(tx: &mut Tx, project: &Project) -> Result<(), StoreError> {
    query(
        "INSERT INTO projects (id, domain_id, parent_id, name, name_key, description, enabled, tags, options, extra, \
         tokens_valid_after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&project.id)
    .bind(&project.domain_id)
    .bind(&project.parent_id)
    .bind(&project.name)
    .bind(name_key(&project.name))
    .bind(&project.description)
    .bind(project.enabled)
    .bind(json::text(&project.tags)?)
    .bind(json::text(&project.options)?)
    .bind(json::text(&project.extra)?)
    .bind(project.tokens_valid_after.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field but the id and the domain.
pub async fn update(tx: &mut Tx, project: &Project) -> Result<(), StoreError> {
    query(
        "UPDATE projects SET name = ?, name_key = ?, description = ?, enabled = ?, tags = ?, options = ?, extra = ?, \
         tokens_valid_after = ? WHERE id = ?",
    )
    .bind(&project.name)
    .bind(name_key(&project.name))
    .bind(&project.description)
    .bind(project.enabled)
    .bind(json::text(&project.tags)?)
    .bind(json::text(&project.options)?)
    .bind(json::text(&project.extra)?)
    .bind(project.tokens_valid_after.0)
    .bind(&project.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes the project, the roles held on it and its limits; it is nobody's default any more. False when there was
/// none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    query("DELETE FROM role_assignments WHERE target_kind = 'project' AND target_id = ?")
        .bind(id)
        .execute(tx)
        .await?;
    query("DELETE FROM project_limits WHERE owner_id = ?").bind(id).execute(tx).await?;
    query("UPDATE users SET default_project_id = NULL WHERE default_project_id = ?")
        .bind(id)
        .execute(tx)
        .await?;
    let changed = query("DELETE FROM projects WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Project>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// The project of this name, compared without regard to case.
pub async fn get_by_name(
    conn: &mut Conn,
    domain_id: &str,
    name: &str,
) -> Result<Option<Project>, StoreError> {
    let rows = Select::new(SELECT)
        .and_eq("domain_id", Some(domain_id))
        .and_eq("name_key", Some(name_key(name)))
        .fetch(conn)
        .await?;
    rows.first().map(from_row).transpose()
}

/// Projects in the order of their names.
pub async fn list(conn: &mut Conn, filter: &ProjectFilter) -> Result<Vec<Project>, StoreError> {
    let rows = Select::new(SELECT)
        .and_in("id", filter.ids.as_deref())
        .and_eq("domain_id", filter.domain_id.as_deref())
        .and_eq("parent_id", filter.parent_id.as_deref())
        .and_eq("name_key", filter.name.as_deref().map(name_key))
        .and_eq("enabled", filter.enabled)
        .order("name_key, id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

/// Ids of everything above a project: its parents up to, and with, its domain; nearest first.
pub async fn ancestors(conn: &mut Conn, id: &str) -> Result<Vec<String>, StoreError> {
    let rows = query(
        "WITH RECURSIVE line (id, parent_id, depth) AS (SELECT id, parent_id, 0 FROM projects WHERE id = ? \
         UNION ALL SELECT p.id, p.parent_id, line.depth + 1 FROM projects p JOIN line ON p.id = line.parent_id) \
         SELECT parent_id FROM line ORDER BY depth",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.try_get("parent_id")).collect()
}

/// Everything below a project or domain, parents before their children.
pub async fn descendants(conn: &mut Conn, id: &str) -> Result<Vec<Project>, StoreError> {
    let rows = query(
        "WITH RECURSIVE tree (id, depth) AS (SELECT id, 0 FROM projects WHERE parent_id = ? \
         UNION ALL SELECT p.id, tree.depth + 1 FROM projects p JOIN tree ON p.parent_id = tree.id) \
         SELECT p.id, p.domain_id, p.parent_id, p.name, p.description, p.enabled, p.tags, p.options, p.extra, \
         p.tokens_valid_after          FROM tree JOIN projects p ON p.id = tree.id ORDER BY tree.depth, p.name_key, p.id",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(from_row).collect()
}
