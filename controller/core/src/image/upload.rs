//! An upload: status `saving` (nobody else uploads) → file → inspection → status `active` with size and hashes. The
//! file gets its role in the transaction that makes the image active, so it is the image's whole and at once, or
//! never. Whatever fails before leaves the image `queued` and nothing on the disk; a kill leaves that to the sweep.

use std::error::Error as StdError;

use bytes::Bytes;
use futures_util::Stream;
use updraft_model::image::{FileRole, Image, ImageData, ImageEvent, ImageFile, ImageStatus, Measured};
use updraft_store::image::{file, record};

use super::access::{changeable, not_found};
use super::receive::{lost_file, receive};
use super::{files, scan};
use crate::audit::{self, Operation};
use crate::{Caller, Core, Error, Result};

/// Takes an image's data. 409 unless the image is `queued`; 415 when the content is not what the image's `disk_format`
/// declares, or refers to other files; 413 when it is too large or the disk is full.
///
/// Runs in a task of its own: a client that hangs up leaves a failed upload, not half of one.
pub async fn upload<S, E>(core: &Core, caller: &Caller, id: &str, data: S) -> Result<()>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    let (core, caller, id, operation) = (core.clone(), caller.clone(), id.to_owned(), audit::current());
    let task = tokio::spawn(async move {
        let (image, file) = start(&core, &caller, &id, ImageEvent::UploadStarted).await?;
        let result = take(&core, &image, &file, data, operation).await;
        if result.is_err() {
            give_up(&core, &file, ImageEvent::UploadFailed).await;
        }
        result
    });
    task.await.map_err(Error::internal)?
}

/// Takes data for a later import (`glance-direct`): the image is `uploading` from then on.
pub async fn stage<S, E>(core: &Core, caller: &Caller, id: &str, data: S) -> Result<()>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    let (core, caller, id, operation) = (core.clone(), caller.clone(), id.to_owned(), audit::current());
    let task = tokio::spawn(async move {
        let (_, file) = start(&core, &caller, &id, ImageEvent::StageStarted).await?;
        let result = match receive(&core, &file, data).await {
            Ok(measured) => audit::on_behalf_of(operation, staged(&core, &file, measured)).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            give_up(&core, &file, ImageEvent::StageFailed).await;
        }
        result
    });
    task.await.map_err(Error::internal)?
}

/// Claims the image for this upload.
async fn start(core: &Core, caller: &Caller, id: &str, event: ImageEvent) -> Result<(Image, ImageFile)> {
    let (core_, caller, id, now) = (core.clone(), caller.clone(), id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let mut image = changeable(tx, &caller, &id).await?;
            let status = image.status.after(event).ok_or_else(|| wrong_status(&image, event))?;
            let has_formats = image.disk_format.is_some() && image.container_format.is_some();
            if event == ImageEvent::UploadStarted && !has_formats {
                let message = "Properties disk_format, container_format must be set prior to saving data.";
                return Err(Error::bad_request("Invalid", message));
            }
            image.status = status;
            image.updated_at = now;
            let file = files::new_file(&core_, &image.id);
            record::update(tx, &image).await?;
            file::insert(tx, &file).await?;
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

/// The data becomes the image's in one transaction, which is the one that has the upload's audit event.
async fn take<S, E>(
    core: &Core,
    image: &Image,
    file: &ImageFile,
    data: S,
    operation: Option<Operation>,
) -> Result<()>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    let measured = receive(core, file, data).await?;
    // The inspection takes a moment too.
    let _hold = files::Hold::new(core, file);
    let virtual_size_bytes = scan::judge(core, image, &files::path(core, &file.name)?).await?;
    audit::on_behalf_of(operation, activate(core, file, measured, virtual_size_bytes)).await
}

async fn activate(core: &Core, file: &ImageFile, measured: Measured, virtual_size_bytes: u64) -> Result<()> {
    let (file, now) = (file.clone(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let mut image =
                record::get(tx, &file.image_id).await?.ok_or_else(|| not_found(&file.image_id))?;
            if !file::arrive(tx, &file.name, &file.holder, FileRole::Data, &measured).await? {
                return Err(lost_file());
            }
            image.status = image.status.after(ImageEvent::UploadAccepted).ok_or_else(lost_file)?;
            let Measured { size_bytes, md5, sha512 } = measured;
            image.data = Some(ImageData { size_bytes, virtual_size_bytes, md5, sha512 });
            image.updated_at = now;
            Ok(record::update(tx, &image).await?)
        })
    })
    .await
}

async fn staged(core: &Core, file: &ImageFile, measured: Measured) -> Result<()> {
    let file = file.clone();
    core.write(move |tx| {
        Box::pin(async move {
            match file::arrive(tx, &file.name, &file.holder, FileRole::Staged, &measured).await? {
                true => Ok(()),
                false => Err(lost_file()),
            }
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
            Ok(record::update(tx, &image).await?)
        })
    });
    match released.await {
        Ok(()) => files::remove_doomed_later(core).await,
        Err(error) => {
            tracing::error!(image = file.image_id, %error, "a failed upload waits for the sweep");
        }
    }
}
