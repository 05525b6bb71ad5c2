//! Whom the names of identity providers stand for.

use updraft_model::identity::FederatedName;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::query;
use crate::select::Select;

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
    name: &FederatedName,
    unique_key: &str,
    user_id: &str,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO federated_users (idp_id, protocol_id, unique_key, unique_id, user_id) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(&name.idp_id)
    .bind(&name.protocol_id)
    .bind(unique_key)
    .bind(&name.unique_id)
    .bind(user_id)
    .execute(tx)
    .await?;
    Ok(())
}

/// The names of one user, or of all: (user, name). One that is older than this column is not shown.
pub async fn names(
    conn: &mut Conn,
    user_id: Option<&str>,
) -> Result<Vec<(String, FederatedName)>, StoreError> {
    let rows = Select::new("SELECT user_id, idp_id, protocol_id, unique_id FROM federated_users")
        .and_eq("user_id", user_id)
        .order("user_id, idp_id, protocol_id", None)
        .fetch(conn)
        .await?;
    let mut names = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(unique_id) = row.try_get("unique_id")? else { continue };
        let name = FederatedName {
            idp_id: row.try_get("idp_id")?,
            protocol_id: row.try_get("protocol_id")?,
            unique_id,
        };
        names.push((row.try_get("user_id")?, name));
    }
    Ok(names)
}
