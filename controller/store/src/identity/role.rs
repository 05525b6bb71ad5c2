use updraft_model::identity::{Role, name_key};

use super::json;
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, name, domain_id, description, options, extra FROM roles";

/// The key of roles that belong to no domain.
const WHOLE_CLOUD: &str = "";

fn from_row(row: &Row) -> Result<Role, StoreError> {
    Ok(Role {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        domain_id: row.try_get("domain_id")?,
        description: row.try_get("description")?,
        options: json::get(row, "options")?,
        extra: json::get(row, "extra")?,
    })
}

/// Adds a role. `Duplicate` when there is one of that name in its domain (or without one).
pub async fn insert(tx: &mut Tx, role: &Role) -> Result<(), StoreError> {
    query(
        "INSERT INTO roles (id, name, name_key, domain_id, domain_key, description, options, extra) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&role.id)
    .bind(&role.name)
    .bind(name_key(&role.name))
    .bind(&role.domain_id)
    .bind(role.domain_id.as_deref().unwrap_or(WHOLE_CLOUD))
    .bind(&role.description)
    .bind(json::text(&role.options)?)
    .bind(json::text(&role.extra)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field but the id and the domain.
pub async fn update(tx: &mut Tx, role: &Role) -> Result<(), StoreError> {
    query("UPDATE roles SET name = ?, name_key = ?, description = ?, options = ?, extra = ? WHERE id = ?")
        .bind(&role.name)
        .bind(name_key(&role.name))
        .bind(&role.description)
        .bind(json::text(&role.options)?)
        .bind(json::text(&role.extra)?)
        .bind(&role.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes the role, its implications and its assignments; false when there was none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM roles WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Role>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// Roles in the order of their names: those of `domain_id`, or those of the whole cloud.
pub async fn list(
    conn: &mut Conn,
    domain_id: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Role>, StoreError> {
    let rows = Select::new(SELECT)
        .and_eq("domain_key", Some(domain_id.unwrap_or(WHOLE_CLOUD)))
        .and_eq("name_key", name.map(name_key))
        .order("name_key", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

/// Every role, of the cloud and of domains.
pub async fn list_all(conn: &mut Conn) -> Result<Vec<Role>, StoreError> {
    Select::new(SELECT).order("name_key, id", None).fetch(conn).await?.iter().map(from_row).collect()
}

/// Who holds `prior` holds `implied` too; false when that is so already.
pub async fn imply(tx: &mut Tx, prior: &str, implied: &str) -> Result<bool, StoreError> {
    if implications(tx).await?.iter().any(|(from, to)| from == prior && to == implied) {
        return Ok(false);
    }
    query("INSERT INTO implied_roles (prior_role_id, implied_role_id) VALUES (?, ?)")
        .bind(prior)
        .bind(implied)
        .execute(tx)
        .await?;
    Ok(true)
}

/// Ends the implication; false when there was none.
pub async fn stop_implying(tx: &mut Tx, prior: &str, implied: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM implied_roles WHERE prior_role_id = ? AND implied_role_id = ?")
        .bind(prior)
        .bind(implied)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}

/// All pairs (prior, implied).
pub async fn implications(conn: &mut Conn) -> Result<Vec<(String, String)>, StoreError> {
    let rows = query("SELECT prior_role_id, implied_role_id FROM implied_roles ORDER BY 1, 2")
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("prior_role_id")?, row.try_get("implied_role_id")?))).collect()
}

/// Every role with the ids of those that it implies, in one statement.
pub async fn list_with_implied(conn: &mut Conn) -> Result<Vec<(Role, Vec<String>)>, StoreError> {
    let rows = query(
        "SELECT r.id, r.name, r.domain_id, r.description, r.options, r.extra, i.implied_role_id FROM roles r \
         LEFT JOIN implied_roles i ON i.prior_role_id = r.id ORDER BY r.name_key, r.id",
    )
    .fetch_all(conn)
    .await?;
    let mut roles: Vec<(Role, Vec<String>)> = Vec::new();
    for row in &rows {
        let role = from_row(row)?;
        if roles.last().is_none_or(|(last, _)| last.id != role.id) {
            roles.push((role, Vec::new()));
        }
        if let (Some((_, implied)), Some(id)) = (roles.last_mut(), row.try_get("implied_role_id")?) {
            implied.push(id);
        }
    }
    Ok(roles)
}
