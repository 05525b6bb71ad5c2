//! What was done to a server: its tasks and their steps. Deleted servers keep theirs for a while.

use updraft_model::Timestamp;
use updraft_model::compute::task::TaskEvent;
use updraft_model::compute::{Host, Server, Task};
use updraft_store::Conn;
use updraft_store::compute::{host, server, task};

use super::server::not_found;
use crate::policy::require_reader;
use crate::{Caller, Core, Error, Result};

/// What a list of actions may be narrowed to.
#[derive(Clone, Debug, Default)]
pub struct JournalQuery {
    /// From 2.21 on.
    pub with_deleted: bool,
    pub changed_since: Option<Timestamp>,
    pub changed_before: Option<Timestamp>,
}

/// The server's actions, the newest first.
pub async fn list(core: &Core, caller: &Caller, server_id: &str, query: &JournalQuery) -> Result<Vec<Task>> {
    let mut conn = core.read().await?;
    let server = find(&mut conn, caller, server_id, query.with_deleted).await?;
    let mut tasks = task::list_of_server(&mut conn, &server.id).await?;
    tasks.retain(|task| query.changed_since.is_none_or(|since| task.updated_at >= since));
    tasks.retain(|task| query.changed_before.is_none_or(|before| task.updated_at <= before));
    Ok(tasks)
}

/// One action with its events, the newest first.
pub async fn get(
    core: &Core,
    caller: &Caller,
    server_id: &str,
    request_id: &str,
    with_deleted: bool,
) -> Result<(Task, Vec<TaskEvent>, Vec<Host>)> {
    let mut conn = core.read().await?;
    let server = find(&mut conn, caller, server_id, with_deleted).await?;
    let tasks = task::list_of_server(&mut conn, &server.id).await?;
    let Some(found) = tasks.into_iter().find(|task| task.request_id == request_id) else {
        return Err(Error::not_found("ActionNotFound", format!("Action {request_id} not found")));
    };
    let events = task::list_events(&mut conn, &found.id).await?;
    Ok((found, events, host::list(&mut conn).await?))
}

async fn find(conn: &mut Conn, caller: &Caller, id: &str, with_deleted: bool) -> Result<Server> {
    require_reader(caller)?;
    server::get(conn, id)
        .await?
        .filter(|server| caller.sees(&server.project_id) && (with_deleted || server.deleted_at.is_none()))
        .ok_or_else(|| not_found(id))
}
