//! `/v2/tasks`: by default for administrators.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use updraft_core::image::task::{self, TaskQuery, TaskSortKey};
use updraft_core::{Error, ErrorKind};
use updraft_model::id::is_uuid;
use updraft_model::image::{ImageTask, ImageTaskKind, ImageTaskStatus};
use updraft_wire::image::{TaskCreate, TaskList, TaskStub, TaskView};

use super::images::query::{Pairs, limit};
use crate::http::{Answer, Body, Call, Fault};
use crate::routes::{Routes, SchemaOf, get};

/// What a list may be sorted by.
const SORT_KEYS: [(&str, TaskSortKey); 6] = [
    ("created_at", TaskSortKey::CreatedAt),
    ("expires_at", TaskSortKey::ExpiresAt),
    ("id", TaskSortKey::Id),
    ("status", TaskSortKey::Status),
    ("type", TaskSortKey::Type),
    ("updated_at", TaskSortKey::UpdatedAt),
];

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/tasks", get(list).post(create).takes(SchemaOf::of::<TaskCreate>()))
        .route("/tasks/{task_id}", get(show).delete(delete).refused())
}

fn stub(task: &ImageTask) -> TaskStub {
    TaskStub {
        kind: task.kind.as_str(),
        status: task.status.as_str(),
        owner: task.project_id.clone(),
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
        image_id: task.image_id,
        request_id: task.request_id,
        user_id: task.user_id,
        input: task.input,
        result: task.result,
        message: task.message.unwrap_or_default(),
    }
}

async fn list(Call { core, caller, .. }: Call, RawQuery(text): RawQuery) -> Answer<Json<TaskList>> {
    task::may_use(&caller)?;
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
    if pairs.one("marker").is_some_and(|marker| !is_uuid(marker)) {
        return Err(invalid("Invalid marker format".into()));
    }
    let sort_key = pairs.one("sort_key").unwrap_or("created_at");
    let (_, sort_key) = *SORT_KEYS.iter().find(|(name, _)| *name == sort_key).ok_or_else(|| {
        let known = SORT_KEYS.map(|(name, _)| name).join(", ");
        invalid(format!("Invalid sort key: {sort_key}. It must be one of the following: {known}."))
    })?;
    Ok(TaskQuery {
        status: status.transpose()?,
        kind: kind.transpose()?,
        ascending,
        sort_key,
        marker: pairs.one("marker").map(str::to_owned),
        limit: limit(pairs)?,
    })
}

async fn create(
    Call { core, caller, .. }: Call,
    Body(body): Body<Value>,
) -> Answer<(StatusCode, HeaderMap, Json<TaskView>)> {
    task::may_use(&caller)?;
    let missing = ["type", "input"].into_iter().find(|key| body.get(key).is_none());
    if let Some(key) = missing {
        return Err(Error::bad_request("Invalid", format!("Task '{key}' is required")).into());
    }
    let request: TaskCreate = serde_json::from_value(body).map_err(|error| {
        let message = format!("Provided object does not match schema 'task': {error}");
        Error::bad_request("Invalid", message)
    })?;
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

async fn delete(Call { caller, .. }: Call, Path(_id): Path<String>) -> Response {
    let error = task::delete(&caller);
    let is_known_path = error.kind == ErrorKind::MethodNotAllowed;
    let mut response = Fault::from(error).into_response();
    if is_known_path {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    }
    response
}
