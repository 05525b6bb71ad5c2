//! Tasks: what became of imports, and the import of old, by default the administrators'.

use std::cmp::Reverse;

use serde_json::Value;
use updraft_model::id::new_uuid;
use updraft_model::image::{ImageEvent, ImageTask, ImageTaskKind, ImageTaskStatus, ImageTaskStep};
use updraft_store::image::{record, task};

use super::access::{is_admin, visible};
use super::create::{blank, may_add};
use super::{attributes, import};
use crate::fetch::Fetcher;
use crate::policy::Target;
use crate::{Caller, Core, Error, ErrorKind, Result, Topic, notify};

/// Policy first: without it nobody learns what a task would look like.
pub fn may_use(caller: &Caller) -> Result<()> {
    caller.enforce("tasks_api_access", &Target::default())
}

/// Whether a task is the caller's own, or the caller an administrator of images.
fn sees(caller: &Caller, task: &ImageTask) -> bool {
    is_admin(caller) || caller.project_id.as_deref() == Some(&task.project_id)
}

/// What a list of tasks is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskSortKey {
    #[default]
    CreatedAt,
    UpdatedAt,
    ExpiresAt,
    Id,
    Type,
    Status,
}

/// What a list of tasks asks for.
#[derive(Clone, Debug, Default)]
pub struct TaskQuery {
    pub status: Option<ImageTaskStatus>,
    pub kind: Option<ImageTaskKind>,
    /// Oldest first; by default the newest is.
    pub ascending: bool,
    pub sort_key: TaskSortKey,
    /// The id of the last task of the page before.
    pub marker: Option<String>,
    pub limit: usize,
}

/// `GET /v2/images/{id}/tasks`: the tasks of an image that the caller may see.
pub async fn of_image(core: &Core, caller: &Caller, image_id: &str) -> Result<Vec<ImageTask>> {
    let mut conn = core.read().await?;
    let image = visible(&mut conn, caller, image_id).await?;
    let mut tasks = task::list(&mut conn, Some(&image.id)).await?;
    tasks.retain(|task| sees(caller, task));
    Ok(tasks)
}

/// `GET /v2/tasks`: the page, and whether more follow. 400 for a marker that is not there.
pub async fn list(core: &Core, caller: &Caller, query: &TaskQuery) -> Result<(Vec<ImageTask>, bool)> {
    may_use(caller)?;
    let mut tasks = task::list(&mut core.read().await?, None).await?;
    sort(&mut tasks, query.sort_key);
    if query.ascending {
        tasks.reverse();
    }
    tasks.retain(|task| {
        sees(caller, task)
            && query.status.is_none_or(|status| task.status == status)
            && query.kind.is_none_or(|kind| task.kind == kind)
    });
    let start = match &query.marker {
        None => 0,
        Some(marker) => match tasks.iter().position(|task| task.id == *marker) {
            Some(position) => position + 1,
            None => return Err(Error::bad_request("Invalid", "Invalid marker: no such task.")),
        },
    };
    let mut page = tasks.split_off(start);
    let more = page.len() > query.limit;
    page.truncate(query.limit);
    Ok((page, more))
}

/// The greatest first; they come sorted by the time of creation.
fn sort(tasks: &mut [ImageTask], key: TaskSortKey) {
    match key {
        TaskSortKey::CreatedAt => {}
        TaskSortKey::UpdatedAt => tasks.sort_by_key(|task| Reverse(task.updated_at)),
        TaskSortKey::ExpiresAt => tasks.sort_by_key(|task| Reverse(task.expires_at)),
        TaskSortKey::Id => tasks.sort_by(|one, other| other.id.cmp(&one.id)),
        TaskSortKey::Type => tasks.sort_by_key(|task| Reverse(task.kind.as_str())),
        TaskSortKey::Status => tasks.sort_by_key(|task| Reverse(task.status.as_str())),
    }
}

/// `GET /v2/tasks/{id}`
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<ImageTask> {
    may_use(caller)?;
    let found = task::get(&mut core.read().await?, id).await?.filter(|task| sees(caller, task));
    found.ok_or_else(|| Error::not_found("NotFound", format!("No task found with ID {id}")))
}

/// `DELETE /v2/tasks/{id}`: tasks end by themselves and are forgotten in time.
pub fn delete(caller: &Caller) -> Error {
    match may_use(caller) {
        Err(refusal) => refusal,
        Ok(()) => {
            let message = "This operation is currently not permitted on Glance Tasks. They are auto deleted \
                           after reaching the time based on their expires_at property.";
            Error::new(ErrorKind::MethodNotAllowed, "HTTPMethodNotAllowed", message)
        }
    }
}

/// `POST /v2/tasks`: makes an image of what a URL names.
pub async fn create(core: &Core, caller: &Caller, kind: &str, input: Value) -> Result<ImageTask> {
    may_use(caller)?;
    if kind != ImageTaskKind::Import.as_str() {
        return Err(Error::bad_request("Invalid", format!("There is no task of the type '{kind}'.")));
    }
    let missing = |name: &str| {
        let message = format!("Input does not contain '{name}' field");
        Error::bad_request("Invalid", message)
    };
    let uri = input.get("import_from").and_then(Value::as_str).ok_or_else(|| missing("import_from"))?;
    if input.get("import_from_format").and_then(Value::as_str).is_none() {
        return Err(missing("import_from_format"));
    }
    let properties = input.get("image_properties").and_then(Value::as_object);
    let properties = properties.ok_or_else(|| missing("image_properties"))?;
    import::check_uri(Fetcher::new(core.config.fetch.clone()), Some(uri))?;
    let mut image = blank(core, caller, new_uuid())?;
    for (name, value) in properties {
        attributes::set(&mut image, name, value)?;
    }
    may_add(caller, &image)?;
    if image.disk_format.is_none() || image.container_format.is_none() {
        return Err(missing("image_properties/disk_format and container_format"));
    }
    let now = core.clock.now();
    let step = ImageTaskStep::Fetch;
    let new = import::new_task(caller, ImageTaskKind::Import, &image.id, step, input, now);
    let begun = new.clone();
    core.write(move |tx| {
        Box::pin(async move {
            record::insert(tx, &image).await?;
            tx.notice(|| notify::image::event("create", &image));
            import::begin(tx, &mut image, ImageEvent::DownloadStarted, &begun, now).await
        })
    })
    .await?;
    core.nudge.send(Topic::Tasks);
    Ok(new)
}
