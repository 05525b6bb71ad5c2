//! Tokens that died before they expired.

use updraft_model::Timestamp;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::query;

/// Revokes one token, by its audit id.
pub async fn revoke_token(tx: &mut Tx, audit_id: &str, expires_at: Timestamp) -> Result<(), StoreError> {
    query("DELETE FROM revoked_tokens WHERE audit_id = ?").bind(audit_id).execute(tx).await?;
    query("INSERT INTO revoked_tokens (audit_id, expires_at) VALUES (?, ?)")
        .bind(audit_id)
        .bind(expires_at.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// Revokes the user's tokens for a project or domain that were issued until `now`.
pub async fn revoke_scope(
    tx: &mut Tx,
    user_id: &str,
    scope_id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    query("DELETE FROM revoked_scopes WHERE user_id = ? AND scope_id = ?")
        .bind(user_id)
        .bind(scope_id)
        .execute(tx)
        .await?;
    query("INSERT INTO revoked_scopes (user_id, scope_id, issued_until) VALUES (?, ?, ?)")
        .bind(user_id)
        .bind(scope_id)
        .bind(now.0)
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn is_token_revoked(conn: &mut Conn, audit_id: &str) -> Result<bool, StoreError> {
    let row =
        query("SELECT 1 FROM revoked_tokens WHERE audit_id = ?").bind(audit_id).fetch_optional(conn).await?;
    Ok(row.is_some())
}

/// Until when the user's tokens for this scope are dead, if any are.
pub async fn scope_revoked_until(
    conn: &mut Conn,
    user_id: &str,
    scope_id: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let row = query("SELECT issued_until FROM revoked_scopes WHERE user_id = ? AND scope_id = ?")
        .bind(user_id)
        .bind(scope_id)
        .fetch_optional(conn)
        .await?;
    row.map(|row| Ok(Timestamp(row.try_get("issued_until")?))).transpose()
}

/// Forgets revocations of tokens that are expired by now: single ones at `now`, scopes revoked before
/// `oldest_issue`, when the oldest token still alive was issued.
pub async fn purge(tx: &mut Tx, now: Timestamp, oldest_issue: Timestamp) -> Result<u64, StoreError> {
    let tokens = query("DELETE FROM revoked_tokens WHERE expires_at < ?").bind(now.0).execute(tx).await?;
    let scopes =
        query("DELETE FROM revoked_scopes WHERE issued_until < ?").bind(oldest_issue.0).execute(tx).await?;
    Ok(tokens + scopes)
}
