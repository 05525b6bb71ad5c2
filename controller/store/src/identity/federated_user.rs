//! Whom the names of identity providers stand for.

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::query;

/// The user behind an identity provider's name (its SHA-256, `unique_key`), if it has been here before.
pub async fn find(
    conn: &mut Conn,
    idp_id: &str,
    protocol_id: &str,
    unique_key: &str,
) -> Result<Option<String>, StoreError> {
    let row =
        query("SELECT user_id FROM federated_users WHERE idp_id = ? AND protocol_id = ? AND unique_key = ?")
            .bind(idp_id)
            .bind(protocol_id)
            .bind(unique_key)
            .fetch_optional(conn)
            .await?;
    row.map(|row| row.try_get("user_id")).transpose()
}

/// Remembers whom the name stands for. `Duplicate` when somebody else was faster.
pub async fn insert(
    tx: &mut Tx,
    idp_id: &str,
    protocol_id: &str,
    unique_key: &str,
    user_id: &str,
) -> Result<(), StoreError> {
    query("INSERT INTO federated_users (idp_id, protocol_id, unique_key, user_id) VALUES (?, ?, ?, ?)")
        .bind(idp_id)
        .bind(protocol_id)
        .bind(unique_key)
        .bind(user_id)
        .execute(tx)
        .await?;
    Ok(())
}
