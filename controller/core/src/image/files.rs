//! Where the data lies: `<images directory>/<image id>.<uuid>`, each file with a row of its own (`image_files`).
//!
//! The row comes before the file and goes after it. A writer holds its row while data arrives and says so again and
//! again; who is not heard of for [`crate::Config::image_lease`] has lost it, and [`sweep`] clears up. A writer that
//! was only slow finds at its end that the row is no longer its own, and has written to a file that nobody reads.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use updraft_model::id::{is_uuid, new_uuid};
use updraft_model::image::{FileRole, ImageEvent, ImageFile, ImageStatus};
use updraft_store::Tx;
use updraft_store::image::{file, record, task};

use crate::duty::{self, Duty};
use crate::{Core, Error, ErrorKind, Result};

/// A file for data that is about to arrive, held by a writer of its own.
pub(super) fn new_file(core: &Core, image_id: &str) -> ImageFile {
    let now = core.clock.now();
    ImageFile {
        name: format!("{image_id}.{}", new_uuid()),
        image_id: image_id.to_owned(),
        role: FileRole::Arriving,
        holder: new_uuid(),
        held_until: now.plus(core.config.image_lease),
        measured: None,
        created_at: now,
    }
}

/// Where a file lies. Names are two UUIDs before they get here; anything else is a failure of ours.
pub(super) fn path(core: &Core, name: &str) -> Result<PathBuf> {
    if !is_ours(name) {
        return Err(Error::internal(format!("'{name}' is not an image file's name")));
    }
    Ok(core.config.images_directory.join(name))
}

/// Names that this module gives, and no others.
fn is_ours(name: &str) -> bool {
    name.split_once('.').is_some_and(|(image_id, file_id)| is_uuid(image_id) && is_uuid(file_id))
}

/// Holds an arriving file until it is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    lost: Arc<AtomicBool>,
    ticker: JoinHandle<()>,
}

impl Hold {
    pub fn new(core: &Core, file: &ImageFile) -> Self {
        let lost = Arc::new(AtomicBool::new(false));
        let (core, name, holder, flag) =
            (core.clone(), file.name.clone(), file.holder.clone(), Arc::clone(&lost));
        let ticker = tokio::spawn(async move {
            loop {
                tokio::time::sleep(core.config.image_lease / 3).await;
                let (name, holder) = (name.clone(), holder.clone());
                let until = core.clock.now().plus(core.config.image_lease);
                let held = core.write(move |tx| {
                    Box::pin(async move { Ok(file::hold(tx, &name, &holder, until).await?) })
                });
                if matches!(held.await, Ok(false)) {
                    flag.store(true, Ordering::Relaxed);
                    return;
                }
            }
        });
        Self { lost, ticker }
    }

    /// Turns true when somebody else took the file, or its image went: writing on is of no use.
    pub fn lost(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lost)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

/// Removes doomed files, then their rows. What cannot be removed now is tried again by the next sweep.
pub(super) async fn remove_doomed(core: &Core) -> Result<()> {
    let doomed = file::list_in_role(&mut core.read().await?, FileRole::Doomed).await?;
    for ImageFile { name, .. } in doomed {
        let path = path(core, &name)?;
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "an image's file was not removed");
                continue;
            }
            _ => {}
        }
        core.write(move |tx| Box::pin(async move { Ok(file::forget(tx, &name).await?) })).await?;
    }
    Ok(())
}

/// The same, for a caller whose own work is done: a failure is the next sweep's.
pub(super) async fn remove_doomed_later(core: &Core) {
    if let Err(error) = remove_doomed(core).await {
        tracing::warn!(%error, "doomed image files wait for the next sweep");
    }
}

/// Makes a new file or its removal durable.
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

/// Puts right what a kill left: uploads that nobody goes on with give their image back, their files go, and so do
/// files that no row tells of. Safe at any time and from several controllers at once.
pub async fn sweep(core: &Core) -> Result<()> {
    let now = core.clock.now();
    let abandoned = file::list_abandoned(&mut core.read().await?, now).await?;
    for file in abandoned {
        core.write(move |tx| Box::pin(async move { give_back(tx, &file, now).await })).await?;
    }
    remove_doomed(core).await?;
    remove_strays(core).await?;
    let forgotten = core.write(move |tx| Box::pin(async move { Ok(task::purge(tx, now).await?) })).await?;
    if forgotten > 0 {
        tracing::debug!(forgotten, "image tasks that ended long ago");
    }
    Ok(())
}

