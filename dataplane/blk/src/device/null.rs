//! A disk that does nothing at once: what remains is the cost of the queue itself.

use std::fs::File;
use std::sync::Arc;

use super::{BlockDevice, Channel, DeviceError, Geometry, Io, Operation};

/// Reads leave the guest's buffers as they are, writes go nowhere. For benches.
#[derive(Debug)]
pub struct NullDevice {
    size_bytes: u64,
}

impl NullDevice {
    /// `size_bytes` is a multiple of 512.
    pub fn new(size_bytes: u64) -> Self {
        Self { size_bytes }
    }
}

impl BlockDevice for NullDevice {
    fn geometry(&self) -> Geometry {
        Geometry { size_bytes: self.size_bytes, read_only: false, discard_granularity_bytes: 512 }
    }

    fn open_channel(self: Arc<Self>) -> Result<Box<dyn Channel>, DeviceError> {
        Ok(Box::new(NullChannel))
    }

    fn close(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}

struct NullChannel;

impl Channel for NullChannel {
    fn files(&self) -> Vec<Arc<File>> {
        Vec::new()
    }

    fn start(&mut self, _io: &mut Io<'_>, _operation: Operation) -> Result<(), DeviceError> {
        Ok(())
    }
}
