//! `/v2/tasks`: for administrators.

use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::image::task::{self, TaskQuery};
use updraft_core::{Core, Error};
use updraft_model::image::{ImageTask, ImageTaskKind, ImageTaskStatus};
use updraft_wire::image::{TaskCreate, TaskList, TaskStub, TaskView};

use super::images::query::{DEFAULT_PAGE, MAX_PAGE, Pairs};
use crate::http::{Answer, Body, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new().route("/tasks", get(list).post(create)).route("/tasks/{task_id}", get(show).delete(delete))
}

fn stub(task: &ImageTask) -> TaskStub {
    TaskStub {
        kind: task.kind.as_str(),
        status: task.status.as_str(),
        owner: task.project_id.clone(),
        image_id: task.image_id.clone(),
        request_id: task.request_id.clone(),
        user_id: task.user_id.clone(),
        created_at: task.created_at.seconds_z(),
        updated_at: task.updated_at.seconds_z(),
        expires_at: task.expires_at.map(|time| time.seconds_z()),
        this: format!("/v2/tasks/{}", task.id),
        schema: "/v2/schemas/task",
        id: task.id.clone(),
    }
}

fn view(task: ImageTask) -> TaskView {
    TaskView {
        stub: stub(&task),
        input: task.input,
        result: task.result,
        message: task.message.unwrap_or_default(),
    }
}

async fn list(Call { core, caller, .. }: Call, RawQuery(text): RawQuery) -> Answer<Json<TaskList>> {
    updraft_core::policy::require_admin(&caller)?;
    let pairs = Pairs::parse(text.as_deref().unwrap_or_default());
    let (tasks, more) = task::list(&core, &caller, &query(&pairs)?).await?;
    let last = tasks.last().map(|task| task.id.clone());
    Ok(Json(TaskList {
        tasks: tasks.iter().map(stub).collect(),
        first: pairs.url_of("/v2/tasks", None),
        next: last.filter(|_| more).map(|marker| pairs.url_of("/v2/tasks", Some(&marker))),
        schema: "/v2/schemas/tasks",
    }))
}

fn query(pairs: &Pairs) -> Result<TaskQuery, Error> {
    let invalid = |message: String| Error::bad_request("Invalid", message);
    let status = pairs.one("status").map(|text| {
        ImageTaskStatus::parse(text).ok_or_else(|| invalid(format!("Invalid status value: {text}")))
    });
    let kind = pairs.one("type").map(|text| match text {
        "import" => Ok(ImageTaskKind::Import),
        _ => Err(invalid(format!("Invalid type value: {text}"))),
    });
    let ascending = match pairs.one("sort_dir") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(other) => return Err(invalid(format!("Invalid sort direction: {other}"))),
    };
    let limit = pairs.one("limit").map_or(Ok(DEFAULT_PAGE), |text| {
        text.parse().map_err(|_| invalid("limit param must be an integer".into()))
    })?;
    Ok(TaskQuery {
        status: status.transpose()?,
        kind: kind.transpose()?,
        ascending,
        by_update: pairs.one("sort_key") == Some("updated_at"),
        marker: pairs.one("marker").map(str::to_owned),
        limit: limit.min(MAX_PAGE),
    })
}

async fn create(
    Call { core, caller, .. }: Call,
    Body(body): Body<Value>,
) -> Answer<(StatusCode, HeaderMap, Json<TaskView>)> {
    updraft_core::policy::require_admin(&caller)?;
    let request: TaskCreate = serde_json::from_value(body)
        .map_err(|error| Error::bad_request("Invalid", format!("Task is not as it should be: {error}")))?;
    let made = task::create(&core, &caller, &request.kind, request.input).await?;
    let mut headers = HeaderMap::new();
    if let Ok(location) = HeaderValue::from_str(&format!("/v2/tasks/{}", made.id)) {
        headers.insert(header::LOCATION, location);
    }
    Ok((StatusCode::CREATED, headers, Json(view(made))))
}

async fn show(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<Json<TaskView>> {
    Ok(Json(view(task::get(&core, &caller, &id).await?)))
}

async fn delete(Call { caller, .. }: Call, Path(_id): Path<String>) -> Answer<()> {
    Err(task::delete(&caller).into())
}
