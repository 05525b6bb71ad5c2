//! An upload: status `saving` (nobody else uploads) → file → inspection → status `active` with size and hashes. The
//! file gets its role in the transaction that makes the image active, so it is the image's whole and at once, or
//! never. Whatever fails before leaves the image `queued` and nothing on the disk; a kill leaves that to the sweep.

use std::error::Error as StdError;

use bytes::Bytes;
use futures_util::Stream;
use updraft_model::image::{FileRole, Image, ImageData, ImageEvent, ImageFile, ImageStatus, Measured};
use updraft_store::image::{file, record};

use super::access::allowed;
use super::quota::{Payer, Quota};
use super::receive::{Arrived, lost_file, receive};
use super::{files, scan};
use crate::audit::{self, Operation};
use crate::{Caller, Core, Error, Result, notify};

/// Takes an image's data. 409 unless the image is `queued`; 415 when the content is not what the image's `disk_format`
/// declares, or refers to other files; 413 when it is too large, beyond the project's quota or the disk is full; 400
/// when it is not as long as declared.
/// `declared_bytes` is what the client says beforehand.
///
/// Runs in a task of its own: a client that hangs up leaves a failed upload, not half of one.
pub async fn upload<S, E>(
    core: &Core,
    caller: &Caller,
    id: &str,
    declared_bytes: Option<u64>,
    data: S,
) -> Result<()>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    let (core, caller, id, operation) = (core.clone(), caller.clone(), id.to_owned(), audit::current());
    let task = tokio::spawn(async move {
        let claim = Claim {
            rule: "upload_image",
            event: ImageEvent::UploadStarted,
            quota: Quota::SizeTotal,
            declared_bytes,
            operation,
            payer: Payer::of(&core, caller.project_id.as_deref().unwrap_or_default()),
        };
        let (image, file) = start(&core, &caller, &id, claim.clone()).await?;
        let result = take(&core, &claim, &image, &file, data).await;
        if result.is_err() {
            give_up(&core, &file, ImageEvent::UploadFailed).await;
        }
        result
    });
    task.await.map_err(Error::internal)?
}

/// Takes data for a later import (`glance-direct`): the image is `uploading` from then on.
pub async fn stage<S, E>(
    core: &Core,
    caller: &Caller,
    id: &str,
    declared_bytes: Option<u64>,
    data: S,
) -> Result<()>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    let (core, caller, id, operation) = (core.clone(), caller.clone(), id.to_owned(), audit::current());
    let task = tokio::spawn(async move {
        let claim = Claim {
            rule: "modify_image",
            event: ImageEvent::StageStarted,
            quota: Quota::StageTotal,
            declared_bytes,
            operation,
            payer: Payer::of(&core, caller.project_id.as_deref().unwrap_or_default()),
        };
        let (_, file) = start(&core, &caller, &id, claim.clone()).await?;
        let taking = async {
            let measured = receive(&core, &file, data, &Arrived::default()).await?;
            check_size(claim.declared_bytes, &measured)?;
            audit::on_behalf_of(claim.operation.clone(), staged(&core, &claim, &file, measured)).await
        };
        let result = taking.await;
        if result.is_err() {
            give_up(&core, &file, ImageEvent::StageFailed).await;
        }
        result
    });
    task.await.map_err(Error::internal)?
}

/// What an upload needs to begin, and at its end once more: others may have used up the quota meanwhile.
#[derive(Clone, Debug)]
struct Claim {
    rule: &'static str,
    event: ImageEvent,
    quota: Quota,
    /// What the client says that it sends.
    declared_bytes: Option<u64>,
    /// The request, whose event belongs into the transaction that makes the data the image's.
    operation: Option<Operation>,
    payer: Payer,
}

/// Claims the image for this upload.
async fn start(core: &Core, caller: &Caller, id: &str, claim: Claim) -> Result<(Image, ImageFile)> {
    let (core_, caller, id, now) = (core.clone(), caller.clone(), id.to_owned(), core.clock.now());
    let event = claim.event;
    core.write(move |tx| {
        Box::pin(async move {
            let mut image = allowed(tx, &caller, &id, claim.rule).await?;
            let status = image.status.after(event).ok_or_else(|| wrong_status(&image, event))?;
            let has_formats = image.disk_format.is_some() && image.container_format.is_some();
            if event == ImageEvent::UploadStarted && !has_formats {
                let message = "Properties disk_format, container_format must be set prior to saving data.";
                return Err(Error::bad_request("Invalid", message));
            }
            image.status = status;
            image.updated_at = now;
            let file = files::new_file(&core_, &image.id);
            claim.payer.check_bytes(tx, claim.quota, claim.declared_bytes).await?;
            record::update(tx, &image).await?;
            claim.payer.check(tx, Quota::CountUploading, 0).await?;
            file::insert(tx, &file).await?;
            if event == ImageEvent::UploadStarted {
                tx.notice(|| notify::image::event("prepare", &image));
            }
            Ok((image, file))
        })
    })
    .await
}

