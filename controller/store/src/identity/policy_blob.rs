use updraft_model::identity::PolicyBlob;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, document, kind FROM policy_blobs";

fn from_row(row: &Row) -> Result<PolicyBlob, StoreError> {
    Ok(PolicyBlob { id: row.try_get("id")?, blob: row.try_get("document")?, kind: row.try_get("kind")? })
}

pub async fn insert(tx: &mut Tx, policy: &PolicyBlob) -> Result<(), StoreError> {
    query("INSERT INTO policy_blobs (id, document, kind) VALUES (?, ?, ?)")
        .bind(&policy.id)
        .bind(&policy.blob)
        .bind(&policy.kind)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes the document and its type.
pub async fn update(tx: &mut Tx, policy: &PolicyBlob) -> Result<(), StoreError> {
    query("UPDATE policy_blobs SET document = ?, kind = ? WHERE id = ?")
        .bind(&policy.blob)
        .bind(&policy.kind)
        .bind(&policy.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes it; false when there was none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM policy_blobs WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<PolicyBlob>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// All of them, or those of one type, in the order of their ids.
pub async fn list(conn: &mut Conn, kind: Option<&str>) -> Result<Vec<PolicyBlob>, StoreError> {
    let rows = Select::new(SELECT).and_eq("kind", kind).order("id", None).fetch(conn).await?;
    rows.iter().map(from_row).collect()
}
