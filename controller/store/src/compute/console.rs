use updraft_model::Timestamp;

use crate::connection::Tx;
use crate::error::StoreError;
use crate::query::query;

/// Keeps a ticket, by its hash, and clears those that nobody used in time.
pub async fn insert(
    tx: &mut Tx,
    token_sha256: &str,
    server_id: &str,
    kind: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    query("DELETE FROM console_tickets WHERE expires_at < ?").bind(now.0).execute(tx).await?;
    query("INSERT INTO console_tickets (token_sha256, server_id, kind, expires_at) VALUES (?, ?, ?, ?)")
        .bind(token_sha256)
        .bind(server_id)
        .bind(kind)
        .bind(expires_at.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// Takes the ticket, so that nobody takes it again: the server's id, when the ticket is for this kind of console and
/// still good.
pub async fn take(
    tx: &mut Tx,
    token_sha256: &str,
    kind: &str,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let row = query(
        "SELECT server_id FROM console_tickets WHERE token_sha256 = ? AND kind = ? AND expires_at >= ?",
    )
    .bind(token_sha256)
    .bind(kind)
    .bind(now.0)
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    query("DELETE FROM console_tickets WHERE token_sha256 = ?").bind(token_sha256).execute(tx).await?;
    Ok(Some(row.try_get("server_id")?))
}
