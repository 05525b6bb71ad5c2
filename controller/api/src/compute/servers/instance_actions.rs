//! `/servers/{id}/os-instance-actions`

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};
use updraft_core::compute::journal::{self, ActionDetail, JournalQuery};
use updraft_core::compute::server::hidden_host_id;
use updraft_model::compute::task::TaskEvent;
use updraft_model::compute::{Host, Task, TaskStatus};
use updraft_wire::compute::journal::{ActionView, EventView};

use crate::compute::query::{self, Holds, Pairs, Parameter};
use crate::compute::version::Version;
use crate::http::{Answer, Call, Form};

const DELETED_SINCE: u16 = 21;
const PAGES_SINCE: u16 = 58;
const MOST: u32 = 1000;

/// What a list may be asked, each key once.
const QUERY: &[Parameter] = &[
    Parameter::since("limit", PAGES_SINCE, Holds::Number),
    Parameter::since("marker", PAGES_SINCE, Holds::Text),
    Parameter::since("changes-since", PAGES_SINCE, Holds::Time),
    Parameter::since("changes-before", 66, Holds::Time),
];

fn view(task: &Task) -> ActionView {
    ActionView {
        action: task.program.as_str(),
        server_id: task.server_id.clone(),
        message: (task.status == TaskStatus::Failed).then_some("Error"),
        project_id: task.project_id.clone(),
        user_id: task.user_id.clone(),
        request_id: task.request_id.clone(),
        start_time: task.created_at.micros_bare(),
        updated_at: task.updated_at.micros_bare(),
    }
}

fn event_view(event: TaskEvent, task: &Task, hosts: &[Host]) -> EventView {
    let host =
        hosts.iter().find(|host| Some(&host.id) == event.host_id.as_ref()).map(|host| host.hostname.clone());
    EventView {
        event: event.step.as_str(),
        start_time: event.started_at.micros_bare(),
        finish_time: event.finished_at.map(|time| time.micros_bare()),
        result: event.succeeded.map(|succeeded| if succeeded { "Success" } else { "Error" }),
        details: event.message,
        host_id: host.as_deref().map(|host| hidden_host_id(&task.project_id, host)).unwrap_or_default(),
        host,
    }
}

pub(super) async fn list(
    call: Call,
    Version(version): Version,
    Path(id): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    let pairs = query::read_since(pairs, QUERY, version, PAGES_SINCE)?;
    query::refuse_repeated(&pairs)?;
    let wanted = JournalQuery {
        with_deleted: version.at_least(DELETED_SINCE),
        changed_since: query::time(&pairs, "changes-since")?,
        changed_before: query::time(&pairs, "changes-before")?,
    };
    query::refuse_backwards(wanted.changed_since, wanted.changed_before)?;
    let tasks = journal::list(&call.core, &call.caller, &id, &wanted).await?;
    let (tasks, more) = query::page(tasks, &pairs, MOST, |task| &task.request_id)?;
    let actions: Vec<Value> = tasks.iter().map(|task| view(task).render(version)).collect();
    let mut answer = json!({ "instanceActions": actions });
    if let Some(last) = tasks.last().filter(|_| more) {
        let path = format!("servers/{id}/os-instance-actions");
        answer["links"] = query::next_link(&call.endpoint, &path, &pairs, &last.request_id);
    }
    Ok(Json(answer))
}

pub(super) async fn show(
    call: Call,
    Version(version): Version,
    Path((id, request_id)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    let with_deleted = version.at_least(DELETED_SINCE);
    let found = journal::get(&call.core, &call.caller, &id, &request_id, with_deleted).await?;
    let ActionDetail { task, events, hosts, sight } = found;
    let events: Vec<EventView> = events.into_iter().map(|event| event_view(event, &task, &hosts)).collect();
    Ok(Json(view(&task).with_events(&events, version, sight)))
}
