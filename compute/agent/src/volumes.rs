//! Root disks and base layers, by `updraft-volume`. Blocking: call from a blocking thread.

use std::path::Path;

use updraft_compute_api::plan::ImageFormat;
use updraft_volume::{Format, VolumeError, create_volume, import_image};

/// Makes a downloaded image the base layer of root disks. The content must be of the declared format.
///
/// # Errors
/// The image is refused or damaged, or does not fit on the disk; nothing is left then.
pub fn import(image: &Path, format: ImageFormat, base: &Path) -> Result<(), VolumeError> {
    let declared = match format {
        ImageFormat::Raw => Format::Raw,
        ImageFormat::Qcow2 => Format::Qcow2,
    };
    import_image(image, declared, base, &mut |_| ()).map(drop)
}

/// Makes a root disk: a clone of a base layer, without copying it.
///
/// # Errors
/// The disk is smaller than the image, or does not fit; nothing is left then.
pub fn clone(base: &Path, disk: &Path, size_bytes: u64) -> Result<(), VolumeError> {
    create_volume(disk, Some(base), size_bytes).map(drop)
}

/// Removes a root disk, once nobody serves it. One that is gone, or damaged beyond recognition, is as good: its file
/// goes with the server's folder.
///
/// # Errors
/// The disk is in use, or the file system's own.
pub fn delete(disk: &Path) -> Result<(), VolumeError> {
    match updraft_volume::delete(disk) {
        Err(VolumeError::BadFormat { path, what }) => {
            tracing::warn!("{} was damaged: {what}", path.display());
            Ok(())
        }
        other => other,
    }
}
