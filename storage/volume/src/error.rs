use std::io;
use std::path::{Path, PathBuf};

use crate::inspect::{Format, InspectError};

/// Why a volume operation failed. Nothing half-made is left behind.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error("{action} {path}: {source}", path = .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("no space left for {path}", path = .path.display())]
    NoSpace { path: PathBuf },
    #[error("{path} exists already", path = .path.display())]
    Exists { path: PathBuf },
    #[error("{path} does not exist", path = .path.display())]
    NotFound { path: PathBuf },
    #[error("a disk of {disk_bytes} bytes is smaller than its image of {image_bytes} bytes")]
    TooSmall { disk_bytes: u64, image_bytes: u64 },
    #[error("a disk of {size_bytes} bytes is not a multiple of 512 between 512 bytes and {limit_bytes}")]
    BadSize { size_bytes: u64, limit_bytes: u64 },
    /// The file is no volume of ours, or a damaged one.
    #[error("{path} is no usable volume: {what}", path = .path.display())]
    BadFormat { path: PathBuf, what: &'static str },
    #[error("{path} is not the layer that its child was made on", path = .path.display())]
    WrongParent { path: PathBuf },
    #[error("a chain of more than {limit} layers")]
    TooDeep { limit: usize },
    /// Another process serves the volume.
    #[error("{path} is in use", path = .path.display())]
    InUse { path: PathBuf },
    /// The layer is an image: other disks are made on it.
    #[error("{path} cannot be written to: it is an image", path = .path.display())]
    Sealed { path: PathBuf },
    #[error(transparent)]
    Refused(#[from] InspectError),
    #[error("the image was declared as {declared}, but its content is {found}")]
    Mismatch { declared: Format, found: Format },
    #[error("{format} images cannot be imported")]
    NotImportable { format: Format },
    #[error("an earlier flush of {path} failed, so written data may be lost", path = .path.display())]
    LostWrites { path: PathBuf },
}

impl VolumeError {
    /// Gives a system error its place and its kind.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path: path.clone() },
            io::ErrorKind::AlreadyExists => Self::Exists { path: path.clone() },
            io::ErrorKind::NotFound => Self::NotFound { path: path.clone() },
            _ => Self::Io { action, path: path.clone(), source },
        }
    }
}
