use updraft_model::Timestamp;
use updraft_model::compute::{KeyPair, KeyPairKind};

use super::sequence;
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, user_id, name, public_key, fingerprint, created_at FROM keypairs";

fn from_row(row: &Row) -> Result<KeyPair, StoreError> {
    Ok(KeyPair {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        name: row.try_get("name")?,
        kind: KeyPairKind::Ssh,
        public_key: row.try_get("public_key")?,
        fingerprint: row.try_get("fingerprint")?,
        created_at: Timestamp(row.try_get("created_at")?),
    })
}

/// Adds a key pair. `Duplicate` when the user has one of that name.
pub async fn insert(tx: &mut Tx, keypair: &KeyPair) -> Result<(), StoreError> {
    let id = sequence::next(tx, "keypairs").await?;
    query("INSERT INTO keypairs (id, user_id, name, public_key, fingerprint, created_at) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(id)
        .bind(&keypair.user_id)
        .bind(&keypair.name)
        .bind(&keypair.public_key)
        .bind(&keypair.fingerprint)
        .bind(keypair.created_at.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// False when there was none.
pub async fn delete(tx: &mut Tx, user_id: &str, name: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM keypairs WHERE user_id = ? AND name = ?")
        .bind(user_id)
        .bind(name)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, user_id: &str, name: &str) -> Result<Option<KeyPair>, StoreError> {
    let rows =
        Select::new(SELECT).and_eq("user_id", Some(user_id)).and_eq("name", Some(name)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// The user's key pairs in the order of their names, after the one named `marker`.
pub async fn list(
    conn: &mut Conn,
    user_id: &str,
    marker: Option<&str>,
    limit: Option<u32>,
) -> Result<Vec<KeyPair>, StoreError> {
    let rows = Select::new(SELECT)
        .and_eq("user_id", Some(user_id))
        .and_compare("name", " > ", marker)
        .order("name", limit)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

pub async fn count(conn: &mut Conn, user_id: &str) -> Result<i64, StoreError> {
    let row = query("SELECT COUNT(*) AS number FROM keypairs WHERE user_id = ?")
        .bind(user_id)
        .fetch_one(conn)
        .await?;
    row.try_get("number")
}
