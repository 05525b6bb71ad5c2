//! The operation journal: work that goes on after an answer, with its steps, as operators read it (`updraft ops`,
//! `updraft why`). Tenants read theirs in their service's own words: a server's actions, an image's tasks.

mod story;

use std::time::Duration;

use serde::Serialize;
use updraft_model::Timestamp;
use updraft_model::compute::task::TaskEvent;
use updraft_model::compute::{Host, Task, TaskStatus};
use updraft_store::Conn;
use updraft_store::compute::host;
use updraft_store::compute::task::{self, TaskFilter};

use crate::policy::require_admin;
use crate::{Caller, Core, Result};

pub use story::{RequestStory, ServerFacts, Story, why};

/// What has ended is listed for so long, unless the operator asks for more.
const LATELY: Duration = Duration::from_secs(24 * 3600);
/// Operations in one answer.
const MAX_LISTED: u32 = 200;

/// Which operations are asked for.
#[derive(Clone, Debug, Default)]
pub struct OpsQuery {
    pub project_id: Option<String>,
    pub failed_only: bool,
    /// Absent: a day ago.
    pub since: Option<Timestamp>,
}

/// One operation: what a request set in motion.
#[derive(Clone, Debug, Serialize)]
pub struct Op {
    pub id: String,
    /// `server create`, say.
    pub kind: String,
    pub subject_id: String,
    pub project_id: String,
    pub user_id: String,
    pub request_id: String,
    /// `running`, `undoing`, `done`, `failed` or `cancelled`.
    pub state: &'static str,
    /// Where it stands, while it is under way.
    pub step: Option<&'static str>,
    /// How often a worker took it up.
    pub attempts: i64,
    pub started_at: String,
    pub ended_at: Option<String>,
    /// Milliseconds until its end, or until now.
    pub took_ms: i64,
    /// What the tenant is told.
    pub message: Option<String>,
    /// In the order in which they began.
    pub steps: Vec<OpStep>,
}

/// One step of an operation.
#[derive(Clone, Debug, Serialize)]
pub struct OpStep {
    pub name: &'static str,
    pub started_at: String,
    /// `None` while it lasts.
    pub took_ms: Option<i64>,
    pub succeeded: Option<bool>,
    pub host: Option<String>,
    /// What the tenant is told.
    pub message: Option<String>,
    /// What is for operators alone.
    pub cause: Option<String>,
}

/// What is under way and what ended lately, the newest first. For administrators.
pub async fn list(core: &Core, caller: &Caller, wanted: &OpsQuery) -> Result<Vec<Op>> {
    require_admin(caller)?;
    let now = core.clock.now();
    let filter = TaskFilter {
        project_id: wanted.project_id.clone(),
        since: Some(wanted.since.unwrap_or_else(|| now.minus(LATELY))),
        failed_only: wanted.failed_only,
        limit: Some(MAX_LISTED),
        ..TaskFilter::default()
    };
    let mut conn = core.read().await?;
    let tasks = task::list_lately(&mut conn, &filter).await?;
    with_steps(&mut conn, tasks, now).await
}

async fn with_steps(conn: &mut Conn, tasks: Vec<Task>, now: Timestamp) -> Result<Vec<Op>> {
    let hosts = host::list(conn).await?;
    let mut ops = Vec::with_capacity(tasks.len());
    for task in tasks {
        let events = task::list_events(conn, &task.id).await?;
        ops.push(of_task(task, events, &hosts, now));
    }
    Ok(ops)
}

fn of_task(task: Task, events: Vec<TaskEvent>, hosts: &[Host], now: Timestamp) -> Op {
    let is_over = task.status.is_final();
    let end = if is_over { task.updated_at } else { now };
    // A cancelled task kept the message of its last wait.
    let message = task.message.filter(|_| task.status != TaskStatus::Done);
    Op {
        id: task.id,
        kind: format!("server {}", task.program.as_str()),
        subject_id: task.server_id,
        project_id: task.project_id,
        user_id: task.user_id,
        request_id: task.request_id,
        state: task.status.as_str(),
        step: (!is_over).then_some(task.step.as_str()),
        attempts: task.attempts,
        started_at: task.created_at.micros_z(),
        ended_at: is_over.then(|| task.updated_at.micros_z()),
        took_ms: millis(task.created_at, end),
        message,
        steps: events.into_iter().rev().map(|event| of_event(event, hosts)).collect(),
    }
}

fn of_event(event: TaskEvent, hosts: &[Host]) -> OpStep {
    let host = hosts.iter().find(|host| Some(&host.id) == event.host_id.as_ref());
    OpStep {
        name: event.step.as_str(),
        started_at: event.started_at.micros_z(),
        took_ms: event.finished_at.map(|end| millis(event.started_at, end)),
        succeeded: event.succeeded,
        host: host.map(|host| host.hostname.clone()),
        message: event.message,
        cause: event.cause,
    }
}

fn millis(start: Timestamp, end: Timestamp) -> i64 {
    (end.0 - start.0) / 1000
}
