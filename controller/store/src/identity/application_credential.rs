//! Application credentials and the access rules that they refer to.

use std::collections::BTreeMap;

use updraft_model::Timestamp;
use updraft_model::identity::{AccessRule, ApplicationCredential};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, user_id, project_id, name, description, secret_hash, expires_at, unrestricted \
                      FROM application_credentials";
const SELECT_RULE: &str = "SELECT id, service, method, path FROM access_rules";

fn from_row(row: &Row) -> Result<ApplicationCredential, StoreError> {
    Ok(ApplicationCredential {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        project_id: row.try_get("project_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        secret_hash: row.try_get("secret_hash")?,
        expires_at: row.try_get::<Option<i64>>("expires_at")?.map(Timestamp),
        unrestricted: row.try_get("unrestricted")?,
        role_ids: Vec::new(),
        access_rules: Vec::new(),
    })
}

fn rule_from_row(row: &Row) -> Result<AccessRule, StoreError> {
    Ok(AccessRule {
        id: row.try_get("id")?,
        service: row.try_get("service")?,
        method: row.try_get("method")?,
        path: row.try_get("path")?,
    })
}

/// Adds an application credential with its roles and rules, which exist. `Duplicate` when the user has one of
/// that name.
pub async fn insert(tx: &mut Tx, credential: &ApplicationCredential) -> Result<(), StoreError> {
    query(
        "INSERT INTO application_credentials (id, user_id, project_id, name, description, secret_hash, expires_at, \
         unrestricted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&credential.id)
    .bind(&credential.user_id)
    .bind(&credential.project_id)
    .bind(&credential.name)
    .bind(&credential.description)
    .bind(&credential.secret_hash)
    .bind(credential.expires_at.map(|at| at.0))
    .bind(credential.unrestricted)
    .execute(tx)
    .await?;
    for role_id in &credential.role_ids {
        query("INSERT INTO application_credential_roles (application_credential_id, role_id) VALUES (?, ?)")
            .bind(&credential.id)
            .bind(role_id)
            .execute(tx)
            .await?;
    }
    for rule in &credential.access_rules {
        query("INSERT INTO application_credential_rules (application_credential_id, access_rule_id) VALUES (?, ?)")
            .bind(&credential.id)
            .bind(&rule.id)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Removes one; false when there was none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM application_credentials WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

/// Removes the user's, of one project or of all.
pub async fn delete_of_user(tx: &mut Tx, user_id: &str, project_id: Option<&str>) -> Result<(), StoreError> {
    match project_id {
        Some(project_id) => {
            query("DELETE FROM application_credentials WHERE user_id = ? AND project_id = ?")
                .bind(user_id)
                .bind(project_id)
                .execute(tx)
                .await?
        }
        None => {
            query("DELETE FROM application_credentials WHERE user_id = ?").bind(user_id).execute(tx).await?
        }
    };
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<ApplicationCredential>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    let found = rows.iter().map(from_row).collect::<Result<_, _>>()?;
    Ok(with_parts(conn, found).await?.into_iter().next())
}

/// The user's, in the order of their names.
pub async fn list(
    conn: &mut Conn,
    user_id: &str,
    name: Option<&str>,
) -> Result<Vec<ApplicationCredential>, StoreError> {
    let rows = Select::new(SELECT)
        .and_eq("user_id", Some(user_id))
        .and_eq("name", name)
        .order("name, id", None)
        .fetch(conn)
        .await?;
    let found = rows.iter().map(from_row).collect::<Result<_, _>>()?;
    with_parts(conn, found).await
}

async fn with_parts(
    conn: &mut Conn,
    mut found: Vec<ApplicationCredential>,
) -> Result<Vec<ApplicationCredential>, StoreError> {
    if found.is_empty() {
        return Ok(found);
    }
    let ids: Vec<String> = found.iter().map(|credential| credential.id.clone()).collect();
    let role_rows =
        Select::new("SELECT application_credential_id, role_id FROM application_credential_roles")
            .and_in("application_credential_id", Some(&ids))
            .order("role_id", None)
            .fetch(conn)
            .await?;
    let rule_rows = Select::new(
        "SELECT used.application_credential_id, rule.id, rule.service, rule.method, rule.path FROM access_rules rule \
         JOIN application_credential_rules used ON used.access_rule_id = rule.id",
    )
    .and_in("used.application_credential_id", Some(&ids))
    .order("rule.id", None)
    .fetch(conn)
    .await?;
    let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &role_rows {
        let id = row.try_get("application_credential_id")?;
        roles.entry(id).or_default().push(row.try_get("role_id")?);
    }
    let mut rules: BTreeMap<String, Vec<AccessRule>> = BTreeMap::new();
    for row in &rule_rows {
        rules.entry(row.try_get("application_credential_id")?).or_default().push(rule_from_row(row)?);
    }
    for credential in &mut found {
        credential.role_ids = roles.remove(&credential.id).unwrap_or_default();
        credential.access_rules = rules.remove(&credential.id).unwrap_or_default();
    }
    Ok(found)
}

/// Adds an access rule of the user.
pub async fn insert_rule(tx: &mut Tx, user_id: &str, rule: &AccessRule) -> Result<(), StoreError> {
    query("INSERT INTO access_rules (id, user_id, service, method, path) VALUES (?, ?, ?, ?, ?)")
        .bind(&rule.id)
        .bind(user_id)
        .bind(&rule.service)
        .bind(&rule.method)
        .bind(&rule.path)
        .execute(tx)
        .await?;
    Ok(())
}

/// What [`list_rules`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct RuleFilter {
    pub service: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
}

/// The user's access rules.
pub async fn list_rules(
    conn: &mut Conn,
    user_id: &str,
    filter: &RuleFilter,
) -> Result<Vec<AccessRule>, StoreError> {
    let rows = Select::new(SELECT_RULE)
        .and_eq("user_id", Some(user_id))
        .and_eq("service", filter.service.as_deref())
        .and_eq("method", filter.method.as_deref())
        .and_eq("path", filter.path.as_deref())
        .order("id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(rule_from_row).collect()
}

/// The user's rule of this id.
pub async fn get_rule(conn: &mut Conn, user_id: &str, id: &str) -> Result<Option<AccessRule>, StoreError> {
    let rows =
        Select::new(SELECT_RULE).and_eq("id", Some(id)).and_eq("user_id", Some(user_id)).fetch(conn).await?;
    rows.first().map(rule_from_row).transpose()
}

/// Removes a rule of the user; false when there was none. `Reference` when an application credential has it.
pub async fn delete_rule(tx: &mut Tx, user_id: &str, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM access_rules WHERE id = ? AND user_id = ?")
        .bind(id)
        .bind(user_id)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}
