use updraft_model::Timestamp;
use updraft_model::compute::{Program, Step, Task, TaskStatus};

pub use super::task_event::{finish_event, list_events, note_cause, start_event};
use super::{signed, unsigned};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, server_id, project_id, user_id, request_id, program, step, status, plan_generation, \
                      attempts, run_at, deadline, lease_owner, lease_until, message, created_at, updated_at FROM tasks";

fn from_row(row: &Row) -> Result<Task, StoreError> {
    let program: String = row.try_get("program")?;
    let step: String = row.try_get("step")?;
    let status: String = row.try_get("status")?;
    Ok(Task {
        id: row.try_get("id")?,
        server_id: row.try_get("server_id")?,
        project_id: row.try_get("project_id")?,
        user_id: row.try_get("user_id")?,
        request_id: row.try_get("request_id")?,
        program: Program::parse(&program).ok_or_else(|| StoreError::corrupt("tasks.program"))?,
        step: Step::parse(&step).ok_or_else(|| StoreError::corrupt("tasks.step"))?,
        status: TaskStatus::parse(&status).ok_or_else(|| StoreError::corrupt("tasks.status"))?,
        plan_generation: unsigned(row.try_get("plan_generation")?, "tasks.plan_generation")?,
        attempts: row.try_get("attempts")?,
        run_at: Timestamp(row.try_get("run_at")?),
        deadline: Timestamp(row.try_get("deadline")?),
        lease_owner: row.try_get("lease_owner")?,
        lease_until: Timestamp(row.try_get("lease_until")?),
        message: row.try_get("message")?,
        created_at: Timestamp(row.try_get("created_at")?),
        updated_at: Timestamp(row.try_get("updated_at")?),
    })
}

pub async fn insert(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    query(
        "INSERT INTO tasks (id, server_id, project_id, user_id, request_id, program, step, status, plan_generation, \
         attempts, run_at, deadline, lease_owner, lease_until, message, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, NULL, 0, ?, ?, ?)",
    )
    .bind(&task.id)
    .bind(&task.server_id)
    .bind(&task.project_id)
    .bind(&task.user_id)
    .bind(&task.request_id)
    .bind(task.program.as_str())
    .bind(task.step.as_str())
    .bind(task.status.as_str())
    .bind(task.run_at.0)
    .bind(task.deadline.0)
    .bind(&task.message)
    .bind(task.created_at.0)
    .bind(task.updated_at.0)
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Task>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// The server's tasks, the newest first.
pub async fn list_of_server(conn: &mut Conn, server_id: &str) -> Result<Vec<Task>, StoreError> {
    let rows = Select::new(SELECT)
        .and_eq("server_id", Some(server_id))
        .order("created_at DESC, id DESC", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

/// Every task that has not come to its end.
pub async fn list_open(conn: &mut Conn) -> Result<Vec<Task>, StoreError> {
    let rows = Select::new(SELECT)
        .and("status IN ('running', 'undoing')")
        .order("created_at, id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

/// Which tasks an operator asks for.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    pub project_id: Option<String>,
    pub request_id: Option<String>,
    /// Those that ended before are left out.
    pub since: Option<Timestamp>,
    pub failed_only: bool,
    pub limit: Option<u32>,
}

/// Tasks under way, and those that ended since; the newest first.
pub async fn list_lately(conn: &mut Conn, wanted: &TaskFilter) -> Result<Vec<Task>, StoreError> {
    let mut select = Select::new(SELECT)
        .and_eq("project_id", wanted.project_id.as_ref())
        .and_eq("request_id", wanted.request_id.as_ref());
    if let Some(since) = wanted.since {
        select = select.and_raw("(status IN ('running', 'undoing') OR updated_at >= ").bind(since.0).raw(")");
    }
    if wanted.failed_only {
        select = select.and("status IN ('undoing', 'failed')");
    }
    let rows = select.order("created_at DESC, id DESC", wanted.limit).fetch(conn).await?;
    rows.iter().map(from_row).collect()
}

/// The id of a task that is due and that nobody works on; the longest due first.
pub async fn next_due(conn: &mut Conn, now: Timestamp) -> Result<Option<String>, StoreError> {
    let row = query(
        "SELECT id FROM tasks WHERE status IN ('running', 'undoing') AND run_at <= ? AND lease_until <= ? \
         ORDER BY run_at, id LIMIT 1",
    )
    .bind(now.0)
    .bind(now.0)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.try_get("id")).transpose()
}

/// Leases the task to `owner` until `until`; false when somebody else was first.
pub async fn lease(
    tx: &mut Tx,
    id: &str,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE tasks SET lease_owner = ?, lease_until = ?, attempts = attempts + 1 \
         WHERE id = ? AND status IN ('running', 'undoing') AND run_at <= ? AND lease_until <= ?",
    )
    .bind(owner)
    .bind(until.0)
    .bind(id)
    .bind(now.0)
    .bind(now.0)
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

/// Writes where the task stands, if `owner` still has it at the step and in the status that it took it up in; false
/// when not (the lease ran out and another took it, or it was cancelled), and then the whole transaction is to be
/// rolled back.
pub async fn advance(
    tx: &mut Tx,
    task: &Task,
    owner: &str,
    from: (Step, TaskStatus),
) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE tasks SET step = ?, status = ?, plan_generation = ?, run_at = ?, lease_owner = ?, lease_until = ?, \
         message = ?, updated_at = ? WHERE id = ? AND lease_owner = ? AND step = ? AND status = ?",
    )
    .bind(task.step.as_str())
    .bind(task.status.as_str())
    .bind(signed(task.plan_generation))
    .bind(task.run_at.0)
    .bind(&task.lease_owner)
    .bind(task.lease_until.0)
    .bind(&task.message)
    .bind(task.updated_at.0)
    .bind(&task.id)
    .bind(owner)
    .bind(from.0.as_str())
    .bind(from.1.as_str())
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

/// Ends whatever is under way for the server, because another task takes its place.
pub async fn cancel_of_server(tx: &mut Tx, server_id: &str, now: Timestamp) -> Result<(), StoreError> {
    query(
        "UPDATE tasks SET status = 'cancelled', lease_owner = NULL, lease_until = 0, updated_at = ? \
         WHERE server_id = ? AND status IN ('running', 'undoing')",
    )
    .bind(now.0)
    .bind(server_id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes the tasks due that wait for this host, because it has reported.
pub async fn wake_for_host(tx: &mut Tx, host_id: &str, now: Timestamp) -> Result<u64, StoreError> {
    let changed = query(
        "UPDATE tasks SET run_at = ? WHERE status IN ('running', 'undoing') AND run_at > ? \
         AND server_id IN (SELECT id FROM servers WHERE host_id = ?)",
    )
    .bind(now.0)
    .bind(now.0)
    .bind(host_id)
    .execute(tx)
    .await?;
    Ok(changed)
}
