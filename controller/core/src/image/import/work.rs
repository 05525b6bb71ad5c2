//! Taking up an import: it is leased, its data fetched or read beside any transaction, scanned, and then made the
//! image's, step by step, each step's outcome written only while the lease still holds.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::sync::watch;
use updraft_model::Timestamp;
use updraft_model::image::{
    FileRole, Image, ImageData, ImageEvent, ImageFile, ImageStatus, ImageTask, ImageTaskStatus,
    ImageTaskStep, Measured, OriginImage,
};
use updraft_store::Tx;
use updraft_store::image::{file, record, task};

use super::super::quota::{Payer, Quota};
use super::super::receive::{Arrived, receive};
use super::super::{attributes, files, scan};
use super::remote::{self, RemoteImage};
use super::{FAILED_PROPERTY, IMPORTING_PROPERTY, STORE, TASK_PROPERTY};
use crate::fetch::Fetcher;
use crate::{Core, Error, ErrorKind, Result, Topic, notify};

/// How often a worker looks for due imports without having been nudged.
const POLL: Duration = Duration::from_secs(1);
/// How long an import rests after it failed for a reason of ours (a lock, a database that restarts).
const REST: Duration = Duration::from_secs(2);
/// How often an import is begun before it counts as failed.
const MAX_ATTEMPTS: i64 = 50;
/// How long an import that ended can be seen: Glance's `task_time_to_live`.
const KEPT: Duration = Duration::from_secs(48 * 3600);
const LEASE_LOST: &str = "TaskLeaseLost";

/// Takes up imports, one at a time.
#[derive(Clone, Debug)]
pub struct Worker {
    core: Core,
    owner: String,
}

/// Works until `shutdown` turns true.
pub(super) async fn work(worker: Worker, mut shutdown: watch::Receiver<bool>) {
    let mut nudges = worker.core.nudge.listen(Topic::Tasks);
    while !*shutdown.borrow() {
        match worker.run_one().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, source = ?error.source, "import worker"),
        }
        tokio::select! {
            _ = nudges.wait(POLL) => {}
            _ = shutdown.changed() => {}
        }
    }
}

/// The reason why an import cannot be had, apart from failures of ours.
fn is_final(error: &Error) -> bool {
    !matches!(error.kind, ErrorKind::Internal | ErrorKind::Unavailable)
}

impl Worker {
    pub fn new(core: Core) -> Self {
        Self { core, owner: updraft_model::id::new_uuid() }
    }

    /// Takes up one due import and runs it to its end; false when none was due.
    ///
    /// # Errors
    /// The database failed. The import is taken up again later.
    pub async fn run_one(&self) -> Result<bool> {
        let now = self.core.clock.now();
        let Some(id) = task::next_due(&mut self.core.read().await?, now).await? else { return Ok(false) };
        let (owner, until, leased) = (self.owner.clone(), now.plus(self.core.config.image_lease), id.clone());
        let leased = self.core.write(move |tx| {
            Box::pin(async move { Ok(task::lease(tx, &leased, &owner, now, until).await?) })
        });
        if !leased.await? {
            return Ok(true);
        }
        let arrived = Arrived::default();
        let ran = tokio::select! {
            ran = self.run(&id, &arrived) => ran,
            () = self.renewing(id.clone(), &arrived) => Err(lease_lost()),
        };
        match ran {
            Ok(()) => {}
            Err(error) if error.code == LEASE_LOST => {}
            Err(error) => {
                tracing::error!(task = %id, %error, source = ?error.source, "an import is tried again");
                self.rest(&id).await?;
            }
        }
        files::remove_doomed_later(&self.core).await;
        Ok(true)
    }

    /// Keeps the lease, and tells how much has arrived. Returns when the lease is lost.
    async fn renewing(&self, id: String, arrived: &Arrived) {
        loop {
            tokio::time::sleep(self.core.config.image_lease / 3).await;
            let (id, owner) = (id.clone(), self.owner.clone());
            let until = self.core.clock.now().plus(self.core.config.image_lease);
            let bytes = arrived.bytes();
            let message = (bytes > 0).then(|| format!("Copied {} MiB", bytes >> 20));
            let renewed = self.core.write(move |tx| {
                Box::pin(async move { Ok(task::renew(tx, &id, &owner, until, message.as_deref()).await?) })
            });
            if matches!(renewed.await, Ok(false)) {
                return;
            }
        }
    }

