//! The images of this host: downloaded once, checked, and kept as base layers that root disks are clones of.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha512};
use tokio::io::AsyncWriteExt;
use updraft_base::ImageId;
use updraft_base::size::GIB;
use updraft_compute_api::plan::ImageSource;
use updraft_volume::VolumeError;

use crate::controller::{Controller, ControllerError};
use crate::host::capacity::disk_bytes;
use crate::layout::{Layout, create_private_dir, ids_in, remove, write_durably};
use crate::volumes;

/// Why an image is not there.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error("the image has {found} bytes instead of {expected}")]
    Size { expected: u64, found: u64 },
    #[error("the image's SHA-512 is {found} instead of {expected}")]
    Checksum { expected: String, found: String },
    #[error("no room for the image: it needs {needed} bytes, {free} are free beyond the reserve")]
    NoRoom { needed: u64, free: u64 },
    #[error("{path}: {source}")]
    Store { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error("the image was not fetched: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// The images on this host.
#[derive(Clone, Debug)]
pub struct Images {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    layout: Layout,
    controller: Controller,
    reserve_bytes: u64,
    /// Held while an image is fetched, converted or removed: one at a time for each image.
    locks: Mutex<HashMap<ImageId, Arc<tokio::sync::Mutex<()>>>>,
    /// Since when an image has been unused.
    idle_since: Mutex<HashMap<ImageId, Instant>>,
}

impl Images {
    pub fn new(layout: Layout, controller: Controller, reserve_gib: u64) -> Self {
        let reserve_bytes = reserve_gib * GIB;
        let (locks, idle_since) = Default::default();
        Self { inner: Arc::new(Inner { layout, controller, reserve_bytes, locks, idle_since }) }
    }

    /// The base layer of an image, fetched and converted first where need be. The work goes on when the caller
    /// stops waiting: someone else may wait for it too.
    ///
    /// # Errors
    /// The image cannot be had, is not what the plan says, or cannot be stored; nothing of it is left then.
    pub async fn ensure(&self, image: &ImageSource) -> Result<PathBuf, ImageError> {
        let (inner, image) = (Arc::clone(&self.inner), image.clone());
        tokio::spawn(async move {
            let lock = inner.lock_of(image.id);
            let _held = lock.lock().await;
            inner.ensure(&image).await
        })
        .await?
    }

    /// Removes the images that have been unused for `keep`. `is_used` is asked again right before the removal,
    /// while nobody can begin to use the image.
    pub async fn remove_unused(&self, keep: Duration, is_used: impl Fn(ImageId) -> bool) {
        for id in self.list() {
            if is_used(id) {
                self.inner.idle_since().remove(&id);
                continue;
            }
            let since = *self.inner.idle_since().entry(id).or_insert_with(Instant::now);
            if since.elapsed() < keep {
                continue;
            }
            let lock = self.inner.lock_of(id);
            let Ok(_held) = lock.try_lock() else { continue };
            if is_used(id) {
                continue;
            }
            match remove(&self.inner.layout.image_dir(id)) {
                Ok(()) => tracing::info!(image = %id, "unused image removed"),
                Err(error) => tracing::warn!(image = %id, %error, "unused image not removed"),
            }
            self.inner.idle_since().remove(&id);
        }
    }

    /// The images of which anything is here.
    pub fn list(&self) -> Vec<ImageId> {
        ids_in(&self.inner.layout.images_dir())
    }
}

impl Inner {
    fn lock_of(&self, id: ImageId) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        // Locks that nobody holds or waits for are only here.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(id).or_default())
    }

    fn idle_since(&self) -> std::sync::MutexGuard<'_, HashMap<ImageId, Instant>> {
        self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ensure(&self, image: &ImageSource) -> Result<PathBuf, ImageError> {
        let dir = self.layout.image_dir(image.id);
        let base = dir.join("base");
        // Written last: what is named here is whole.
        let marker = dir.join("sha512");
        if std::fs::read_to_string(&marker).is_ok_and(|kept| kept == image.sha512) {
            return Ok(base);
        }
        let fetched = self.fetch(image, &dir, &base).await;
        let marked =
            fetched.and_then(|()| write_durably(&marker, image.sha512.as_bytes()).map_err(at(&marker)));
        if marked.is_err() {
            remove(&dir).map_err(at(&dir))?;
        }
        marked.map(|()| base)
    }

    async fn fetch(&self, image: &ImageSource, dir: &Path, base: &Path) -> Result<(), ImageError> {
        remove(dir).map_err(at(dir))?;
        create_private_dir(dir).map_err(at(dir))?;
        let (_, free) = disk_bytes(dir);
        let free = free.saturating_sub(self.reserve_bytes);
        if free < image.size_bytes {
            return Err(ImageError::NoRoom { needed: image.size_bytes, free });
        }
        let part = dir.join("image.part");
        let started = Instant::now();
        self.download(image, &part).await?;
        let (file, layer, format) = (part.clone(), base.to_path_buf(), image.format);
        tokio::task::spawn_blocking(move || volumes::import(&file, format, &layer)).await??;
        remove(&part).map_err(at(&part))?;
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(image = %image.id, bytes = image.size_bytes, seconds, "image fetched and converted");
        Ok(())
    }

    async fn download(&self, image: &ImageSource, part: &Path) -> Result<(), ImageError> {
        let mut response = self.controller.image(image.id).await?;
        let mut file = tokio::fs::File::create(part).await.map_err(at(part))?;
        let mut hash = Sha512::new();
        let mut found = 0u64;
        while let Some(chunk) = response.chunk().await.map_err(ControllerError::Http)? {
            found += chunk.len() as u64;
            if found > image.size_bytes {
                break;
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(at(part))?;
        }
        file.flush().await.map_err(at(part))?;
        if found != image.size_bytes {
            return Err(ImageError::Size { expected: image.size_bytes, found });
        }
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if !found.eq_ignore_ascii_case(&image.sha512) {
            return Err(ImageError::Checksum { expected: image.sha512.clone(), found });
        }
        Ok(())
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> ImageError {
    move |source| ImageError::Store { path: path.into(), source }
}
