//! Data arrives: streamed to its file, bounded, measured, durable.

use std::error::Error as StdError;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use md5::{Digest, Md5};
use sha2::Sha512;
use tokio::sync::mpsc;
use updraft_model::image::{ImageFile, Measured};

use super::files::{self, Hold};
use crate::{Core, Error, ErrorKind, Result};

/// Pieces that wait for the disk; the sender waits when they are this many.
const WAITING_PIECES: usize = 16;
/// How long a sender may pause between two pieces before it is given up.
const IDLE: Duration = Duration::from_secs(60);

/// Writes what the stream brings to the file, and measures it. The file is durable when this returns.
///
/// # Errors
/// 400 when the sender stops or pauses for too long, 413 when it is too much or the disk is full, 409 when the file was
/// lost to somebody else meanwhile.
pub(super) async fn receive<S, E>(core: &Core, file: &ImageFile, mut data: S) -> Result<Measured>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
{
    let path = files::path(core, &file.name)?;
    let hold = Hold::new(core, file);
    let (pieces, arriving) = mpsc::channel(WAITING_PIECES);
    let (limit_bytes, lost) = (core.config.max_image_bytes, hold.lost());
    let writer = tokio::task::spawn_blocking(move || write(&path, arriving, limit_bytes, &lost));
    let fed = feed(&mut data, pieces).await;
    let written = writer.await.map_err(Error::internal)?;
    // The writer's reason first: it is why the feeding stopped.
    let measured = written?;
    fed?;
    Ok(measured)
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

fn write(
    path: &Path,
    mut arriving: mpsc::Receiver<Bytes>,
    limit_bytes: u64,
    lost: &Arc<AtomicBool>,
) -> Result<Measured> {
    let mut file = fs::File::create_new(path).map_err(files::store_error)?;
    let (mut md5, mut sha512, mut size_bytes) = (Md5::new(), Sha512::new(), 0_u64);
    while let Some(piece) = arriving.blocking_recv() {
        size_bytes += piece.len() as u64;
        if size_bytes > limit_bytes {
            let message = format!("An image has at most {limit_bytes} bytes.");
            return Err(Error::new(ErrorKind::TooLarge, "ImageSizeLimitExceeded", message));
        }
        if lost.load(Ordering::Relaxed) {
            return Err(lost_file());
        }
        md5.update(&piece);
        sha512.update(&piece);
        file.write_all(&piece).map_err(files::store_error)?;
    }
    file.sync_all().map_err(files::store_error)?;
    let directory = path.parent().ok_or_else(|| Error::internal("an image file without a directory"))?;
    files::sync_directory(directory).map_err(files::store_error)?;
    Ok(Measured { size_bytes, md5: hex(&md5.finalize()), sha512: hex(&sha512.finalize()) })
}

/// The image was deleted, or the sender was taken for dead.
pub(super) fn lost_file() -> Error {
    Error::conflict("UploadLost", "The image was changed or deleted while its data arrived.")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