fn wrong_status(image: &Image, event: ImageEvent) -> Error {
    let wanted = match event {
        ImageEvent::StageStarted => ImageStatus::Uploading,
        _ => ImageStatus::Saving,
    };
    let (from, to) = (image.status.as_str(), wanted.as_str());
    let message = format!("Image status transition from {from} to {to} is not allowed");
    Error::conflict("InvalidImageStatusTransition", message)
}

async fn take<S, E>(core: &Core, claim: &Claim, image: &Image, file: &ImageFile, data: S) -> Result<()>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    let measured = receive(core, file, data, &Arrived::default()).await?;
    check_size(claim.declared_bytes, &measured)?;
    // The inspection takes a moment too.
    let _hold = files::Hold::new(core, file);
    let virtual_size_bytes = scan::judge(core, image, &files::path(core, &file.name)?).await?;
    let activated = activate(core, claim, file, measured, virtual_size_bytes);
    audit::on_behalf_of(claim.operation.clone(), activated).await
}

/// 400 when the client sent more or less than it said.
fn check_size(declared_bytes: Option<u64>, measured: &Measured) -> Result<()> {
    match declared_bytes {
        Some(declared) if declared != measured.size_bytes => {
            let message =
                format!("Size mismatch: expected {declared} bytes, got {} bytes", measured.size_bytes);
            Err(Error::bad_request("Invalid", message))
        }
        _ => Ok(()),
    }
}

async fn activate(
    core: &Core,
    claim: &Claim,
    file: &ImageFile,
    measured: Measured,
    virtual_size_bytes: Option<u64>,
) -> Result<()> {
    let (claim, file, now) = (claim.clone(), file.clone(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            claim.payer.check_bytes(tx, claim.quota, claim.declared_bytes).await?;
            let lost = || lost_file(&file.image_id);
            let mut image = record::get(tx, &file.image_id).await?.ok_or_else(lost)?;
            if !file::arrive(tx, &file.name, &file.holder, FileRole::Data, &measured).await? {
                return Err(lost());
            }
            image.status = image.status.after(ImageEvent::UploadAccepted).ok_or_else(lost)?;
            let Measured { size_bytes, md5, sha512 } = measured;
            image.data = Some(ImageData { size_bytes, virtual_size_bytes, md5, sha512 });
            image.updated_at = now;
            record::update(tx, &image).await?;
            tx.notice(|| notify::image::event("upload", &image));
            tx.notice(|| notify::image::event("activate", &image));
            Ok(())
        })
    })
    .await
}

async fn staged(core: &Core, claim: &Claim, file: &ImageFile, measured: Measured) -> Result<()> {
    let (claim, file, now) = (claim.clone(), file.clone(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            claim.payer.check_bytes(tx, claim.quota, claim.declared_bytes).await?;
            let lost = || lost_file(&file.image_id);
            let mut image = record::get(tx, &file.image_id).await?.ok_or_else(lost)?;
            if !file::arrive(tx, &file.name, &file.holder, FileRole::Staged, &measured).await? {
                return Err(lost());
            }
            image.staged_bytes = Some(measured.size_bytes);
            image.updated_at = now;
            Ok(record::update(tx, &image).await?)
        })
    })
    .await
}

/// Nothing stays of a failed upload.
async fn give_up(core: &Core, file: &ImageFile, event: ImageEvent) {
    let (lost, now) = (file.clone(), core.clock.now());
    let released = core.write(move |tx| {
        Box::pin(async move {
            if !file::change_role(tx, &lost.name, FileRole::Arriving, FileRole::Doomed).await? {
                // Somebody else has cleared up already, or the image is gone.
                return Ok(());
            }
            let Some(mut image) = record::get(tx, &lost.image_id).await? else { return Ok(()) };
            let Some(status) = image.status.after(event) else { return Ok(()) };
            image.status = status;
            image.updated_at = now;
            record::update(tx, &image).await?;
            if event == ImageEvent::UploadFailed {
                tx.notice(|| notify::image::upload_failed(&image, "the upload came to nothing"));
            }
            Ok(())
        })
    });
    match released.await {
        Ok(()) => files::remove_doomed_later(core).await,
        Err(error) => {
            tracing::error!(image = file.image_id, %error, "a failed upload waits for the sweep");
        }
    }
}
