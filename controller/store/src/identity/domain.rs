use updraft_model::Timestamp;
use updraft_model::identity::{Domain, name_key};

use super::json;
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str =
    "SELECT id, name, description, enabled, tags, options, extra, tokens_valid_after FROM domains";

fn from_row(row: &Row) -> Result<Domain, StoreError> {
    Ok(Domain {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        enabled: row.try_get("enabled")?,
        tags: json::get(row, "tags")?,
        options: json::get(row, "options")?,
        extra: json::get(row, "extra")?,
        tokens_valid_after: Timestamp(row.try_get("tokens_valid_after")?),
    })
}

/// Adds a domain. `Duplicate` when there is one of that name.
pub async fn insert(tx: &mut Tx, domain: &Domain) -> Result<(), StoreError> {
    query(
        "INSERT INTO domains (id, name, name_key, description, enabled, tags, options, extra, tokens_valid_after) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&domain.id)
    .bind(&domain.name)
    .bind(name_key(&domain.name))
    .bind(&domain.description)
    .bind(domain.enabled)
    .bind(json::text(&domain.tags)?)
    .bind(json::text(&domain.options)?)
    .bind(json::text(&domain.extra)?)
    .bind(domain.tokens_valid_after.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field but the id.
pub async fn update(tx: &mut Tx, domain: &Domain) -> Result<(), StoreError> {
    query(
        "UPDATE domains SET name = ?, name_key = ?, description = ?, enabled = ?, tags = ?, options = ?, extra = ?, \
         tokens_valid_after = ? WHERE id = ?",
    )
    .bind(&domain.name)
    .bind(name_key(&domain.name))
    .bind(&domain.description)
    .bind(domain.enabled)
    .bind(json::text(&domain.tags)?)
    .bind(json::text(&domain.options)?)
    .bind(json::text(&domain.extra)?)
    .bind(domain.tokens_valid_after.0)
    .bind(&domain.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes the domain, which must be empty (`Reference` otherwise), its roles, those held on it, its limits, and the
/// identity providers whose users live in it.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    query("DELETE FROM role_assignments WHERE target_kind = 'domain' AND target_id = ?")
        .bind(id)
        .execute(tx)
        .await?;
    query("DELETE FROM project_limits WHERE owner_id = ?").bind(id).execute(tx).await?;
    query("DELETE FROM identity_providers WHERE domain_id = ?").bind(id).execute(tx).await?;
    query("DELETE FROM roles WHERE domain_id = ?").bind(id).execute(tx).await?;
    query("DELETE FROM domains WHERE id = ?").bind(id).execute(tx).await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Domain>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// The domain of this name, compared without regard to case.
pub async fn get_by_name(conn: &mut Conn, name: &str) -> Result<Option<Domain>, StoreError> {
    let rows = Select::new(SELECT).and_eq("name_key", Some(name_key(name))).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// Domains in the order of their names; `ids` narrows to those.
pub async fn list(
    conn: &mut Conn,
    ids: Option<&[String]>,
    name: Option<&str>,
    enabled: Option<bool>,
) -> Result<Vec<Domain>, StoreError> {
    let rows = Select::new(SELECT)
        .and_in("id", ids)
        .and_eq("name_key", name.map(name_key))
        .and_eq("enabled", enabled)
        .order("name_key", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}
