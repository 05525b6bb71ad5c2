use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::image::import::{self, ImportRequest, METHODS};
use updraft_core::image::task;
use updraft_wire::image::{ImageTaskList, ImageTaskView};

use crate::http::{Answer, Body, Call};
use crate::routes::SchemaOf;

const STORES: HeaderName = HeaderName::from_static("x-image-meta-store");

/// What [`import`] takes.
pub(super) fn body() -> SchemaOf {
    let method = json!({
        "type": "object",
        "properties": {"name": {"enum": METHODS}, "uri": {"type": "string"}},
        "required": ["name"],
    });
    let flag = json!({"type": "boolean"});
    SchemaOf::json(json!({
        "type": "object",
        "properties": {
            "method": method,
            "stores": {"type": "array", "items": {"type": "string"}},
            "all_stores": flag,
            "all_stores_must_succeed": flag,
        },
        "required": ["method"],
    }))
}

/// `POST /v2/images/{id}/import`: 202, and the import goes on by itself.
pub(super) async fn import(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<Value>,
) -> Answer<StatusCode> {
    let request = read(body, &headers)?;
    import::import(&core, &caller, &id, request).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The request, checked for form as glance/api/v2/images.py does.
fn read(body: Value, headers: &HeaderMap) -> Result<ImportRequest, Error> {
    let invalid = |message: String| Error::bad_request("Invalid", message);
    let method =
        body.get("method").ok_or_else(|| invalid("Import request requires a 'method' field.".into()))?;
    let name = method.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| invalid("Import request requires a 'name' field.".into()))?.to_owned();
    if !METHODS.contains(&name.as_str()) {
        return Err(invalid(format!("Unknown import method name '{name}'.")));
    }
    let flag = |key: &str, default: bool| match body.get(key) {
        None => Ok(default),
        Some(value) => value.as_bool().ok_or_else(|| invalid(format!("'{key}' must be boolean value only"))),
    };
    flag("all_stores_must_succeed", true)?;
    let all_stores = flag("all_stores", false)?;
    let uri = method.get("uri").and_then(Value::as_str).map(str::to_owned);
    let mut stores: Vec<String> = match body.get("stores") {
        Some(Value::Array(named)) => named.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        // Glance takes a text for a list of letters, none of which is a store.
        Some(Value::String(letters)) => letters.chars().map(String::from).collect(),
        _ => Vec::new(),
    };
    stores.extend(headers.get(STORES).and_then(|value| value.to_str().ok()).map(str::to_owned));
    Ok(ImportRequest { method: name, uri, stores, all_stores, body })
}

/// `GET /v2/images/{id}/tasks`
pub(super) async fn tasks(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
) -> Answer<Json<ImageTaskList>> {
    let tasks = task::of_image(&core, &caller, &id).await?.into_iter();
    let view = |task: updraft_model::image::ImageTask| ImageTaskView {
        id: task.id,
        kind: task.kind.as_str(),
        status: task.status.as_str(),
        owner: task.project_id,
        image_id: task.image_id,
        request_id: task.request_id,
        user_id: task.user_id,
        input: task.input,
        result: task.result,
        message: task.message.unwrap_or_default(),
        created_at: task.created_at.micros_bare(),
        updated_at: task.updated_at.micros_bare(),
        expires_at: task.expires_at.map(|time| time.micros_bare()),
        deleted: false,
        deleted_at: None,
    };
    Ok(Json(ImageTaskList { tasks: tasks.map(view).collect() }))
}
