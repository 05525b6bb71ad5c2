//! One queue's way to a volume. A read or a write of chunks that the top layer owns is one operation in the ring,
//! straight between guest memory and file; only the first write to a chunk of a lower layer takes longer.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use updraft_blk::device::{Channel, DeviceError, Io, Operation};
use updraft_uring::{Failure, FileIndex, RequestId};

use crate::format::CHUNK_BYTES;
use crate::volume::{NewBits, Volume, device_error};

const TOP: FileIndex = FileIndex(0);

pub(crate) struct VolumeChannel {
    volume: Arc<Volume>,
    /// Flushes between their first and second fdatasync.
    flushing: HashMap<RequestId, NewBits>,
}

impl VolumeChannel {
    pub fn new(volume: Arc<Volume>) -> Self {
        Self { volume, flushing: HashMap::new() }
    }

    /// One operation for each run of chunks that the same layer owns.
    #[inline]
    fn read(&self, io: &mut Io<'_>, offset_bytes: u64, len_bytes: usize) -> Result<(), DeviceError> {
        let end = offset_bytes + len_bytes as u64;
        let mut start = offset_bytes;
        while start < end {
            let owner = self.volume.owner(start / CHUNK_BYTES);
            let mut stop = (start / CHUNK_BYTES + 1) * CHUNK_BYTES;
            while stop < end && self.volume.owner(stop / CHUNK_BYTES) == owner {
                stop += CHUNK_BYTES;
            }
            let stop = stop.min(end);
            let span = (start - offset_bytes) as usize..(stop - offset_bytes) as usize;
            io.read(FileIndex(owner as u32), self.volume.data_offset(owner) + start, span)?;
            start = stop;
        }
        Ok(())
    }

    #[inline]
    fn write(&self, io: &mut Io<'_>, offset_bytes: u64, len_bytes: usize) -> Result<(), DeviceError> {
        let end = offset_bytes + len_bytes as u64;
        let chunks = offset_bytes / CHUNK_BYTES..end.div_ceil(CHUNK_BYTES);
        self.volume.own(chunks).map_err(device_error("copy on write"))?;
        io.write(TOP, self.volume.data_offset(0) + offset_bytes, 0..len_bytes)
    }

    /// Whole chunks become holes that the top layer owns. Parts of chunks are zeroed in place when they must be,
    /// and when that costs nothing.
    fn clear(
        &self,
        io: &mut Io<'_>,
        offset_bytes: u64,
        len_bytes: u64,
        must: bool,
    ) -> Result<(), DeviceError> {
        let end = offset_bytes + len_bytes;
        let (first, last) = (offset_bytes / CHUNK_BYTES, end.div_ceil(CHUNK_BYTES));
        let whole = offset_bytes.div_ceil(CHUNK_BYTES)..end / CHUNK_BYTES;
        let (mut start, mut stop) = (offset_bytes, end);
        if whole.start < whole.end {
            self.volume.own_as_zeroes(whole.clone()).map_err(device_error("discard"))?;
        }
        if must {
            self.volume.own(first..last).map_err(device_error("copy on write"))?;
        } else {
            // A partly covered chunk of a lower layer keeps its content: the guest asked for nothing else.
            let skip = |chunk: u64| !whole.contains(&chunk) && self.volume.owner(chunk) != 0;
            if skip(first) {
                start = (first + 1) * CHUNK_BYTES;
            }
            if skip(last - 1) {
                stop = (last - 1) * CHUNK_BYTES;
            }
        }
        if start < stop { io.punch(TOP, self.volume.data_offset(0) + start, stop - start) } else { Ok(()) }
    }

    fn flush(&mut self, io: &mut Io<'_>) -> Result<(), DeviceError> {
        let new = self.volume.new_bits();
        if !new.is_empty() {
            self.flushing.insert(io.request(), new);
        }
        io.datasync(TOP)
    }

    fn resume_flush(
        &mut self,
        io: &mut Io<'_>,
        stage: u8,
        result: Result<(), Failure>,
    ) -> Result<(), DeviceError> {
        if let Err(failure) = result {
            self.volume.latch_lost_writes();
            self.flushing.remove(&io.request());
            return Err(DeviceError::Transfer(failure));
        }
        let Some(new) = self.flushing.get(&io.request()) else { return Ok(()) };
        if stage == 1 {
            if let Err(error) = self.volume.settle(new) {
                self.flushing.remove(&io.request());
                return Err(device_error("flush")(error));
            }
            return io.datasync(TOP);
        }
        self.volume.settled(new);
        self.flushing.remove(&io.request());
        Ok(())
    }
}

impl Channel for VolumeChannel {
    fn files(&self) -> Vec<Arc<File>> {
        self.volume.files()
    }

    #[inline]
    fn start(&mut self, io: &mut Io<'_>, operation: Operation) -> Result<(), DeviceError> {
        match operation {
            Operation::Read { offset_bytes, len_bytes } => return self.read(io, offset_bytes, len_bytes),
            _ => self.volume.check_writable()?,
        }
        match operation {
            Operation::Read { .. } => Ok(()),
            Operation::Write { offset_bytes, len_bytes } => self.write(io, offset_bytes, len_bytes),
            Operation::Flush => self.flush(io),
            Operation::Discard { offset_bytes, len_bytes } => self.clear(io, offset_bytes, len_bytes, false),
            Operation::WriteZeroes { offset_bytes, len_bytes } => {
                self.clear(io, offset_bytes, len_bytes, true)
            }
        }
    }

    fn resume(
        &mut self,
        io: &mut Io<'_>,
        operation: Operation,
        stage: u8,
        result: Result<(), Failure>,
    ) -> Result<(), DeviceError> {
        if operation == Operation::Flush {
            return self.resume_flush(io, stage, result);
        }
        result.map_err(DeviceError::Transfer)
    }

    fn abandon(&mut self, request: RequestId) {
        self.flushing.remove(&request);
    }
}