    async fn run(&self, id: &str, arrived: &Arrived) -> Result<()> {
        loop {
            let task = task::get(&mut self.core.read().await?, id).await?.ok_or_else(lease_lost)?;
            if task.status.is_final() {
                return Ok(());
            }
            let done = match task.step {
                _ if task.attempts > MAX_ATTEMPTS => {
                    Err(Error::conflict("Given up", "It was begun too often."))
                }
                ImageTaskStep::Fetch => self.fetch(&task, arrived).await,
                ImageTaskStep::Accept => self.accept(&task).await,
            };
            match done {
                Ok(()) => {}
                Err(error) if error.code != LEASE_LOST && is_final(&error) => {
                    tracing::info!(task = task.id, %error, source = ?error.source, "an import failed");
                    self.fail(&task, error.message).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The data into a file of its own; what an earlier attempt left goes.
    async fn fetch(&self, task: &ImageTask, arrived: &Arrived) -> Result<()> {
        let source = Source::of(&task.input)?;
        let image_id = image_id(task)?;
        let file = files::new_file(&self.core, image_id);
        let (new, held) = (file.clone(), self.held(task));
        let payer = Payer::of(&self.core, &task.project_id);
        self.core
            .write(move |tx| {
                Box::pin(async move {
                    held.check(tx).await?;
                    payer.check(tx, Quota::StageTotal, 0).await?;
                    payer.check(tx, Quota::CountUploading, 0).await?;
                    file::doom_unfinished(tx, &new.image_id).await?;
                    Ok(file::insert(tx, &new).await?)
                })
            })
            .await?;
        let limit = self.core.config.fetch.time_limit;
        let downloading = self.download(task, &source, &file, arrived);
        let (measured, origin) = tokio::time::timeout(limit, downloading).await.map_err(|_| {
            let message = format!("The download took more than {} s.", limit.as_secs());
            Error::bad_request("DownloadTimedOut", message)
        })??;
        let (held, mut next, now) = (self.held(task), task.clone(), self.core.clock.now());
        next.step = ImageTaskStep::Accept;
        next.context.origin = origin;
        (next.updated_at, next.lease_until) = (now, now.plus(self.core.config.image_lease));
        self.core
            .write(move |tx| {
                Box::pin(async move {
                    held.check(tx).await?;
                    let staged = file::arrive(tx, &file.name, &file.holder, FileRole::Staged, &measured);
                    if !staged.await? || !task::advance(tx, &next, &held.owner, held.step).await? {
                        return Err(lease_lost());
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn download(
        &self,
        task: &ImageTask,
        source: &Source,
        file: &ImageFile,
        arrived: &Arrived,
    ) -> Result<(Measured, Option<OriginImage>)> {
        match source {
            Source::Url(url) => {
                let fetcher = Fetcher::new(self.core.config.fetch.clone());
                let response = fetcher.get(url).await.map_err(|error| {
                    let message = format!("The image data could not be had: {error}.");
                    Error::bad_request("DownloadFailed", message).because(error)
                })?;
                Ok((self.take(response, file, arrived).await?, None))
            }
            Source::Region(remote) => {
                let take = |response| self.take(response, file, arrived);
                let (measured, origin) = remote.fetch(&self.core, task, take).await?;
                Ok((measured, Some(origin)))
            }
        }
    }

    async fn take(&self, response: Response, file: &ImageFile, arrived: &Arrived) -> Result<Measured> {
        let limit_bytes = self.core.config.max_image_bytes;
        if response.content_length().is_some_and(|length| length > limit_bytes) {
            let message = format!("An image has at most {limit_bytes} bytes.");
            return Err(Error::new(ErrorKind::TooLarge, "ImageSizeLimitExceeded", message));
        }
        receive(&self.core, file, response.bytes_stream().boxed(), arrived).await
    }

    /// The staged file is looked at and becomes the image's, and the image active.
    async fn accept(&self, task: &ImageTask) -> Result<()> {
        let image_id = image_id(task)?;
        let mut conn = self.core.read().await?;
        let mut image = record::get(&mut conn, image_id).await?.ok_or_else(lease_lost)?;
        let staged = file::of_image(&mut conn, image_id, FileRole::Staged).await?;
        drop(conn);
        let staged = staged.ok_or_else(|| Error::conflict("NotStaged", "There is no staged data."))?;
        let path = files::path(&self.core, &staged.name)?;
        let origin = task.context.origin.clone();
        take_over(&mut image, origin.as_ref())?;
        let virtual_size_bytes = scan::judge(&self.core, &image, &path).await?;
        let measured = staged.measured.ok_or_else(|| Error::internal("a staged file was not measured"))?;
        let Measured { size_bytes, md5, sha512 } = measured;
        let data = ImageData { size_bytes, virtual_size_bytes, md5, sha512 };
        let (held, now) = (self.held(task), self.core.clock.now());
        let payer = Payer::of(&self.core, &task.project_id);
        let mut next = ended(task, ImageTaskStatus::Success, now);
        next.result = Some(json!({"image_id": image_id}));
        self.core
            .write(move |tx| {
                Box::pin(async move {
                    let mut image = held.check(tx).await?;
                    payer.check_bytes(tx, Quota::SizeTotal, Some(size_bytes)).await?;
                    let taken = file::change_role(tx, &staged.name, FileRole::Staged, FileRole::Data);
                    if !taken.await? || !task::advance(tx, &next, &held.owner, held.step).await? {
                        return Err(lease_lost());
                    }
                    image.data = Some(data);
                    take_over(&mut image, origin.as_ref())?;
                    settle(&mut image, ImageEvent::ImportAccepted, "", now)?;
                    record::update(tx, &image).await?;
                    tx.notice(|| notify::image::event("upload", &image));
                    tx.notice(|| notify::image::event("activate", &image));
                    Ok(())
                })
            })
            .await
    }

    /// The image is as before the import, and says that it failed; the task says why.
    async fn fail(&self, task: &ImageTask, message: String) -> Result<()> {
        let (held, now) = (self.held(task), self.core.clock.now());
        let mut next = ended(task, ImageTaskStatus::Failure, now);
        next.message = Some(message);
        self.core
            .write(move |tx| {
                Box::pin(async move {
                    let mut image = held.check(tx).await?;
                    file::doom_unfinished(tx, &image.id).await?;
                    settle(&mut image, ImageEvent::ImportFailed, STORE, now)?;
                    record::update(tx, &image).await?;
                    if !task::advance(tx, &next, &held.owner, held.step).await? {
                        return Err(lease_lost());
                    }
                    let reason = next.message.unwrap_or_default();
                    tx.notice(|| notify::image::upload_failed(&image, &reason));
                    Ok(())
                })
            })
            .await
    }

    /// Gives the task back for a while.
    async fn rest(&self, id: &str) -> Result<()> {
        let (id, owner, until) = (id.to_owned(), self.owner.clone(), self.core.clock.now().plus(REST));
        self.core
            .write(move |tx| {
                Box::pin(async move {
                    let Some(mut task) = task::get(tx, &id).await? else { return Ok(()) };
                    let step = task.step;
                    (task.run_at, task.lease_owner, task.lease_until) = (until, None, Timestamp(0));
                    task::advance(tx, &task, &owner, step).await?;
                    Ok(())
                })
            })
            .await
    }

    fn held(&self, task: &ImageTask) -> Held {
        Held { id: task.id.clone(), owner: self.owner.clone(), step: task.step }
    }
}

/// What must still be so when a step's outcome is written.
#[derive(Clone, Debug)]
struct Held {
    id: String,
    owner: String,
    step: ImageTaskStep,
}

impl Held {
    /// The image of the task, while the lease holds and the import is the image's present one.
    async fn check(&self, tx: &mut Tx) -> Result<Image> {
        let held = task::get(tx, &self.id).await?.filter(|task| {
            task.lease_owner.as_deref() == Some(self.owner.as_str())
                && task.step == self.step
                && task.status == ImageTaskStatus::Processing
        });
        let image_id = held.and_then(|task| task.image_id).ok_or_else(lease_lost)?;
        let image = record::get(tx, &image_id).await?.ok_or_else(lease_lost)?;
        let is_present = image.properties.get(TASK_PROPERTY) == Some(&self.id);
        (is_present && image.status == ImageStatus::Importing).then_some(image).ok_or_else(lease_lost)
    }
}

/// What another region says of the image becomes the image's.
fn take_over(image: &mut Image, origin: Option<&OriginImage>) -> Result<()> {
    let Some(origin) = origin else { return Ok(()) };
    image.disk_format = Some(origin.disk_format);
    image.container_format = Some(origin.container_format);
    for (name, value) in &origin.properties {
        attributes::set_property(image, name, &json!(value))?;
    }
    Ok(())
}

fn settle(image: &mut Image, event: ImageEvent, failed: &str, now: Timestamp) -> Result<()> {
    image.status = image.status.after(event).ok_or_else(lease_lost)?;
    image.properties.remove(TASK_PROPERTY);
    image.properties.insert(IMPORTING_PROPERTY.into(), String::new());
    image.properties.insert(FAILED_PROPERTY.into(), failed.into());
    image.updated_at = now;
    Ok(())
}

fn ended(task: &ImageTask, status: ImageTaskStatus, now: Timestamp) -> ImageTask {
    ImageTask {
        status,
        lease_owner: None,
        lease_until: Timestamp(0),
        updated_at: now,
        expires_at: Some(now.plus(KEPT)),
        ..task.clone()
    }
}

fn image_id(task: &ImageTask) -> Result<&str> {
    task.image_id.as_deref().ok_or_else(|| Error::internal("an import without an image"))
}

/// Where the data comes from.
#[derive(Debug)]
enum Source {
    Url(String),
    Region(RemoteImage),
}

impl Source {
    /// From either form of input.
    fn of(input: &Value) -> Result<Self> {
        let method = input.pointer("/import_req/method").unwrap_or(&Value::Null);
        if method.get("name").and_then(Value::as_str) == Some(remote::METHOD) {
            return Ok(Self::Region(RemoteImage::from_method(method)?));
        }
        let url = method.get("uri").or_else(|| input.get("import_from")).and_then(Value::as_str);
        let url = url.ok_or_else(|| Error::bad_request("Invalid", "The task has no URL."))?;
        Ok(Self::Url(url.to_owned()))
    }
}

fn lease_lost() -> Error {
    Error::conflict(LEASE_LOST, "another worker has the import, or its image is gone")
}