/// Sweeps until `shutdown` turns true.
pub(super) async fn sweep_loop(core: Core, shutdown: watch::Receiver<bool>) {
    let lease = core.config.image_lease;
    let sweeping = Duty { lease, ..Duty::new("image-sweep", lease / 2) };
    duty::run(core, sweeping, shutdown, |core| async move { sweep(&core).await }).await;
}

/// Takes a file from a writer that is no more; its image is as before the upload. An import goes on by itself.
async fn give_back(tx: &mut Tx, abandoned: &ImageFile, now: updraft_model::Timestamp) -> Result<()> {
    let still = file::get(tx, &abandoned.name).await?;
    if !still.is_some_and(|file| file.role == FileRole::Arriving && file.held_until < now) {
        return Ok(());
    }
    file::change_role(tx, &abandoned.name, FileRole::Arriving, FileRole::Doomed).await?;
    let Some(mut image) = record::get(tx, &abandoned.image_id).await? else { return Ok(()) };
    let event = match image.status {
        ImageStatus::Saving => ImageEvent::UploadFailed,
        ImageStatus::Uploading => ImageEvent::StageFailed,
        _ => return Ok(()),
    };
    if let Some(status) = image.status.after(event) {
        image.status = status;
        image.updated_at = now;
        record::update(tx, &image).await?;
    }
    Ok(())
}

/// Removes files with names of ours that no row tells of; a stranger's files stay. The directory is read before the
/// rows: a file that is there has had its row before.
async fn remove_strays(core: &Core) -> Result<()> {
    let directory = core.config.images_directory.clone();
    let listed = tokio::task::spawn_blocking(move || {
        fs::create_dir_all(&directory)?;
        let entries = fs::read_dir(&directory)?.map(|entry| Ok(entry?.file_name()));
        entries.collect::<io::Result<Vec<_>>>()
    });
    let names = listed.await.map_err(Error::internal)?.map_err(Error::internal)?;
    let names = names.into_iter().filter_map(|name| name.into_string().ok()).filter(|name| is_ours(name));
    let known: BTreeSet<String> =
        file::list_all(&mut core.read().await?).await?.into_iter().map(|file| file.name).collect();
    for stray in names.filter(|name| !known.contains(name)) {
        match tokio::fs::remove_file(core.config.images_directory.join(&stray)).await {
            Ok(()) => tracing::info!(file = stray, "removed an image file that no row tells of"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(file = stray, %error, "a stray image file was not removed"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use updraft_model::id::new_uuid;

    use super::path;
    use crate::ErrorKind;
    use crate::tests::TestCore;

    #[tokio::test]
    async fn row_15_only_names_of_two_uuids_become_paths() {
        let cloud = TestCore::start().await;
        let core = cloud.core().await;
        let images = cloud.directory.path().join("images");
        let (image_id, file_id) = (new_uuid(), new_uuid());
        let name = format!("{image_id}.{file_id}");
        // A UUID's digits have no case (RFC 9562, 4).
        for ours in [name.clone(), name.to_uppercase()] {
            assert_eq!(path(&core, &ours).unwrap(), images.join(&ours));
        }
        // As long as a UUID.
        let climb = "../".repeat(12);
        for foreign in [
            String::new(),
            ".".into(),
            "..".into(),
            "../x".into(),
            "/etc/shadow".into(),
            image_id.clone(),
            format!("{image_id}."),
            format!(".{file_id}"),
            format!("/{name}"),
            format!("./{name}"),
            format!("../{name}"),
            format!("{name}/"),
            format!("{name}/../x"),
            format!("{name}.x"),
            format!("{name} "),
            format!("{name}\0"),
            format!("\0{name}"),
            format!("{{{image_id}}}.{file_id}"),
            format!("{climb}.{file_id}"),
            format!("{image_id}.{climb}"),
            format!("{:/<36}.{file_id}", "/etc/shadow"),
            name.replace('-', ""),
            name.replace('-', "/"),
            name.replace('-', "\0"),
        ] {
            let refused = path(&core, &foreign).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Internal, "{foreign:?}");
        }
    }
}
