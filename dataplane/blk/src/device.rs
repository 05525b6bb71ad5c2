//! Two small traits carry the block design: a [`BlockDevice`] that all threads share, and one [`Channel`] per
//! queue, which needs no lock because one thread owns it.
//!
//! A channel plans: given a request it pushes the operations that do it into the queue's ring (through [`Io`]),
//! straight between the file and guest memory. The queue drives the ring, collects completions and answers the
//! guest. A channel that pushes nothing has finished the request at once.

pub mod fault;
pub mod null;
pub mod raw;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use updraft_uring::{Failure, FileIndex, RequestId, Ring, RingError};

use crate::queue::InFlight;

/// What the guest is told about the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// A multiple of 512.
    pub size_bytes: u64,
    /// True when writes are refused before they reach the device.
    pub read_only: bool,
    /// Discards that cover whole units of this many bytes give space back. At least 512.
    pub discard_granularity_bytes: u32,
}

/// One request of the guest, checked: offsets and lengths are multiples of 512 and inside the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Fill `len_bytes` of the guest's buffers, from their start.
    Read { offset_bytes: u64, len_bytes: usize },
    /// Store `len_bytes` of the guest's buffers; see [`Io::write`].
    Write { offset_bytes: u64, len_bytes: usize },
    /// Everything completed before is durable when this is done.
    Flush,
    /// The range may read as anything afterwards; giving back its space is welcome.
    Discard { offset_bytes: u64, len_bytes: u64 },
    /// The range reads as zeroes afterwards.
    WriteZeroes { offset_bytes: u64, len_bytes: u64 },
}

/// A disk, shared by all queues.
pub trait BlockDevice: Send + Sync {
    fn geometry(&self) -> Geometry;

    /// The way of one thread to the device.
    ///
    /// # Errors
    /// A file cannot be prepared.
    fn open_channel(self: Arc<Self>) -> Result<Box<dyn Channel>, DeviceError>;

    /// Makes everything durable, outside any queue: the daemon is told to end.
    ///
    /// # Errors
    /// The data is not known to be durable.
    fn close(&self) -> Result<(), DeviceError>;
}

/// One thread's way to a device.
pub trait Channel: Send {
    /// The files that operations name by [`FileIndex`]: registered once with the queue's ring.
    fn files(&self) -> Vec<Arc<File>>;

    /// Begins a request. When this returns and no operation was pushed, the request is done.
    ///
    /// # Errors
    /// The request fails; operations already pushed are waited for first.
    fn start(&mut self, io: &mut Io<'_>, operation: Operation) -> Result<(), DeviceError>;

    /// All operations pushed so far have ended; the next may be pushed. `stage` counts these calls, from 1.
    ///
    /// # Errors
    /// The request fails.
    fn resume(
        &mut self,
        io: &mut Io<'_>,
        operation: Operation,
        stage: u8,
        result: Result<(), Failure>,
    ) -> Result<(), DeviceError> {
        let _ = (io, operation, stage);
        result.map_err(DeviceError::Transfer)
    }

    /// The request has failed outside of `start` and `resume`: forget what was kept for it.
    fn abandon(&mut self, request: RequestId) {
        let _ = request;
    }
}

/// Why a request fails. The guest sees `VIRTIO_BLK_S_IOERR`, or `_UNSUPP` for [`DeviceError::Unsupported`].
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("transfer failed: {0}")]
    Transfer(#[source] Failure),
    #[error("the ring refused an operation")]
    Ring(#[from] RingError),
    #[error("{action} failed")]
    Io { action: &'static str, source: io::Error },
    #[error("an earlier flush failed, so written data may be lost: the device only reads from here on")]
    LostWrites,
    #[error("the device does not support this request")]
    Unsupported,
}

/// What a channel may do for one request.
pub struct Io<'a> {
    pub(crate) ring: &'a mut Ring<InFlight>,
    pub(crate) request: RequestId,
    /// Where the data of a write begins in the readable part: after the request's header.
    pub(crate) data_start: usize,
}

impl Io<'_> {
    /// Which request this is, for a channel that keeps something for it.
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// From the file at `offset_bytes` into `span` of the guest's buffers.
    ///
    /// # Errors
    /// The ring refuses.
    #[inline]
    pub fn read(
        &mut self,
        file: FileIndex,
        offset_bytes: u64,
        span: Range<usize>,
    ) -> Result<(), DeviceError> {
        Ok(self.ring.read(self.request, file, offset_bytes, span)?)
    }

    /// From `span` of the guest's data to the file at `offset_bytes`.
    ///
    /// # Errors
    /// The ring refuses.
    #[inline]
    pub fn write(
        &mut self,
        file: FileIndex,
        offset_bytes: u64,
        span: Range<usize>,
    ) -> Result<(), DeviceError> {
        let span = span.start + self.data_start..span.end + self.data_start;
        Ok(self.ring.write(self.request, file, offset_bytes, span)?)
    }

    /// fdatasync of the file.
    ///
    /// # Errors
    /// The ring refuses.
    pub fn datasync(&mut self, file: FileIndex) -> Result<(), DeviceError> {
        Ok(self.ring.datasync(self.request, file)?)
    }

    /// A hole in the file, which reads as zeroes.
    ///
    /// # Errors
    /// The ring refuses.
    pub fn punch(&mut self, file: FileIndex, offset_bytes: u64, len_bytes: u64) -> Result<(), DeviceError> {
        Ok(self.ring.punch(self.request, file, offset_bytes, len_bytes)?)
    }

    /// Fills `span` of the guest's buffers with zeroes, at once.
    pub fn fill_zeroes(&mut self, span: Range<usize>) {
        if let Some((chain, _)) = self.ring.request(self.request) {
            chain.write_zeroes(span.start, span.len());
        }
    }
}
