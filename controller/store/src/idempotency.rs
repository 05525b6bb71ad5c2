//! Requests that may be sent again: see `migrations/0006_idempotency.sql`.

use updraft_model::Timestamp;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::query;

/// A request that was carried out.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub body_hash: String,
    /// Encrypted; `None` while it is not there yet, or when it was lost.
    pub answer: Option<String>,
}

/// Marks a request as carried out; `Duplicate` when it was already.
pub async fn insert(
    tx: &mut Tx,
    scope_hash: &str,
    body_hash: &str,
    created_at: Timestamp,
) -> Result<(), StoreError> {
    query("INSERT INTO idempotent_requests (scope_hash, body_hash, created_at) VALUES (?, ?, ?)")
        .bind(scope_hash)
        .bind(body_hash)
        .bind(created_at.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// Keeps the answer of a request that is marked.
pub async fn set_answer(tx: &mut Tx, scope_hash: &str, answer: &str) -> Result<(), StoreError> {
    query("UPDATE idempotent_requests SET answer = ? WHERE scope_hash = ?")
        .bind(answer)
        .bind(scope_hash)
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn get(
    conn: &mut Conn,
    scope_hash: &str,
    not_before: Timestamp,
) -> Result<Option<Record>, StoreError> {
    let row =
        query("SELECT body_hash, answer FROM idempotent_requests WHERE scope_hash = ? AND created_at >= ?")
            .bind(scope_hash)
            .bind(not_before.0)
            .fetch_optional(conn)
            .await?;
    row.map(|row| Ok(Record { body_hash: row.try_get("body_hash")?, answer: row.try_get("answer")? }))
        .transpose()
}

/// Forgets what is older.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    query("DELETE FROM idempotent_requests WHERE created_at < ?").bind(before.0).execute(tx).await
}
