//! One layer file: made under a temporary name, opened and locked, its map read.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use uuid::Uuid;

use crate::error::VolumeError;
use crate::format::{BootId, EPOCH_BYTES, EPOCH_OFFSET, HEADER_BYTES, Header};

/// How long to wait for a predecessor to let go of a volume. One that was killed holds its lock until the kernel
/// has ended its last write, which is what makes it safe to go on: no stale write can land later.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(5);

/// How a layer is used, and so which lock it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// By one, who writes.
    Exclusive,
    /// By any number of readers.
    Shared,
}

/// An open layer. The lock lives as long as the last copy of `file`, in-flight operations of the kernel among them.
#[derive(Debug)]
pub(crate) struct Layer {
    pub path: PathBuf,
    pub file: Arc<File>,
    pub header: Header,
}

impl Layer {
    pub fn open(path: &Path, access: Access, wait: Duration) -> Result<Self, VolumeError> {
        let layer = Self::open_file(path, access == Access::Exclusive)?;
        lock(&layer.file, path, access, wait)?;
        Ok(layer)
    }

    /// For a look that tolerates another's writes.
    pub fn open_unlocked(path: &Path) -> Result<Self, VolumeError> {
        Self::open_file(path, false)
    }

    fn open_file(path: &Path, write: bool) -> Result<Self, VolumeError> {
        let failed = |action| VolumeError::io(action, path);
        let mut options = OpenOptions::new();
        options.read(true).write(write);
        // Reads leave the inode alone. Only the file's owner may ask for that.
        let quiet = options.clone().custom_flags(OFlags::NOATIME.bits() as i32).open(path);
        let file = quiet.or_else(|_| options.open(path)).map_err(failed("cannot open"))?;
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact_at(&mut bytes, 0).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => bad(path, "it is shorter than a header"),
            _ => failed("cannot read")(source),
        })?;
        let header = Header::decode(&bytes).map_err(|what| bad(path, what))?;
        if file.metadata().map_err(failed("cannot examine"))?.len() < header.file_bytes() {
            return Err(bad(path, "it is cut off"));
        }
        Ok(Self { path: path.to_path_buf(), file: Arc::new(file), header })
    }

    /// Makes the file at `path` with `fill` writing its content: complete and durable, or not there at all.
    pub fn create(
        path: &Path,
        header: &Header,
        fill: impl FnOnce(&File) -> Result<(), VolumeError>,
    ) -> Result<(), VolumeError> {
        let failed = |action| VolumeError::io(action, path);
        if path.symlink_metadata().is_ok() {
            return Err(VolumeError::Exists { path: path.to_path_buf() });
        }
        let partial = partial_name(path);
        // A maker that was killed may have left it.
        let _ = fs::remove_file(&partial);
        let made = Self::create_as(&partial, path, header, fill)
            .and_then(|()| fs::rename(&partial, path).map_err(failed("cannot name")))
            .and_then(|()| sync_directory(path));
        if made.is_err() {
            let _ = fs::remove_file(&partial);
        }
        made
    }

    fn create_as(
        partial: &Path,
        path: &Path,
        header: &Header,
        fill: impl FnOnce(&File) -> Result<(), VolumeError>,
    ) -> Result<(), VolumeError> {
        let failed = |action| VolumeError::io(action, path);
        let bytes = header.encode().ok_or_else(|| bad(path, "its parent's path is too long or no text"))?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(partial);
        let file = file.map_err(failed("cannot create"))?;
        file.set_len(header.file_bytes()).map_err(failed("cannot size"))?;
        // The maps are written while the guest waits: a full disk must not surprise it there.
        let reserved = fallocate(&file, FallocateFlags::empty(), 0, header.data_offset());
        match reserved {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(failed("cannot reserve")(error.into())),
        }
        fill(&file)?;
        file.write_all_at(&bytes, 0).map_err(failed("cannot write"))?;
        file.sync_all().map_err(failed("cannot sync"))
    }

    /// The boot in which the live map was last opened for writing.
    pub fn epoch(&self) -> Result<Option<BootId>, VolumeError> {
        let mut bytes = [0; EPOCH_BYTES];
        let read = self.file.read_exact_at(&mut bytes, EPOCH_OFFSET);
        read.map_err(VolumeError::io("cannot read", &self.path))?;
        Ok(BootId::decode(&bytes))
    }

    pub fn read_map(&self, offset_bytes: u64) -> Result<Vec<u64>, VolumeError> {
        let mut bytes = vec![0; self.header.map_words() * 8];
        let read = self.file.read_exact_at(&mut bytes, offset_bytes);
        read.map_err(VolumeError::io("cannot read the map of", &self.path))?;
        Ok(bytes
            .chunks_exact(8)
            .map(|word| word.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
            .collect())
    }

    /// Writes `words` of a map, from word `first` on.
    pub fn write_map(&self, offset_bytes: u64, first: usize, words: &[u64]) -> Result<(), VolumeError> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let written = self.file.write_all_at(&bytes, offset_bytes + first as u64 * 8);
        written.map_err(VolumeError::io("cannot write the map of", &self.path))
    }

    /// The map that counts in this boot.
    pub fn current_map(&self, boot: BootId) -> Result<Vec<u64>, VolumeError> {
        let live = self.epoch()? == Some(boot);
        self.read_map(if live { self.header.live_map_offset() } else { self.header.durable_map_offset() })
    }
}

pub(crate) fn bad(path: &Path, what: &'static str) -> VolumeError {
    VolumeError::BadFormat { path: path.to_path_buf(), what }
}

/// The boot that this machine is in.
pub(crate) fn current_boot() -> Result<BootId, VolumeError> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = fs::read_to_string(path).map_err(VolumeError::io("cannot read", path))?;
    let id = Uuid::try_parse(text.trim()).map_err(|_| bad(path, "it is no boot id"))?;
    Ok(BootId(id))
}

/// Waits as long as a killed predecessor may need.
pub(crate) const fn default_lock_wait() -> Duration {
    LOCK_WAIT
}

fn lock(file: &File, path: &Path, access: Access, wait: Duration) -> Result<(), VolumeError> {
    let deadline = Instant::now() + wait;
    loop {
        let locked = match access {
            Access::Exclusive => file.try_lock(),
            Access::Shared => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(VolumeError::io("cannot lock", path)(source)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(VolumeError::InUse { path: path.to_path_buf() });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_POLL),
        }
    }
}

fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Makes names in the directory of `path` durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), VolumeError> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(VolumeError::io("cannot sync", directory))
}
