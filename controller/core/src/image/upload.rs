//! Data arrives: streamed to a part file, measured, inspected, and only then the image's own.
//!
//! The order is: status `saving` (nobody else uploads) → part file → fsync → inspection → rename → fsync of
//! the directory → status `active` with size and hashes, in one transaction. Whatever fails before the last
//! step leaves the image `queued` and nothing on the disk; a kill leaves that to `clean_up`.

use std::error::Error as StdError;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use md5::{Digest, Md5};
use sha2::Sha512;
use tokio::sync::mpsc;
use updraft_model::image::{DiskFormat, Image, ImageData, ImageEvent};
use updraft_store::image::record;
use updraft_volume::{Inspection, inspect};

use super::access::{changeable, not_found};
use super::files;
use crate::{Caller, Core, Error, ErrorKind, Result};

/// Pieces that wait for the disk; the client waits when they are this many.
const WAITING_PIECES: usize = 16;
/// How long a client may pause between two pieces before its upload is given up.
const IDLE: Duration = Duration::from_secs(60);

/// Takes an image's data. 409 unless the image is `queued`; 400 when the content is not what the image's
/// `disk_format` declares, or refers to other files; 413 when it is too large or the disk is full.
///
/// Runs in a task of its own: a client that hangs up leaves a failed upload, not half of one.
pub async fn upload<S, E>(core: &Core, caller: &Caller, id: &str, data: S) -> Result<()>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    let (core, caller, id) = (core.clone(), caller.clone(), id.to_owned());
    let task = tokio::spawn(async move {
        let image = start(&core, &caller, &id).await?;
        let result = receive(&core, &image, data).await;
        if result.is_err() {
            give_up(&core, &image.id).await;
        }
        result
    });
    task.await.map_err(Error::internal)?
}

/// Claims the image for this upload.
async fn start(core: &Core, caller: &Caller, id: &str) -> Result<Image> {
    let (caller, id) = (caller.clone(), id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            let mut image = changeable(tx, &caller, &id).await?;
            if image.disk_format.is_none() || image.container_format.is_none() {
                let message = "Properties disk_format, container_format must be set prior to saving data.";
                return Err(Error::bad_request("Invalid", message));
            }
            let refusal = || {
                let message = format!(
                    "Image status transition from {} to saving is not allowed",
                    image.status.as_str()
                );
                Error::conflict("InvalidImageStatusTransition", message)
            };
            image.status = image.status.after(ImageEvent::UploadStarted).ok_or_else(refusal)?;
            record::update(tx, &image).await?;
            Ok(image)
        })
    })
    .await
}

async fn receive<S, E>(core: &Core, image: &Image, mut data: S) -> Result<()>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    let part = files::part_path(core, &image.id)?;
    let (pieces, arriving) = mpsc::channel(WAITING_PIECES);
    let limit_bytes = core.config.max_image_bytes;
    let writer = tokio::task::spawn_blocking({
        let part = part.clone();
        move || write(&part, arriving, limit_bytes)
    });
    let fed = feed(&mut data, pieces).await;
    let written = writer.await.map_err(Error::internal)?;
    // The writer's reason first: it is why the feeding stopped.
    let measured = written?;
    fed?;
    let declared = image.disk_format.ok_or_else(|| Error::internal("an upload without a declared format"))?;
    let path = files::path(core, &image.id)?;
    let data = tokio::task::spawn_blocking(move || accept(&part, &path, measured, declared));
    let data = data.await.map_err(Error::internal)??;
    activate(core, &image.id, data).await
}

async fn feed<S, E>(data: &mut S, pieces: mpsc::Sender<Bytes>) -> Result<()>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    loop {
        let next = tokio::time::timeout(IDLE, data.next()).await.map_err(|_| {
            Error::bad_request("UploadTimedOut", format!("No data came for {} seconds.", IDLE.as_secs()))
        })?;
        match next {
            None => return Ok(()),
            Some(Ok(piece)) => {
                if pieces.send(piece).await.is_err() {
                    return Ok(());
                }
            }
            Some(Err(error)) => {
                return Err(Error::bad_request("UploadCutOff", "The image data was cut off.").because(error));
            }
        }
    }
}

struct Measured {
    size_bytes: u64,
    md5: String,
    sha512: String,
}

/// Writes the pieces to the part file and makes them durable.
fn write(part: &Path, mut arriving: mpsc::Receiver<Bytes>, limit_bytes: u64) -> Result<Measured> {
    let mut file = fs::File::create(part).map_err(files::store_error)?;
    let (mut md5, mut sha512, mut size_bytes) = (Md5::new(), Sha512::new(), 0_u64);
    while let Some(piece) = arriving.blocking_recv() {
        size_bytes += piece.len() as u64;
        if size_bytes > limit_bytes {
            let message = format!("An image has at most {limit_bytes} bytes.");
            return Err(Error::new(ErrorKind::TooLarge, "ImageSizeLimitExceeded", message));
        }
        md5.update(&piece);
        sha512.update(&piece);
        file.write_all(&piece).map_err(files::store_error)?;
    }
    file.sync_all().map_err(files::store_error)?;
    Ok(Measured { size_bytes, md5: hex(&md5.finalize()), sha512: hex(&sha512.finalize()) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Looks at what arrived and, when it is what was declared, gives it its name.
fn accept(part: &Path, path: &Path, measured: Measured, declared: DiskFormat) -> Result<ImageData> {
    let mut file = fs::File::open(part).map_err(Error::internal)?;
    let Inspection { format, virtual_size_bytes, .. } = inspect(&mut file).map_err(refused)?;
    if format.name() != declared.as_str() {
        let message = format!(
            "Image content does not match its disk_format: declared {}, found {}.",
            declared.as_str(),
            format.name()
        );
        return Err(Error::bad_request("ImageFormatMismatch", message));
    }
    fs::rename(part, path).map_err(files::store_error)?;
    let directory = path.parent().ok_or_else(|| Error::internal("an image file without a directory"))?;
    files::sync_directory(directory).map_err(files::store_error)?;
    let Measured { size_bytes, md5, sha512 } = measured;
    Ok(ImageData { size_bytes, virtual_size_bytes, md5, sha512 })
}

fn refused(error: updraft_volume::InspectError) -> Error {
    match error {
        updraft_volume::InspectError::Io(error) => Error::internal(error),
        other => Error::bad_request("ImageRefused", format!("Image refused: {other}.")).because(other),
    }
}

async fn activate(core: &Core, id: &str, data: ImageData) -> Result<()> {
    let (id, now) = (id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            // Deleted while its data arrived: the file goes too.
            let mut image = record::get(tx, &id).await?.ok_or_else(|| not_found(&id))?;
            let status = image.status.after(ImageEvent::UploadAccepted);
            image.status = status.ok_or_else(|| Error::internal("an upload lost its claim on the image"))?;
            image.data = Some(data);
            image.updated_at = now;
            Ok(record::update(tx, &image).await?)
        })
    })
    .await
}

/// Nothing stays of a failed upload: files first, so that the next upload finds a clean place.
async fn give_up(core: &Core, id: &str) {
    files::remove(core, id).await;
    let image_id = id.to_owned();
    let released = core.write(move |tx| {
        Box::pin(async move {
            let Some(mut image) = record::get(tx, &image_id).await? else { return Ok(()) };
            let Some(status) = image.status.after(ImageEvent::UploadFailed) else { return Ok(()) };
            image.status = status;
            Ok(record::update(tx, &image).await?)
        })
    });
    if let Err(error) = released.await {
        tracing::error!(image = id, %error, "a failed upload left its image 'saving' until the next start");
    }
}
