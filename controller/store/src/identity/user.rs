use updraft_model::Timestamp;
use updraft_model::identity::{Password, User, name_key};

use super::json;
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, domain_id, name, description, email, default_project_id, enabled, options, extra, \
                      password_hash, password_created_at, password_expires_at, password_is_own, created_at, \
                      tokens_valid_after FROM users";

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    pub ids: Option<Vec<String>>,
    pub domain_id: Option<String>,
    pub name: Option<String>,
    pub enabled: Option<bool>,
}

fn from_row(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.try_get("id")?,
        domain_id: row.try_get("domain_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        email: row.try_get("email")?,
        default_project_id: row.try_get("default_project_id")?,
        enabled: row.try_get("enabled")?,
        options: json::get(row, "options")?,
        extra: json::get(row, "extra")?,
        password: password_from_row(row)?,
        created_at: row.try_get::<Option<i64>>("created_at")?.map(Timestamp),
        tokens_valid_after: Timestamp(row.try_get("tokens_valid_after")?),
    })
}

fn password_from_row(row: &Row) -> Result<Option<Password>, StoreError> {
    let Some(hash) = row.try_get("password_hash")? else { return Ok(None) };
    Ok(Some(Password {
        hash,
        created_at: Timestamp(row.try_get::<Option<i64>>("password_created_at")?.unwrap_or_default()),
        expires_at: row.try_get::<Option<i64>>("password_expires_at")?.map(Timestamp),
        is_own: row.try_get::<Option<bool>>("password_is_own")?.unwrap_or_default(),
    }))
}

/// Adds a user. `Duplicate` when the domain has one of that name.
pub async fn insert(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    query(
        "INSERT INTO users (id, domain_id, name, name_key, description, email, default_project_id, enabled, \
         options, extra, password_hash, password_created_at, password_expires_at, password_is_own, created_at, \
         tokens_valid_after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&user.id)
    .bind(&user.domain_id)
    .bind(&user.name)
    .bind(name_key(&user.name))
    .bind(&user.description)
    .bind(&user.email)
    .bind(&user.default_project_id)
    .bind(user.enabled)
    .bind(json::text(&user.options)?)
    .bind(json::text(&user.extra)?)
    .bind(user.password.as_ref().map(|password| &password.hash))
    .bind(user.password.as_ref().map(|password| password.created_at.0))
    .bind(user.password.as_ref().and_then(|password| password.expires_at).map(|at| at.0))
    .bind(user.password.as_ref().map(|password| password.is_own))
    .bind(user.created_at.map(|at| at.0))
    .bind(user.tokens_valid_after.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field but the id, the domain and the time of its making.
pub async fn update(tx: &mut Tx, user: &User) -> Result<(), StoreError> {
    query(
        "UPDATE users SET name = ?, name_key = ?, description = ?, email = ?, default_project_id = ?, enabled = ?, \
         options = ?, extra = ?, password_hash = ?, password_created_at = ?, password_expires_at = ?, \
         password_is_own = ?, tokens_valid_after = ? WHERE id = ?",
    )
    .bind(&user.name)
    .bind(name_key(&user.name))
    .bind(&user.description)
    .bind(&user.email)
    .bind(&user.default_project_id)
    .bind(user.enabled)
    .bind(json::text(&user.options)?)
    .bind(json::text(&user.extra)?)
    .bind(user.password.as_ref().map(|password| &password.hash))
    .bind(user.password.as_ref().map(|password| password.created_at.0))
    .bind(user.password.as_ref().and_then(|password| password.expires_at).map(|at| at.0))
    .bind(user.password.as_ref().map(|password| password.is_own))
    .bind(user.tokens_valid_after.0)
    .bind(&user.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes the user and the roles that it holds; false when there was none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    query("DELETE FROM role_assignments WHERE actor_kind = 'user' AND actor_id = ?")
        .bind(id)
        .execute(tx)
        .await?;
    let changed = query("DELETE FROM users WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<User>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// The user of this name, compared without regard to case.
pub async fn get_by_name(conn: &mut Conn, domain_id: &str, name: &str) -> Result<Option<User>, StoreError> {
    let rows = Select::new(SELECT)
        .and_eq("domain_id", Some(domain_id))
        .and_eq("name_key", Some(name_key(name)))
        .fetch(conn)
        .await?;
    rows.first().map(from_row).transpose()
}

/// Users in the order of their names.
pub async fn list(conn: &mut Conn, filter: &UserFilter) -> Result<Vec<User>, StoreError> {
    let rows = Select::new(SELECT)
        .and_in("id", filter.ids.as_deref())
        .and_eq("domain_id", filter.domain_id.as_deref())
        .and_eq("name_key", filter.name.as_deref().map(name_key))
        .and_eq("enabled", filter.enabled)
        .order("name_key, id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}
