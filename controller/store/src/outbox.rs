//! Notifications that wait for the broker; see `migrations/0015_bus.sql`.

use updraft_model::Timestamp;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

/// A notification that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub message_id: String,
    pub created_at: Timestamp,
    pub priority: String,
    pub message: String,
}

fn from_row(row: &Row) -> Result<Entry, StoreError> {
    Ok(Entry {
        message_id: row.try_get("message_id")?,
        created_at: Timestamp(row.try_get("created_at")?),
        priority: row.try_get("priority")?,
        message: row.try_get("message")?,
    })
}

pub async fn insert(tx: &mut Tx, entry: &Entry) -> Result<(), StoreError> {
    query("INSERT INTO outbox (message_id, created_at, priority, message) VALUES (?, ?, ?, ?)")
        .bind(&entry.message_id)
        .bind(entry.created_at.0)
        .bind(&entry.priority)
        .bind(&entry.message)
        .execute(tx)
        .await?;
    Ok(())
}

/// Those that have waited longest.
pub async fn oldest(conn: &mut Conn, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let select = Select::new("SELECT message_id, created_at, priority, message FROM outbox");
    let rows = select.order("created_at, message_id", Some(limit)).fetch(conn).await?;
    rows.iter().map(from_row).collect()
}

/// How many wait.
pub async fn count(conn: &mut Conn) -> Result<u64, StoreError> {
    let row = query("SELECT COUNT(*) AS waiting FROM outbox").fetch_one(conn).await?;
    Ok(u64::try_from(row.try_get::<i64>("waiting")?).unwrap_or_default())
}

/// These are with the broker; how many there were.
pub async fn forget(tx: &mut Tx, message_ids: &[String]) -> Result<u64, StoreError> {
    Select::new("DELETE FROM outbox").and_in("message_id", Some(message_ids)).execute(tx).await
}

/// Gives up those that have waited longest, at most `limit`; how many.
pub async fn give_up(tx: &mut Tx, limit: u32) -> Result<u64, StoreError> {
    let select = Select::new("SELECT message_id FROM outbox");
    let rows = select.order("created_at, message_id", Some(limit)).fetch(tx).await?;
    let ids = rows.iter().map(|row| row.try_get("message_id")).collect::<Result<Vec<String>, _>>()?;
    let given_up = forget(tx, &ids).await?;
    let count = i64::try_from(given_up).unwrap_or(i64::MAX);
    let changed = query("UPDATE outbox_losses SET dropped = dropped + ? WHERE id = 1").bind(count);
    if changed.execute(tx).await? == 0 {
        query("INSERT INTO outbox_losses (id, dropped) VALUES (1, ?)").bind(count).execute(tx).await?;
    }
    Ok(given_up)
}

/// How many were ever given up.
pub async fn losses(conn: &mut Conn) -> Result<u64, StoreError> {
    let row = query("SELECT dropped FROM outbox_losses WHERE id = 1").fetch_optional(conn).await?;
    let dropped = row.map(|row| row.try_get::<i64>("dropped")).transpose()?;
    Ok(dropped.and_then(|dropped| u64::try_from(dropped).ok()).unwrap_or_default())
}
