//! A device that fails on command, around any other: for tests of what the guest then sees.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use updraft_uring::{Failure, RequestId};

use super::{BlockDevice, Channel, DeviceError, Geometry, Io, Operation};

/// What fails now. Shared with the test that changes it.
#[derive(Debug, Default)]
pub struct Faults {
    /// Writes end with ENOSPC.
    pub writes_find_no_space: AtomicBool,
    /// Reads end with EIO.
    pub reads_fail: AtomicBool,
    /// Flushes end with EIO.
    pub flushes_fail: AtomicBool,
}

/// `inner`, but for what [`Faults`] says.
pub struct FaultyDevice {
    inner: Arc<dyn BlockDevice>,
    faults: Arc<Faults>,
}

impl FaultyDevice {
    pub fn new(inner: Arc<dyn BlockDevice>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

impl BlockDevice for FaultyDevice {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }

    fn open_channel(self: Arc<Self>) -> Result<Box<dyn Channel>, DeviceError> {
        let inner = Arc::clone(&self.inner).open_channel()?;
        Ok(Box::new(FaultyChannel { inner, faults: Arc::clone(&self.faults) }))
    }

    fn close(&self) -> Result<(), DeviceError> {
        self.inner.close()
    }
}

struct FaultyChannel {
    inner: Box<dyn Channel>,
    faults: Arc<Faults>,
}

impl FaultyChannel {
    /// The failure that a completed operation is turned into.
    fn verdict(&self, operation: Operation) -> Result<(), Failure> {
        let (fault, errno) = match operation {
            Operation::Read { .. } => (&self.faults.reads_fail, libc::EIO),
            Operation::Flush => (&self.faults.flushes_fail, libc::EIO),
            _ => (&self.faults.writes_find_no_space, libc::ENOSPC),
        };
        if fault.load(Ordering::Relaxed) { Err(Failure::Os(errno)) } else { Ok(()) }
    }
}

impl Channel for FaultyChannel {
    fn files(&self) -> Vec<Arc<File>> {
        self.inner.files()
    }

    fn start(&mut self, io: &mut Io<'_>, operation: Operation) -> Result<(), DeviceError> {
        self.inner.start(io, operation)
    }

    fn resume(
        &mut self,
        io: &mut Io<'_>,
        operation: Operation,
        stage: u8,
        result: Result<(), Failure>,
    ) -> Result<(), DeviceError> {
        let result = result.and_then(|()| self.verdict(operation));
        self.inner.resume(io, operation, stage, result)
    }

    fn abandon(&mut self, request: RequestId) {
        self.inner.abandon(request);
    }
}
