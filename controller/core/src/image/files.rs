//! Where the data lies: `<images directory>/<id>`, and `<id>.part` while it arrives.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use updraft_model::id::is_uuid;
use updraft_model::image::{ImageEvent, ImageStatus};
use updraft_store::image::record;

use crate::{Core, Error, ErrorKind, Result};

const PART: &str = "part";

/// The file of an image. Ids are UUIDs before they get here; anything else is a failure of ours.
pub(super) fn path(core: &Core, id: &str) -> Result<PathBuf> {
    if !is_uuid(id) {
        return Err(Error::internal(format!("'{id}' is not an image id")));
    }
    Ok(core.config.images_directory.join(id))
}

/// The file of an image whose data is arriving.
pub(super) fn part_path(core: &Core, id: &str) -> Result<PathBuf> {
    Ok(path(core, id)?.with_extension(PART))
}

/// Removes whatever there is of an image's data. What cannot be removed now is removed at the next start.
pub(super) async fn remove(core: &Core, id: &str) {
    let paths = [path(core, id), part_path(core, id)];
    for path in paths.into_iter().flatten() {
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "the image's file was not removed");
            }
            _ => {}
        }
    }
}

/// Makes a rename or removal in the directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

/// A failure to store: a full disk is the tenant's to know about.
pub(super) fn store_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            let message = "There is not enough disk space on the image storage media.";
            Error::new(ErrorKind::TooLarge, "StorageFull", message).because(error)
        }
        _ => Error::internal(error),
    }
}

/// After a crash: uploads that were cut off go back to `queued`, and files that no image has go. Run before
/// requests are served.
pub async fn clean_up(core: &Core) -> Result<()> {
    let kept = core.write(|tx| {
        Box::pin(async move {
            let mut kept = BTreeSet::new();
            for mut image in record::list_all(tx).await? {
                if image.status == ImageStatus::Saving
                    && let Some(status) = image.status.after(ImageEvent::UploadFailed)
                {
                    image.status = status;
                    record::update(tx, &image).await?;
                }
                if image.data.is_some() {
                    kept.insert(image.id);
                }
            }
            Ok(kept)
        })
    });
    let kept = kept.await?;
    let directory = core.config.images_directory.clone();
    let removed = tokio::task::spawn_blocking(move || remove_others(&directory, &kept));
    let removed = removed.await.map_err(Error::internal)?.map_err(Error::internal)?;
    if removed > 0 {
        tracing::info!(removed, "removed image files that no image has");
    }
    Ok(())
}

/// Removes files named like ours that are not in `kept`; a stranger's files stay.
fn remove_others(directory: &Path, kept: &BTreeSet<String>) -> io::Result<usize> {
    fs::create_dir_all(directory)?;
    let mut removed = 0;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let is_part = path.extension().is_some_and(|extension| extension == PART);
        let is_data = path.extension().is_none();
        if is_uuid(id) && (is_part || (is_data && !kept.contains(id))) {
            fs::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}
