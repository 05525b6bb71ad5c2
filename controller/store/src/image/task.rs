use serde_json::Value;
use updraft_model::Timestamp;
use updraft_model::image::{ImageTask, ImageTaskKind, ImageTaskStatus, ImageTaskStep};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, kind, image_id, project_id, user_id, request_id, status, step, input, result, \
                      message, attempts, run_at, lease_owner, lease_until, created_at, updated_at, expires_at \
                      FROM image_tasks";

fn from_row(row: &Row) -> Result<ImageTask, StoreError> {
    let text = |column: &'static str| row.try_get::<String>(column);
    let corrupt = |column: &'static str| move || StoreError::corrupt(format!("image_tasks.{column}"));
    let json = |column: &'static str, text: &str| {
        serde_json::from_str::<Value>(text).map_err(|_| StoreError::corrupt(format!("image_tasks.{column}")))
    };
    let result: Option<String> = row.try_get("result")?;
    Ok(ImageTask {
        id: text("id")?,
        kind: ImageTaskKind::parse(&text("kind")?).ok_or_else(corrupt("kind"))?,
        image_id: row.try_get("image_id")?,
        project_id: text("project_id")?,
        user_id: text("user_id")?,
        request_id: text("request_id")?,
        status: ImageTaskStatus::parse(&text("status")?).ok_or_else(corrupt("status"))?,
        step: ImageTaskStep::parse(&text("step")?).ok_or_else(corrupt("step"))?,
        input: json("input", &text("input")?)?,
        result: result.map(|text| json("result", &text)).transpose()?,
        message: row.try_get("message")?,
        attempts: row.try_get("attempts")?,
        run_at: Timestamp(row.try_get("run_at")?),
        lease_owner: row.try_get("lease_owner")?,
        lease_until: Timestamp(row.try_get("lease_until")?),
        created_at: Timestamp(row.try_get("created_at")?),
        updated_at: Timestamp(row.try_get("updated_at")?),
        expires_at: row.try_get::<Option<i64>>("expires_at")?.map(Timestamp),
    })
}

pub async fn insert(tx: &mut Tx, task: &ImageTask) -> Result<(), StoreError> {
    query(
        "INSERT INTO image_tasks (id, kind, image_id, project_id, user_id, request_id, status, step, input, result, \
         message, attempts, run_at, lease_owner, lease_until, created_at, updated_at, expires_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, NULL, 0, ?, ?, ?)",
    )
    .bind(&task.id)
    .bind(task.kind.as_str())
    .bind(&task.image_id)
    .bind(&task.project_id)
    .bind(&task.user_id)
    .bind(&task.request_id)
    .bind(task.status.as_str())
    .bind(task.step.as_str())
    .bind(task.input.to_string())
    .bind(task.result.as_ref().map(Value::to_string))
    .bind(&task.message)
    .bind(task.run_at.0)
    .bind(task.created_at.0)
    .bind(task.updated_at.0)
    .bind(task.expires_at.map(|time| time.0))
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<ImageTask>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// The tasks of an image (`None`: of all), the newest first.
pub async fn list(conn: &mut Conn, image_id: Option<&str>) -> Result<Vec<ImageTask>, StoreError> {
    let select = Select::new(SELECT).and_eq("image_id", image_id);
    select.order("created_at DESC, id DESC", None).fetch(conn).await?.iter().map(from_row).collect()
}

/// A task that is due and that nobody works on; the longest due first.
pub async fn next_due(conn: &mut Conn, now: Timestamp) -> Result<Option<String>, StoreError> {
    let row = query(
        "SELECT id FROM image_tasks WHERE status IN ('pending', 'processing') AND run_at <= ? AND lease_until <= ? \
         ORDER BY run_at, id LIMIT 1",
    )
    .bind(now.0)
    .bind(now.0)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.try_get("id")).transpose()
}

/// Leases a due task; false when somebody else was first.
pub async fn lease(
    tx: &mut Tx,
    id: &str,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE image_tasks SET lease_owner = ?, lease_until = ?, attempts = attempts + 1, status = 'processing', \
         updated_at = ? WHERE id = ? AND status IN ('pending', 'processing') AND run_at <= ? AND lease_until <= ?",
    )
    .bind(owner)
    .bind(until.0)
    .bind(now.0)
    .bind(id)
    .bind(now.0)
    .bind(now.0)
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

/// Keeps the lease; false when it is lost.
pub async fn renew(tx: &mut Tx, id: &str, owner: &str, until: Timestamp) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE image_tasks SET lease_until = ? WHERE id = ? AND lease_owner = ? AND status = 'processing'",
    )
    .bind(until.0)
    .bind(id)
    .bind(owner)
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

/// Writes where the task stands, if `owner` still has it at the step `from`; false when not, and then the whole
/// transaction is to be rolled back.
pub async fn advance(
    tx: &mut Tx,
    task: &ImageTask,
    owner: &str,
    from: ImageTaskStep,
) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE image_tasks SET step = ?, status = ?, result = ?, message = ?, run_at = ?, lease_owner = ?, \
         lease_until = ?, updated_at = ?, expires_at = ? \
         WHERE id = ? AND lease_owner = ? AND step = ? AND status = 'processing'",
    )
    .bind(task.step.as_str())
    .bind(task.status.as_str())
    .bind(task.result.as_ref().map(Value::to_string))
    .bind(&task.message)
    .bind(task.run_at.0)
    .bind(&task.lease_owner)
    .bind(task.lease_until.0)
    .bind(task.updated_at.0)
    .bind(task.expires_at.map(|time| time.0))
    .bind(&task.id)
    .bind(owner)
    .bind(from.as_str())
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

/// Ends what is under way for an image that goes.
pub async fn cancel_of_image(
    tx: &mut Tx,
    image_id: &str,
    message: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    query(
        "UPDATE image_tasks SET status = 'failure', message = ?, lease_owner = NULL, lease_until = 0, \
         updated_at = ? WHERE image_id = ? AND status IN ('pending', 'processing')",
    )
    .bind(message)
    .bind(now.0)
    .bind(image_id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Forgets tasks whose time is over; how many.
pub async fn purge(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    query("DELETE FROM image_tasks WHERE status IN ('success', 'failure') AND expires_at < ?")
        .bind(now.0)
        .execute(tx)
        .await
}
