//! Credentials: sealed secrets of users.

use updraft_model::identity::Credential;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, user_id, project_id, kind, sealed_blob FROM credentials";

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct CredentialFilter {
    pub user_id: Option<String>,
    pub kind: Option<String>,
}

fn from_row(row: &Row) -> Result<Credential, StoreError> {
    Ok(Credential {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        project_id: row.try_get("project_id")?,
        kind: row.try_get("kind")?,
        sealed_blob: row.try_get("sealed_blob")?,
    })
}

/// Adds a credential. `Duplicate` when there is one of that id.
pub async fn insert(tx: &mut Tx, credential: &Credential) -> Result<(), StoreError> {
    query("INSERT INTO credentials (id, user_id, project_id, kind, sealed_blob) VALUES (?, ?, ?, ?, ?)")
        .bind(&credential.id)
        .bind(&credential.user_id)
        .bind(&credential.project_id)
        .bind(&credential.kind)
        .bind(&credential.sealed_blob)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes every field but the id.
pub async fn update(tx: &mut Tx, credential: &Credential) -> Result<(), StoreError> {
    query("UPDATE credentials SET user_id = ?, project_id = ?, kind = ?, sealed_blob = ? WHERE id = ?")
        .bind(&credential.user_id)
        .bind(&credential.project_id)
        .bind(&credential.kind)
        .bind(&credential.sealed_blob)
        .bind(&credential.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes one; false when there was none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM credentials WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Credential>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

pub async fn list(conn: &mut Conn, filter: &CredentialFilter) -> Result<Vec<Credential>, StoreError> {
    let rows = Select::new(SELECT)
        .and_eq("user_id", filter.user_id.as_deref())
        .and_eq("kind", filter.kind.as_deref())
        .order("id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

/// Notes that a one-time password was used, and forgets those of the credential before `oldest_step`. `Duplicate`
/// when it was used before.
pub async fn use_totp(
    tx: &mut Tx,
    credential_id: &str,
    time_step: i64,
    oldest_step: i64,
) -> Result<(), StoreError> {
    query("DELETE FROM totp_uses WHERE credential_id = ? AND time_step < ?")
        .bind(credential_id)
        .bind(oldest_step)
        .execute(tx)
        .await?;
    query("INSERT INTO totp_uses (credential_id, time_step) VALUES (?, ?)")
        .bind(credential_id)
        .bind(time_step)
        .execute(tx)
        .await?;
    Ok(())
}
