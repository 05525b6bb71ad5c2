use updraft_model::Timestamp;
use updraft_model::compute::Step;
use updraft_model::compute::task::TaskEvent;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str =
    "SELECT task_id, step, started_at, finished_at, succeeded, message, cause, host_id FROM task_events";

fn from_row(row: &Row) -> Result<TaskEvent, StoreError> {
    let step: String = row.try_get("step")?;
    Ok(TaskEvent {
        task_id: row.try_get("task_id")?,
        step: Step::parse(&step).ok_or_else(|| StoreError::corrupt("task_events.step"))?,
        started_at: Timestamp(row.try_get("started_at")?),
        finished_at: row.try_get::<Option<i64>>("finished_at")?.map(Timestamp),
        succeeded: row.try_get("succeeded")?,
        message: row.try_get("message")?,
        cause: row.try_get("cause")?,
        host_id: row.try_get("host_id")?,
    })
}

/// Notes that a step began; a step that is repeated keeps its first beginning.
pub async fn start_event(tx: &mut Tx, task_id: &str, step: Step, now: Timestamp) -> Result<(), StoreError> {
    let begun = query("SELECT 1 AS begun FROM task_events WHERE task_id = ? AND step = ?")
        .bind(task_id)
        .bind(step.as_str());
    if begun.fetch_optional(tx).await?.is_some() {
        return Ok(());
    }
    query("INSERT INTO task_events (task_id, step, started_at) VALUES (?, ?, ?)")
        .bind(task_id)
        .bind(step.as_str())
        .bind(now.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// Notes how a step ended. The step's undoing, later, does not change what is written here.
pub async fn finish_event(
    tx: &mut Tx,
    task_id: &str,
    step: Step,
    now: Timestamp,
    failure: Option<&str>,
    host_id: Option<&str>,
) -> Result<(), StoreError> {
    start_event(tx, task_id, step, now).await?;
    query(
        "UPDATE task_events SET finished_at = ?, succeeded = ?, message = ?, host_id = ? \
         WHERE task_id = ? AND step = ? AND finished_at IS NULL",
    )
    .bind(now.0)
    .bind(failure.is_none())
    .bind(failure)
    .bind(host_id)
    .bind(task_id)
    .bind(step.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

/// Notes what only operators may read about a step that does not succeed. A step that does forgets it.
pub async fn note_cause(
    tx: &mut Tx,
    task_id: &str,
    step: Step,
    cause: Option<&str>,
) -> Result<(), StoreError> {
    query("UPDATE task_events SET cause = ? WHERE task_id = ? AND step = ?")
        .bind(cause)
        .bind(task_id)
        .bind(step.as_str())
        .execute(tx)
        .await?;
    Ok(())
}

/// The task's events, the newest first.
pub async fn list_events(conn: &mut Conn, task_id: &str) -> Result<Vec<TaskEvent>, StoreError> {
    let rows = Select::new(SELECT)
        .and_eq("task_id", Some(task_id))
        .order("started_at DESC, step", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}
