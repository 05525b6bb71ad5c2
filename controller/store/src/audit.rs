//! Audit events. There is no update: a row is added, and deleted when it is old.

use updraft_model::Timestamp;
use updraft_model::audit::{AuditEvent, AuditQuery};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str =
    "SELECT id, event_time, request_id, initiator_id, project_id, succeeded, document FROM audit_events";

/// The most events in one answer.
pub const MAX_LISTED: u32 = 1000;

fn from_row(row: &Row) -> Result<AuditEvent, StoreError> {
    let document: String = row.try_get("document")?;
    Ok(AuditEvent {
        id: row.try_get("id")?,
        time: Timestamp(row.try_get("event_time")?),
        request_id: row.try_get("request_id")?,
        initiator_id: row.try_get("initiator_id")?,
        project_id: row.try_get("project_id")?,
        succeeded: row.try_get("succeeded")?,
        subjects: Vec::new(),
        document: serde_json::from_str(&document)
            .map_err(|_| StoreError::corrupt("audit_events.document"))?,
    })
}

pub async fn insert(tx: &mut Tx, event: &AuditEvent) -> Result<(), StoreError> {
    query(
        "INSERT INTO audit_events (id, event_time, request_id, initiator_id, project_id, succeeded, document) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&event.id)
    .bind(event.time.0)
    .bind(&event.request_id)
    .bind(&event.initiator_id)
    .bind(&event.project_id)
    .bind(event.succeeded)
    .bind(event.document.to_string())
    .execute(tx)
    .await?;
    for subject in &event.subjects {
        query("INSERT INTO audit_subjects (subject_id, event_id, event_time) VALUES (?, ?, ?)")
            .bind(subject)
            .bind(&event.id)
            .bind(event.time.0)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// What is asked for, the newest first; without the events' subjects.
pub async fn list(conn: &mut Conn, wanted: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError> {
    let mut select = Select::new(SELECT)
        .and_eq("request_id", wanted.request_id.as_ref())
        .and_eq("project_id", wanted.project_id.as_ref())
        .and_compare("event_time", " >= ", wanted.since.map(|since| since.0));
    if let Some(subject) = &wanted.subject {
        select = select
            .and_raw("id IN (SELECT event_id FROM audit_subjects WHERE subject_id = ")
            .bind(subject)
            .raw(")");
    }
    if wanted.failed_only {
        select = select.and_eq("succeeded", Some(false));
    }
    let limit = wanted.limit.unwrap_or(MAX_LISTED).min(MAX_LISTED);
    let rows = select.order("event_time DESC, id DESC", Some(limit)).fetch(conn).await?;
    rows.iter().map(from_row).collect()
}

/// Forgets what happened before `before`.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    query("DELETE FROM audit_subjects WHERE event_time < ?").bind(before.0).execute(tx).await?;
    query("DELETE FROM audit_events WHERE event_time < ?").bind(before.0).execute(tx).await
}
