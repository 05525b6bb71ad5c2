//! A plain file, or a block device, as a disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use updraft_base::size::SECTOR;
use updraft_uring::{Failure, FileIndex};

use super::{BlockDevice, Channel, DeviceError, Geometry, Io, Operation};

/// Space of a plain file comes back in units of this many bytes: a page, as file systems do.
const DISCARD_GRANULARITY_BYTES: u32 = 4096;
const FILE: FileIndex = FileIndex(0);

/// A plain file. Bytes beyond the last whole sector are out of reach.
#[derive(Debug)]
pub struct RawFile {
    file: Arc<File>,
    geometry: Geometry,
    lost_writes: Arc<AtomicBool>,
}

impl RawFile {
    /// # Errors
    /// The file cannot be opened in this mode.
    pub fn open(path: &Path, read_only: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(!read_only);
        // Reads leave the inode alone. Only the file's owner may ask for that.
        let quiet = options.clone().custom_flags(libc::O_NOATIME).open(path);
        let mut file = quiet.or_else(|_| options.open(path))?;
        let size_bytes = file.seek(SeekFrom::End(0))? / SECTOR * SECTOR;
        let geometry =
            Geometry { size_bytes, read_only, discard_granularity_bytes: DISCARD_GRANULARITY_BYTES };
        Ok(Self { file: Arc::new(file), geometry, lost_writes: Arc::default() })
    }
}

impl BlockDevice for RawFile {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn open_channel(self: Arc<Self>) -> Result<Box<dyn Channel>, DeviceError> {
        Ok(Box::new(RawChannel { device: self }))
    }

    fn close(&self) -> Result<(), DeviceError> {
        if self.geometry.read_only {
            return Ok(());
        }
        self.file.sync_data().map_err(|source| DeviceError::Io { action: "fdatasync", source })
    }
}

struct RawChannel {
    device: Arc<RawFile>,
}

impl Channel for RawChannel {
    fn files(&self) -> Vec<Arc<File>> {
        vec![Arc::clone(&self.device.file)]
    }

    #[inline]
    fn start(&mut self, io: &mut Io<'_>, operation: Operation) -> Result<(), DeviceError> {
        if !matches!(operation, Operation::Read { .. }) && self.device.lost_writes.load(Ordering::Relaxed) {
            return Err(DeviceError::LostWrites);
        }
        match operation {
            Operation::Read { offset_bytes, len_bytes } => io.read(FILE, offset_bytes, 0..len_bytes),
            Operation::Write { offset_bytes, len_bytes } => io.write(FILE, offset_bytes, 0..len_bytes),
            Operation::Flush => io.datasync(FILE),
            Operation::Discard { offset_bytes, len_bytes }
            | Operation::WriteZeroes { offset_bytes, len_bytes } => io.punch(FILE, offset_bytes, len_bytes),
        }
    }

    fn resume(
        &mut self,
        _io: &mut Io<'_>,
        operation: Operation,
        _stage: u8,
        result: Result<(), Failure>,
    ) -> Result<(), DeviceError> {
        if result.is_err() && operation == Operation::Flush {
            // The kernel has marked the lost pages clean: asking again would get a false yes.
            self.device.lost_writes.store(true, Ordering::Relaxed);
        }
        result.map_err(DeviceError::Transfer)
    }
}
