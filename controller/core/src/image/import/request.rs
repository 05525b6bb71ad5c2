//! Asking for an import: everything that can be refused at once is; what is left becomes a task for [`super::work`].

use serde_json::{Value, json};
use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::image::{
    Image, ImageEvent, ImageStatus, ImageTask, ImageTaskKind, ImageTaskStatus, ImageTaskStep,
};
use updraft_store::Tx;
use updraft_store::image::{file, record, task};

use super::super::access::find;
use super::super::quota::{Payer, Quota};
use super::remote::{self, RemoteImage};
use super::{FAILED_PROPERTY, IMPORTING_PROPERTY, STORE, TASK_PROPERTY};
use crate::fetch::{FetchRules, Fetcher};
use crate::{Caller, Core, Error, Result, Topic};

/// The import methods that are served, as `GET /v2/info/import` lists them.
pub const METHODS: [&str; 4] = ["glance-direct", "web-download", "copy-image", remote::METHOD];

/// `POST /v2/images/{id}/import`, checked for form.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportRequest {
    pub method: String,
    /// Of `web-download`.
    pub uri: Option<String>,
    /// Stores that were named; all must be known.
    pub stores: Vec<String>,
    pub all_stores: bool,
    /// The body as it came, which the task shows.
    pub body: Value,
}

/// Starts an import. 409 in the wrong status or while another is under way, 400 for a URL that is not allowed.
pub async fn import(core: &Core, caller: &Caller, image_id: &str, request: ImportRequest) -> Result<()> {
    if request.method == "copy-image" {
        return copy(core, caller, image_id, &request).await;
    }
    let (rules, caller, image_id) = (core.config.fetch.clone(), caller.clone(), image_id.to_owned());
    let now = core.clock.now();
    let payer = Payer::of(core, caller.project_id.as_deref().unwrap_or_default());
    core.write(move |tx| {
        Box::pin(async move {
            let found = find(tx, &caller, &image_id).await?;
            found.enforce(&caller, "get_image")?;
            let event = expected(&found.image, &request.method)?;
            check_formats(&found.image)?;
            found.enforce(&caller, "modify_image")?;
            payer.check(tx, Quota::SizeTotal, 0).await?;
            let mut image = found.image;
            check_stores(&request)?;
            let step = match event {
                ImageEvent::DownloadStarted => {
                    check_source(rules, &request)?;
                    ImageTaskStep::Fetch
                }
                _ => {
                    let staged = file::of_image(tx, &image_id, updraft_model::image::FileRole::Staged);
                    // Data may still be on its way.
                    staged.await?.ok_or_else(not_staged)?;
                    ImageTaskStep::Accept
                }
            };
            let input = json!({"image_id": image_id, "import_req": request.body, "backend": [STORE]});
            let new = new_task(&caller, ImageTaskKind::ApiImageImport, &image_id, step, input, now);
            begin(tx, &mut image, event, &new, now).await?;
            if event == ImageEvent::DownloadStarted {
                payer.check(tx, Quota::StageTotal, 0).await?;
                payer.check(tx, Quota::CountUploading, 0).await?;
            }
            Ok(())
        })
    })
    .await?;
    core.nudge.send(Topic::Tasks);
    Ok(())
}

/// Puts the image into `importing` and adds the task, both in the caller's transaction.
pub(in super::super) async fn begin(
    tx: &mut Tx,
    image: &mut Image,
    event: ImageEvent,
    new: &ImageTask,
    now: Timestamp,
) -> Result<()> {
    let from = image.status.as_str();
    image.status = image.status.after(event).ok_or_else(|| {
        let message = format!("Image status transition from {from} to importing is not allowed");
        Error::conflict("InvalidImageStatusTransition", message)
    })?;
    image.properties.insert(TASK_PROPERTY.into(), new.id.clone());
    image.properties.insert(IMPORTING_PROPERTY.into(), STORE.into());
    image.properties.insert(FAILED_PROPERTY.into(), String::new());
    image.updated_at = now;
    record::update(tx, image).await?;
    Ok(task::insert(tx, new).await?)
}

