//! Tasks: what became of imports, and the administrators' import of old.

use std::collections::BTreeMap;

use serde_json::Value;
use updraft_model::id::new_uuid;
use updraft_model::image::{
    Image, ImageEvent, ImageStatus, ImageTask, ImageTaskKind, ImageTaskStatus, ImageTaskStep, Visibility,
};
use updraft_store::image::{record, task};

use super::access::visible;
use super::{attributes, import};
use crate::fetch::Fetcher;
use crate::policy::{require_admin, require_member};
use crate::{Caller, Core, Error, ErrorKind, Result, Topic};

/// What a list of tasks asks for.
#[derive(Clone, Debug, Default)]
pub struct TaskQuery {
    pub status: Option<ImageTaskStatus>,
    pub kind: Option<ImageTaskKind>,
    /// Oldest first; by default the newest is.
    pub ascending: bool,
    /// By the time of the last change instead of the time of creation.
    pub by_update: bool,
    /// The id of the last task of the page before.
    pub marker: Option<String>,
    pub limit: usize,
}

/// `GET /v2/images/{id}/tasks`: the tasks of an image that the caller may see.
pub async fn of_image(core: &Core, caller: &Caller, image_id: &str) -> Result<Vec<ImageTask>> {
    let mut conn = core.read().await?;
    let image = visible(&mut conn, caller, image_id).await?;
    let mut tasks = task::list(&mut conn, Some(&image.id)).await?;
    tasks.retain(|task| caller.sees(&task.project_id));
    Ok(tasks)
}

/// `GET /v2/tasks`: the page, and whether more follow. For administrators; 400 for a marker that is not there.
pub async fn list(core: &Core, caller: &Caller, query: &TaskQuery) -> Result<(Vec<ImageTask>, bool)> {
    require_admin(caller)?;
    let mut tasks = task::list(&mut core.read().await?, None).await?;
    if query.by_update {
        tasks.sort_by_key(|task| std::cmp::Reverse(task.updated_at));
    }
    if query.ascending {
        tasks.reverse();
    }
    tasks.retain(|task| {
        query.status.is_none_or(|status| task.status == status)
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

/// `GET /v2/tasks/{id}`. For administrators.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<ImageTask> {
    require_admin(caller)?;
    let found = task::get(&mut core.read().await?, id).await?;
    found.ok_or_else(|| Error::not_found("NotFound", format!("No task found with ID {id}")))
}

/// `DELETE /v2/tasks/{id}`: tasks end by themselves and are forgotten in time.
pub fn delete(caller: &Caller) -> Error {
    match require_admin(caller) {
        Err(refusal) => refusal,
        Ok(()) => {
            let message = "This operation is currently not permitted on Glance Tasks. They are auto deleted \
                           after reaching the time based on their expires_at property.";
            Error::new(ErrorKind::MethodNotAllowed, "HTTPMethodNotAllowed", message)
        }
    }
}

/// `POST /v2/tasks`: makes an image of what a URL names. For administrators.
pub async fn create(core: &Core, caller: &Caller, kind: &str, input: Value) -> Result<ImageTask> {
    require_admin(caller)?;
    require_member(caller)?;
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
    let mut image = new_image(core, caller);
    for (name, value) in properties {
        attributes::set(&mut image, caller, name, value)?;
    }
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
            import::begin(tx, &mut image, ImageEvent::DownloadStarted, &begun, now).await
        })
    })
    .await?;
    core.nudge.send(Topic::Tasks);
    Ok(new)
}

fn new_image(core: &Core, caller: &Caller) -> Image {
    let now = core.clock.now();
    Image {
        id: new_uuid(),
        name: None,
        owner: caller.project_id.clone().unwrap_or_default(),
        status: ImageStatus::Queued,
        visibility: Visibility::Shared,
        protected: false,
        hidden: false,
        disk_format: None,
        container_format: None,
        min_disk_gib: 0,
        min_ram_mib: 0,
        data: None,
        properties: BTreeMap::new(),
        tags: [].into(),
        created_at: now,
        updated_at: now,
    }
}
