//! `/servers/{id}/os-instance-actions`

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};
use updraft_core::compute::journal::{self, JournalQuery};
use updraft_core::compute::server::hidden_host_id;
use updraft_model::compute::task::TaskEvent;
use updraft_model::compute::{Host, Task, TaskStatus};
use updraft_wire::compute::journal::{ActionView, EventView};

use crate::compute::query::{self, Pairs};
use crate::compute::version::Version;
use crate::http::{Answer, Call, Form};

const DELETED_SINCE: u16 = 21;
const PAGES_SINCE: u16 = 58;
const CHANGES_BEFORE_SINCE: u16 = 66;
const MOST: u32 = 1000;

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
    let paged = version.at_least(PAGES_SINCE);
    let wanted = JournalQuery {
        with_deleted: version.at_least(DELETED_SINCE),
        changed_since: query::time(&pairs, "changes-since")?.filter(|_| paged),
        changed_before: query::time(&pairs, "changes-before")?
            .filter(|_| version.at_least(CHANGES_BEFORE_SINCE)),
    };
    let tasks = journal::list(&call.core, &call.caller, &id, &wanted).await?;
    let pairs = if paged { pairs } else { Pairs::new() };
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
    let (task, events, hosts) =
        journal::get(&call.core, &call.caller, &id, &request_id, with_deleted).await?;
    let events: Vec<EventView> = events.into_iter().map(|event| event_view(event, &task, &hosts)).collect();
    Ok(Json(view(&task).with_events(&events, version, call.caller.is_admin())))
}
