//! A guest's network card without a guest, driven as a driver that looks for work without sleeping does: its
//! descriptors are written once, wakes are not asked for, and positions are shown in bursts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use updraft_vhost::frontend::{Frontend, QueueEvents};
use updraft_virtio::driver::{DriverQueue, GuestRam};
use updraft_virtio::features::VERSION_1;

use crate::frames::{FRAME_BYTES, Frame};
use crate::measure::Failure;

/// Frames that are shown to the backend at once.
pub const BURST: usize = 32;

/// How long to wait for a backend that is starting.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the guest's memory begins.
const RAM_ADDRESS: u64 = 0x4000_0000;
const RAM_BYTES: usize = 4 << 20;
/// Descriptors. The receiver's ring has room for all that can be sent between two looks at it, and for those that were
/// under way before, so that no frame is lost for want of a buffer, even when this side is kept from its core.
const SEND_RING: u16 = 256;
const RECEIVE_RING: u16 = 4 * SEND_RING;
const BUFFER_BYTES: u32 = 2048;
/// The virtio-net header with `VERSION_1` (virtio 1.2, 5.1.6); all zeroes: nothing is left to the device.
const HEADER_BYTES: u32 = 12;
/// `VIRTIO_NET_F_MRG_RXBUF` (virtio 1.2, 5.1.3).
const MRG_RXBUF: u64 = 1 << 15;
/// `VIRTQ_DESC_F_WRITE` (virtio 1.2, 2.7.5).
const DESC_WRITE: u16 = 2;

/// One ring with a buffer for each descriptor.
#[derive(Debug)]
struct Ring {
    driver: DriverQueue,
    events: QueueEvents,
    buffers: u64,
    used: u64,
    /// Position of the next used entry.
    next: u16,
    /// Heads given to the device and not shown yet.
    hidden: u16,
}

impl Ring {
    fn start(
        frontend: &mut Frontend,
        index: u32,
        ram: &Arc<GuestRam>,
        size: u16,
        (len, flags): (u32, u16),
    ) -> Result<Self, Failure> {
        let mut driver = DriverQueue::new(Arc::clone(ram), size, false);
        driver.disable_calls();
        let buffers = ram.take(usize::from(size) * BUFFER_BYTES as usize, 4096);
        for head in 0..size {
            let at = buffers + u64::from(head) * u64::from(BUFFER_BYTES);
            driver.write_descriptor(head, at, len, flags, 0);
        }
        let events = frontend.start_queue(index, &driver, 0)?;
        let used = driver.addresses().2;
        Ok(Self { driver, events, buffers, used, next: 0, hidden: 0 })
    }

    #[inline]
    fn buffer(&self, head: u16) -> u64 {
        self.buffers + u64::from(head) * u64::from(BUFFER_BYTES)
    }

    /// Entries that the device is done with.
    #[inline]
    fn done(&self) -> u16 {
        self.driver.used_index().wrapping_sub(self.next)
    }

    /// The next of them: head, and bytes written.
    #[inline]
    fn take(&mut self) -> Result<(u16, u32), Failure> {
        let slot = u64::from(self.next & (self.driver.size() - 1));
        let mut entry = [0; 8];
        self.driver.ram().read(self.used + 4 + 8 * slot, &mut entry);
        self.next = self.next.wrapping_add(1);
        let [a, b, c, d, e, f, g, h] = entry;
        let head = u16::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(u16::MAX);
        if head >= self.driver.size() {
            return Err(Failure::new("void: the backend answers a request that was never made"));
        }
        Ok((head, u32::from_le_bytes([e, f, g, h])))
    }

    #[inline]
    fn give(&mut self, head: u16) {
        self.driver.push_head(head);
        self.hidden += 1;
    }

    #[inline]
    fn show(&mut self) {
        self.hidden = 0;
        if self.driver.publish() {
            self.events.kick.notify();
        }
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Card {
    /// The connection lives as long as the card.
    _frontend: Frontend,
    rx: Ring,
    tx: Ring,
    /// Heads of send buffers that are not under way.
    idle: Vec<u16>,
}

impl Card {
    /// Connects to a backend that listens at `socket`, or soon will.
    ///
    /// # Errors
    /// Nobody listens, or the backend refuses.
    pub fn plug(socket: &Path) -> Result<Self, Failure> {
        let ram = GuestRam::new(RAM_ADDRESS, RAM_BYTES)?;
        let mut frontend = Frontend::connect(socket, PATIENCE)
            .map_err(|error| Failure::new(format!("nobody listens at {}: {error}", socket.display())))?;
        let features = VERSION_1 | MRG_RXBUF;
        if frontend.negotiate(features)? != features {
            return Err(Failure::new("the backend does not offer mergeable receive buffers"));
        }
        frontend.set_memory(&[&ram])?;
        let mut rx = Ring::start(&mut frontend, 0, &ram, RECEIVE_RING, (BUFFER_BYTES, DESC_WRITE))?;
        let frame = (HEADER_BYTES + FRAME_BYTES as u32, 0);
        let tx = Ring::start(&mut frontend, 1, &ram, SEND_RING, frame)?;
        (0..RECEIVE_RING).for_each(|head| rx.give(head));
        rx.show();
        Ok(Self { _frontend: frontend, rx, tx, idle: (0..SEND_RING).collect() })
    }

    /// Takes back the buffers of frames that the backend has forwarded or dropped; how many frames can be sent now.
    #[inline]
    pub fn room(&mut self) -> Result<usize, Failure> {
        for _ in 0..self.tx.done() {
            let (head, _) = self.tx.take()?;
            self.idle.push(head);
        }
        Ok(self.idle.len())
    }

    /// Sends a frame, shown to the backend by [`Card::flush`]; false when there is no room.
    #[inline]
    pub fn send(&mut self, frame: &Frame) -> bool {
        let Some(head) = self.idle.pop() else { return false };
        self.tx.driver.ram().write(self.tx.buffer(head) + u64::from(HEADER_BYTES), frame);
        self.tx.give(head);
        true
    }

    /// Shows the backend what was sent.
    #[inline]
    pub fn flush(&mut self) {
        if self.tx.hidden > 0 {
            self.tx.show();
        }
    }

    /// Hands all frames that arrived to `each`, and their buffers back.
    ///
    /// # Errors
    /// That of `each`, or a frame of another length.
    #[inline]
    pub fn receive(&mut self, mut each: impl FnMut(&Frame) -> Result<(), Failure>) -> Result<u64, Failure> {
        let count = self.rx.done();
        for _ in 0..count {
            let (head, written) = self.rx.take()?;
            let mut frame = [0; FRAME_BYTES];
            if written != HEADER_BYTES + FRAME_BYTES as u32 {
                return Err(Failure::new(format!("void: {written} bytes arrived, and none such were sent")));
            }
            self.rx.driver.ram().read(self.rx.buffer(head) + u64::from(HEADER_BYTES), &mut frame);
            each(&frame)?;
            self.rx.give(head);
        }
        // Not one by one: each showing takes a cache line away from the backend.
        if usize::from(self.rx.hidden) >= BURST {
            self.rx.show();
        }
        Ok(u64::from(count))
    }
}
