use sqlx::Row;
use updraft_model::Timestamp;

use crate::connection::Tx;
use crate::error::StoreError;

/// Keeps a ticket, by its hash, and clears those that nobody used in time.
pub async fn insert(
    tx: &mut Tx,
    token_sha256: &str,
    server_id: &str,
    kind: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM console_tickets WHERE expires_at < ?").bind(now.0).execute(tx.raw()).await?;
    sqlx::query(
        "INSERT INTO console_tickets (token_sha256, server_id, kind, expires_at) VALUES (?, ?, ?, ?)",
    )
    .bind(token_sha256)
    .bind(server_id)
    .bind(kind)
    .bind(expires_at.0)
    .execute(tx.raw())
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
    let row = sqlx::query(
        "SELECT server_id FROM console_tickets WHERE token_sha256 = ? AND kind = ? AND expires_at >= ?",
    )
    .bind(token_sha256)
    .bind(kind)
    .bind(now.0)
    .fetch_optional(tx.raw())
    .await?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query("DELETE FROM console_tickets WHERE token_sha256 = ?")
        .bind(token_sha256)
        .execute(tx.raw())
        .await?;
    Ok(Some(row.try_get("server_id")?))
}
