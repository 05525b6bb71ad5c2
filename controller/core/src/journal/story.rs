//! `updraft why ID`: everything known of one thing, joined by the ids of the requests that touched it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use updraft_model::audit::{AuditEvent, AuditQuery};
use updraft_model::compute::{Server, Task};
use updraft_store::compute::task::{self, TaskFilter};
use updraft_store::compute::{host, server};
use updraft_store::{Conn, audit};

use super::{Op, with_steps};
use crate::policy::require_admin;
use crate::tasks::place;
use crate::{Caller, Core, Error, Result};

/// Requests in one story; of more, the newest are told.
const MAX_REQUESTS: usize = 50;

/// The story of an id.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    pub id: String,
    /// When it is a server's, or that of something done to a server.
    pub server: Option<ServerFacts>,
    /// The oldest first.
    pub requests: Vec<RequestStory>,
}

/// How a server is.
#[derive(Clone, Debug, Serialize)]
pub struct ServerFacts {
    pub id: String,
    pub name: String,
    pub project_id: String,
    pub status: &'static str,
    pub task_state: Option<&'static str>,
    pub host: Option<String>,
    /// What the tenant reads of an error.
    pub fault: Option<String>,
    /// What its host reports of it, word for word.
    pub observed: Option<Value>,
    /// What the host reports of itself.
    pub host_problems: Vec<String>,
    pub deleted_at: Option<String>,
}

/// One request: who asked for what, and what it set in motion.
#[derive(Clone, Debug, Serialize)]
pub struct RequestStory {
    pub request_id: String,
    /// CADF events.
    pub audit: Vec<Value>,
    pub ops: Vec<Op>,
}

/// The story of a server, task, request, or of anything else that a request named or made. For administrators; 404
/// when nothing is known of the id.
pub async fn why(core: &Core, caller: &Caller, id: &str) -> Result<Story> {
    require_admin(caller)?;
    core.audit.flush(core).await;
    let mut conn = core.read().await?;
    let mut tasks = tasks_of(&mut conn, id).await?;
    let mut events = events_of(&mut conn, id).await?;
    for request_id in requests(&tasks, &events) {
        if !tasks.iter().any(|task| task.request_id == request_id) {
            let filter = TaskFilter { request_id: Some(request_id.clone()), ..TaskFilter::default() };
            tasks.extend(task::list_lately(&mut conn, &filter).await?);
        }
        if !events.iter().any(|event| event.request_id == request_id) {
            let wanted = AuditQuery { request_id: Some(request_id), ..AuditQuery::default() };
            events.extend(audit::list(&mut conn, &wanted).await?);
        }
    }
    let server_id = tasks.first().map_or(id, |task| task.server_id.as_str());
    let server = server::get(&mut conn, server_id).await?;
    let server = match server.filter(|server| server.id == id || tasks.len() == 1) {
        Some(server) => Some(facts(&mut conn, server).await?),
        None => None,
    };
    if server.is_none() && tasks.is_empty() && events.is_empty() {
        let message =
            format!("Nothing is known of {id}: no server, task or request, and no audit event names it.");
        return Err(Error::not_found("NothingKnown", message));
    }
    let ids = requests(&tasks, &events);
    let ops = with_steps(&mut conn, tasks, core.clock.now()).await?;
    Ok(Story { id: id.to_owned(), server, requests: join(ids, ops, events) })
}

async fn tasks_of(conn: &mut Conn, id: &str) -> Result<Vec<Task>> {
    if let Some(task) = task::get(conn, id).await? {
        return Ok(vec![task]);
    }
    let filter = TaskFilter { request_id: Some(id.to_owned()), ..TaskFilter::default() };
    let of_request = task::list_lately(conn, &filter).await?;
    if !of_request.is_empty() {
        return Ok(of_request);
    }
    Ok(task::list_of_server(conn, id).await?)
}

async fn events_of(conn: &mut Conn, id: &str) -> Result<Vec<AuditEvent>> {
    let wanted = AuditQuery { request_id: Some(id.to_owned()), ..AuditQuery::default() };
    let mut events = audit::list(conn, &wanted).await?;
    let wanted = AuditQuery { subject: Some(id.to_owned()), ..AuditQuery::default() };
    events.extend(audit::list(conn, &wanted).await?);
    Ok(events)
}

/// The requests that are spoken of, the oldest first.
fn requests(tasks: &[Task], events: &[AuditEvent]) -> Vec<String> {
    let of_tasks = tasks.iter().map(|task| (task.created_at, task.request_id.clone()));
    let of_events = events.iter().map(|event| (event.time, event.request_id.clone()));
    let mut all: Vec<_> = of_tasks.chain(of_events).filter(|(_, id)| !id.is_empty()).collect();
    all.sort();
    let mut seen = BTreeSet::new();
    let mut ids: Vec<String> =
        all.into_iter().map(|(_, id)| id).filter(|id| seen.insert(id.clone())).collect();
    ids.split_off(ids.len().saturating_sub(MAX_REQUESTS))
}

fn join(ids: Vec<String>, ops: Vec<Op>, events: Vec<AuditEvent>) -> Vec<RequestStory> {
    let story = |request_id: String| RequestStory {
        ops: ops.iter().rev().filter(|op| op.request_id == request_id).cloned().collect(),
        audit: events
            .iter()
            .rev()
            .filter(|event| event.request_id == request_id)
            .map(|event| event.document.clone())
            .collect(),
        request_id,
    };
    ids.into_iter().map(story).collect()
}

async fn facts(conn: &mut Conn, server: Server) -> Result<ServerFacts> {
    let host = match &server.host_id {
        Some(id) => host::get(conn, id).await?,
        None => None,
    };
    let report = host.as_ref().and_then(place::observed);
    let seen = report.as_ref().and_then(|report| {
        let own = report.servers.iter().find(|seen| seen.id.to_string() == server.id)?;
        serde_json::to_value(&own.state).ok()
    });
    Ok(ServerFacts {
        status: server.status(),
        task_state: server.task_state.map(updraft_model::compute::TaskState::as_str),
        host: host.map(|host| host.hostname),
        fault: server.fault.as_ref().map(|fault| fault.message.clone()),
        observed: seen,
        host_problems: report.map(|report| report.problems).unwrap_or_default(),
        deleted_at: server.deleted_at.map(updraft_model::Timestamp::micros_z),
        id: server.id,
        name: server.name,
        project_id: server.project_id,
    })
}