pub(in super::super) fn new_task(
    caller: &Caller,
    kind: ImageTaskKind,
    image_id: &str,
    step: ImageTaskStep,
    input: Value,
    now: Timestamp,
) -> ImageTask {
    ImageTask {
        id: new_uuid(),
        kind,
        image_id: Some(image_id.to_owned()),
        project_id: caller.project_id.clone().unwrap_or_default(),
        user_id: caller.user_id.clone(),
        request_id: caller.request_id.clone(),
        status: ImageTaskStatus::Pending,
        step,
        input,
        result: None,
        context: remote::context(caller),
        message: None,
        attempts: 0,
        run_at: now,
        lease_owner: None,
        lease_until: Timestamp(0),
        created_at: now,
        updated_at: now,
        expires_at: None,
    }
}

/// There is one store, and an active image is in it: nothing is left to copy to.
async fn copy(core: &Core, caller: &Caller, image_id: &str, request: &ImportRequest) -> Result<()> {
    let found = find(&mut core.read().await?, caller, image_id).await?;
    found.enforce(caller, "get_image")?;
    if found.image.status != ImageStatus::Active {
        return Err(conflict("Only images with status active can be targeted for copying"));
    }
    check_formats(&found.image)?;
    found.enforce(caller, "copy_image")?;
    check_stores(request)?;
    if request.all_stores {
        return Ok(());
    }
    Err(Error::bad_request("Invalid", format!("Image is already present at store '{STORE}'")))
}

/// What the method does to the image, if its status allows it; the order and the words are Glance's.
fn expected(image: &Image, method: &str) -> Result<ImageEvent> {
    if image.status == ImageStatus::Active {
        return Err(conflict("Image with status active cannot be target for import"));
    }
    if method == "glance-direct" {
        return match image.status {
            ImageStatus::Uploading => Ok(ImageEvent::StagedImportStarted),
            _ => Err(not_staged()),
        };
    }
    match image.status {
        ImageStatus::Queued => Ok(ImageEvent::DownloadStarted),
        _ => Err(conflict(&format!("Image needs to be in 'queued' state to use '{method}' method"))),
    }
}

fn not_staged() -> Error {
    conflict("Image needs to be staged before 'glance-direct' method can be used")
}

fn check_formats(image: &Image) -> Result<()> {
    if image.container_format.is_none() {
        return Err(conflict("'container_format' needs to be set before import"));
    }
    if image.disk_format.is_none() {
        return Err(conflict("'disk_format' needs to be set before import"));
    }
    Ok(())
}

fn check_stores(request: &ImportRequest) -> Result<()> {
    if request.all_stores && !request.stores.is_empty() {
        let message = "All_stores parameter can't be used with x-image-meta-store header or stores parameter";
        return Err(Error::bad_request("Invalid", message));
    }
    match request.stores.iter().find(|store| *store != STORE) {
        Some(unknown) => Err(conflict(&format!("Unknown scheme '{unknown}' found in URI"))),
        None => Ok(()),
    }
}

fn check_source(rules: FetchRules, request: &ImportRequest) -> Result<()> {
    match request.method == remote::METHOD {
        true => RemoteImage::from_method(&request.body["method"]).map(drop),
        false => check_uri(Fetcher::new(rules), request.uri.as_deref()),
    }
}

pub(in super::super) fn check_uri(fetcher: Fetcher, uri: Option<&str>) -> Result<()> {
    let uri = uri.unwrap_or_default();
    fetcher.check(uri).map_err(|refusal| {
        let message = format!("URI for web-download does not pass filtering: {uri} ({refusal})");
        Error::bad_request("Invalid", message)
    })
}

fn conflict(message: &str) -> Error {
    Error::conflict("Conflict", message)
}
