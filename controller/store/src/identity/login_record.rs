//! What the rules of passwords and accounts need to know: logins that failed, passwords of before, the last login.

use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::query;

/// How often in a row a login by password failed, and when it last did.
pub async fn failures(conn: &mut Conn, user_id: &str) -> Result<Option<(i64, Timestamp)>, StoreError> {
    let row = query("SELECT failures, last_at FROM login_failures WHERE user_id = ?")
        .bind(user_id)
        .fetch_optional(conn)
        .await?;
    row.map(|row| Ok((row.try_get("failures")?, Timestamp(row.try_get("last_at")?)))).transpose()
}

/// Counts one more.
pub async fn note_failure(tx: &mut Tx, user_id: &str, at: Timestamp) -> Result<(), StoreError> {
    let changed = query("UPDATE login_failures SET failures = failures + 1, last_at = ? WHERE user_id = ?")
        .bind(at.0)
        .bind(user_id)
        .execute(tx)
        .await?;
    if changed == 0 {
        query("INSERT INTO login_failures (user_id, failures, last_at) VALUES (?, 1, ?)")
            .bind(user_id)
            .bind(at.0)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Counts from nothing again.
pub async fn forget_failures(tx: &mut Tx, user_id: &str) -> Result<(), StoreError> {
    query("DELETE FROM login_failures WHERE user_id = ?").bind(user_id).execute(tx).await?;
    Ok(())
}

/// The hashes of passwords that the user had before the present one, the latest first.
pub async fn past_hashes(conn: &mut Conn, user_id: &str) -> Result<Vec<String>, StoreError> {
    let rows =
        query("SELECT password_hash FROM password_history WHERE user_id = ? ORDER BY created_at DESC, id")
            .bind(user_id)
            .fetch_all(conn)
            .await?;
    rows.iter().map(|row| row.try_get("password_hash")).collect()
}

/// Remembers a password that the user no longer has; of those, the `keep` latest stay.
pub async fn remember_hash(
    tx: &mut Tx,
    user_id: &str,
    hash: &str,
    at: Timestamp,
    keep: usize,
) -> Result<(), StoreError> {
    query("INSERT INTO password_history (id, user_id, password_hash, created_at) VALUES (?, ?, ?, ?)")
        .bind(new_keystone_id())
        .bind(user_id)
        .bind(hash)
        .bind(at.0)
        .execute(tx)
        .await?;
    let rows = query("SELECT id FROM password_history WHERE user_id = ? ORDER BY created_at DESC, id")
        .bind(user_id)
        .fetch_all(tx)
        .await?;
    for row in rows.iter().skip(keep) {
        let id: String = row.try_get("id")?;
        query("DELETE FROM password_history WHERE id = ?").bind(id).execute(tx).await?;
    }
    Ok(())
}

/// Forgets all of them.
pub async fn forget_hashes(tx: &mut Tx, user_id: &str) -> Result<(), StoreError> {
    query("DELETE FROM password_history WHERE user_id = ?").bind(user_id).execute(tx).await?;
    Ok(())
}

/// The day, counted from the epoch, of the user's last login.
pub async fn last_day(conn: &mut Conn, user_id: &str) -> Result<Option<i64>, StoreError> {
    let row = query("SELECT last_day FROM user_activity WHERE user_id = ?")
        .bind(user_id)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.try_get("last_day")).transpose()
}

/// Every user's last day: (user, day).
pub async fn last_days(conn: &mut Conn) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = query("SELECT user_id, last_day FROM user_activity").fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("user_id")?, row.try_get("last_day")?))).collect()
}

/// Notes a login on this day.
pub async fn note_day(tx: &mut Tx, user_id: &str, day: i64) -> Result<(), StoreError> {
    let changed = query("UPDATE user_activity SET last_day = ? WHERE user_id = ?")
        .bind(day)
        .bind(user_id)
        .execute(tx)
        .await?;
    if changed == 0 {
        query("INSERT INTO user_activity (user_id, last_day) VALUES (?, ?)")
            .bind(user_id)
            .bind(day)
            .execute(tx)
            .await?;
    }
    Ok(())
}
