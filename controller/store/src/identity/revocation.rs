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

/// Tokens revoked one by one: (audit id, when each would have expired).
pub async fn list_tokens(conn: &mut Conn) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let rows = query("SELECT audit_id, expires_at FROM revoked_tokens ORDER BY expires_at, audit_id")
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("audit_id")?, Timestamp(row.try_get("expires_at")?)))).collect()
}

/// A user's tokens for one scope, those that were issued until some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedScope {
    pub user_id: String,
    pub scope_id: String,
    pub scope_is_domain: bool,
    pub issued_until: Timestamp,
}

pub async fn list_scopes(conn: &mut Conn) -> Result<Vec<RevokedScope>, StoreError> {
    let rows = query(
        "SELECT r.user_id, r.scope_id, r.issued_until, d.id AS domain_id FROM revoked_scopes r \
         LEFT JOIN domains d ON d.id = r.scope_id ORDER BY r.issued_until, r.user_id, r.scope_id",
    )
    .fetch_all(conn)
    .await?;
    let from_row = |row: &crate::query::Row| {
        Ok(RevokedScope {
            user_id: row.try_get("user_id")?,
            scope_id: row.try_get("scope_id")?,
            scope_is_domain: row.try_get::<Option<String>>("domain_id")?.is_some(),
            issued_until: Timestamp(row.try_get("issued_until")?),
        })
    };
    rows.iter().map(from_row).collect()
}

/// What a cut goes through: all tokens of it that were issued until then are dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    User,
    Project,
    Domain,
}

/// Users, projects and domains whose tokens were cut off after `oldest`: what, its id, until when.
pub async fn list_cuts(
    conn: &mut Conn,
    oldest: Timestamp,
) -> Result<Vec<(Cut, String, Timestamp)>, StoreError> {
    let mut cuts = Vec::new();
    for (cut, sql) in [
        (Cut::User, "SELECT id, tokens_valid_after FROM users WHERE tokens_valid_after > ? ORDER BY id"),
        (
            Cut::Project,
            "SELECT id, tokens_valid_after FROM projects WHERE tokens_valid_after > ? ORDER BY id",
        ),
        (Cut::Domain, "SELECT id, tokens_valid_after FROM domains WHERE tokens_valid_after > ? ORDER BY id"),
    ] {
        for row in query(sql).bind(oldest.0).fetch_all(conn).await? {
            cuts.push((cut, row.try_get("id")?, Timestamp(row.try_get("tokens_valid_after")?)));
        }
    }
    Ok(cuts)
}

/// Forgets revocations of tokens that are expired by now: single ones at `now`, scopes revoked before
/// `oldest_issue`, when the oldest token still alive was issued.
pub async fn purge(tx: &mut Tx, now: Timestamp, oldest_issue: Timestamp) -> Result<u64, StoreError> {
    let tokens = query("DELETE FROM revoked_tokens WHERE expires_at < ?").bind(now.0).execute(tx).await?;
    let scopes =
        query("DELETE FROM revoked_scopes WHERE issued_until < ?").bind(oldest_issue.0).execute(tx).await?;
    Ok(tokens + scopes)
}
