//! What hosts prove themselves with. Secrets are here as hashes alone.

use updraft_model::Timestamp;
use updraft_model::compute::host::{Credential, Enrolment};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT token_sha256, name, host_id, created_at, ends_at FROM host_credentials";

fn from_row(row: &Row) -> Result<Credential, StoreError> {
    Ok(Credential {
        token_sha256: row.try_get("token_sha256")?,
        name: row.try_get("name")?,
        host_id: row.try_get("host_id")?,
        created_at: Timestamp(row.try_get("created_at")?),
        ends_at: row.try_get::<Option<i64>>("ends_at")?.map(Timestamp),
    })
}

pub async fn insert(tx: &mut Tx, credential: &Credential) -> Result<(), StoreError> {
    query("INSERT INTO host_credentials (token_sha256, name, host_id, created_at, ends_at) VALUES (?, ?, ?, ?, ?)")
        .bind(&credential.token_sha256)
        .bind(&credential.name)
        .bind(&credential.host_id)
        .bind(credential.created_at.0)
        .bind(credential.ends_at.map(|time| time.0))
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, token_sha256: &str) -> Result<Option<Credential>, StoreError> {
    let rows = Select::new(SELECT).and_eq("token_sha256", Some(token_sha256)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// All credentials, ended ones too; the oldest first.
pub async fn list(conn: &mut Conn) -> Result<Vec<Credential>, StoreError> {
    let rows = Select::new(SELECT).order("created_at, token_sha256", None).fetch(conn).await?;
    rows.iter().map(from_row).collect()
}

/// Ties a credential to the host that first used it; false when it is another's already.
pub async fn bind(tx: &mut Tx, token_sha256: &str, host_id: &str) -> Result<bool, StoreError> {
    let changed = query("UPDATE host_credentials SET host_id = ? WHERE token_sha256 = ? AND host_id IS NULL")
        .bind(host_id)
        .bind(token_sha256)
        .execute(tx)
        .await?;
    Ok(changed == 1)
}

/// Lets a credential end at `end`, if it does not end sooner.
pub async fn end(tx: &mut Tx, token_sha256: &str, end: Timestamp) -> Result<(), StoreError> {
    query(
        "UPDATE host_credentials SET ends_at = ? WHERE token_sha256 = ? AND (ends_at IS NULL OR ends_at > ?)",
    )
    .bind(end.0)
    .bind(token_sha256)
    .bind(end.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Lets a host come for its credential; what it could come with before is worth nothing now.
pub async fn put_enrolment(tx: &mut Tx, enrolment: &Enrolment) -> Result<(), StoreError> {
    delete_enrolment(tx, &enrolment.name).await?;
    query("INSERT INTO host_enrolments (name, secret_sha256, ends_at) VALUES (?, ?, ?)")
        .bind(&enrolment.name)
        .bind(&enrolment.secret_sha256)
        .bind(enrolment.ends_at.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// Those that nobody has used, ended ones too, in the order of their names.
pub async fn list_enrolments(conn: &mut Conn) -> Result<Vec<Enrolment>, StoreError> {
    let rows = query("SELECT name, secret_sha256, ends_at FROM host_enrolments ORDER BY name");
    let rows = rows.fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            Ok(Enrolment {
                name: row.try_get("name")?,
                secret_sha256: row.try_get("secret_sha256")?,
                ends_at: Timestamp(row.try_get("ends_at")?),
            })
        })
        .collect()
}

/// Ends an enrolment, because it was used or is not wanted any more; false when there is none.
pub async fn delete_enrolment(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM host_enrolments WHERE name = ?").bind(name).execute(tx).await?;
    Ok(changed > 0)
}
