//! Leases on work that one controller at a time does; see `migrations/0015_bus.sql`.

use updraft_model::Timestamp;

use crate::connection::{Conn, Tx};
use crate::error::{StoreError, StoreErrorKind};
use crate::query::query;

/// When a duty is due, and who is at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    pub run_at: Timestamp,
    pub lease_owner: Option<String>,
    pub lease_until: Timestamp,
}

pub async fn get(conn: &mut Conn, name: &str) -> Result<Option<Duty>, StoreError> {
    let row = query("SELECT run_at, lease_owner, lease_until FROM duties WHERE name = ?").bind(name);
    let row = row.fetch_optional(conn).await?;
    row.map(|row| {
        Ok(Duty {
            run_at: Timestamp(row.try_get("run_at")?),
            lease_owner: row.try_get("lease_owner")?,
            lease_until: Timestamp(row.try_get("lease_until")?),
        })
    })
    .transpose()
}

/// Makes the duty known, due at once. Somebody else may have done so.
pub async fn ensure(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    let made = query("INSERT INTO duties (name, run_at, lease_owner, lease_until) VALUES (?, 0, NULL, 0)");
    match made.bind(name).execute(tx).await {
        Err(error) if error.kind != StoreErrorKind::Duplicate => Err(error),
        _ => Ok(()),
    }
}

/// Leases a duty that is due until `until`; false when somebody else has it, or did it already.
pub async fn lease(
    tx: &mut Tx,
    name: &str,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE duties SET lease_owner = ?, lease_until = ? WHERE name = ? AND run_at <= ? AND lease_until <= ?",
    )
    .bind(owner)
    .bind(until.0)
    .bind(name)
    .bind(now.0)
    .bind(now.0)
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

/// Keeps the lease; false when it is lost.
pub async fn renew(tx: &mut Tx, name: &str, owner: &str, until: Timestamp) -> Result<bool, StoreError> {
    let changed = query("UPDATE duties SET lease_until = ? WHERE name = ? AND lease_owner = ?");
    Ok(changed.bind(until.0).bind(name).bind(owner).execute(tx).await? == 1)
}

/// It is done: due again at `run_at`. False when the lease was lost meanwhile.
pub async fn give_back(tx: &mut Tx, name: &str, owner: &str, run_at: Timestamp) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE duties SET run_at = ?, lease_owner = NULL, lease_until = 0 WHERE name = ? AND lease_owner = ?",
    );
    Ok(changed.bind(run_at.0).bind(name).bind(owner).execute(tx).await? == 1)
}
