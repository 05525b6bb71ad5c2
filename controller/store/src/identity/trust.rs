//! Trusts and the roles that they hand on.

use std::collections::BTreeMap;

use updraft_model::Timestamp;
use updraft_model::identity::Trust;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, trustor_user_id, trustee_user_id, project_id, impersonation, expires_at, \
                      remaining_uses, redelegation_count, redelegated_trust_id FROM trusts";

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct TrustFilter {
    pub trustor_user_id: Option<String>,
    pub trustee_user_id: Option<String>,
    pub redelegated_trust_id: Option<String>,
}

fn from_row(row: &Row) -> Result<Trust, StoreError> {
    Ok(Trust {
        id: row.try_get("id")?,
        trustor_user_id: row.try_get("trustor_user_id")?,
        trustee_user_id: row.try_get("trustee_user_id")?,
        project_id: row.try_get("project_id")?,
        impersonation: row.try_get("impersonation")?,
        expires_at: row.try_get::<Option<i64>>("expires_at")?.map(Timestamp),
        remaining_uses: row.try_get("remaining_uses")?,
        redelegation_count: row.try_get("redelegation_count")?,
        redelegated_trust_id: row.try_get("redelegated_trust_id")?,
        role_ids: Vec::new(),
    })
}

/// Adds a trust with its roles, which exist.
pub async fn insert(tx: &mut Tx, trust: &Trust) -> Result<(), StoreError> {
    query(
        "INSERT INTO trusts (id, trustor_user_id, trustee_user_id, project_id, impersonation, expires_at, \
         remaining_uses, redelegation_count, redelegated_trust_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&trust.id)
    .bind(&trust.trustor_user_id)
    .bind(&trust.trustee_user_id)
    .bind(&trust.project_id)
    .bind(trust.impersonation)
    .bind(trust.expires_at.map(|at| at.0))
    .bind(trust.remaining_uses)
    .bind(trust.redelegation_count)
    .bind(&trust.redelegated_trust_id)
    .execute(tx)
    .await?;
    for role_id in &trust.role_ids {
        query("INSERT INTO trust_roles (trust_id, role_id) VALUES (?, ?)")
            .bind(&trust.id)
            .bind(role_id)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Takes one of the uses that remain; false when none does. A trust without a limit is not changed.
pub async fn take_use(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed =
        query("UPDATE trusts SET remaining_uses = remaining_uses - 1 WHERE id = ? AND remaining_uses > 0")
            .bind(id)
            .execute(tx)
            .await?;
    Ok(changed > 0)
}

/// Removes one; false when there was none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM trusts WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

/// Removes the trusts that expired before `before`.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    query("DELETE FROM trusts WHERE expires_at < ?").bind(before.0).execute(tx).await
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Trust>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    let found = rows.iter().map(from_row).collect::<Result<_, _>>()?;
    Ok(with_roles(conn, found).await?.into_iter().next())
}

pub async fn list(conn: &mut Conn, filter: &TrustFilter) -> Result<Vec<Trust>, StoreError> {
    let rows = Select::new(SELECT)
        .and_eq("trustor_user_id", filter.trustor_user_id.as_deref())
        .and_eq("trustee_user_id", filter.trustee_user_id.as_deref())
        .and_eq("redelegated_trust_id", filter.redelegated_trust_id.as_deref())
        .order("id", None)
        .fetch(conn)
        .await?;
    let found = rows.iter().map(from_row).collect::<Result<_, _>>()?;
    with_roles(conn, found).await
}

async fn with_roles(conn: &mut Conn, mut found: Vec<Trust>) -> Result<Vec<Trust>, StoreError> {
    if found.is_empty() {
        return Ok(found);
    }
    let ids: Vec<String> = found.iter().map(|trust| trust.id.clone()).collect();
    let rows = Select::new("SELECT trust_id, role_id FROM trust_roles")
        .and_in("trust_id", Some(&ids))
        .order("role_id", None)
        .fetch(conn)
        .await?;
    let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows {
        roles.entry(row.try_get("trust_id")?).or_default().push(row.try_get("role_id")?);
    }
    for trust in &mut found {
        trust.role_ids = roles.remove(&trust.id).unwrap_or_default();
    }
    Ok(found)
}
