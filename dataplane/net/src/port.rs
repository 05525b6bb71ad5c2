//! A guest's port: its receive rings, which every worker may fill, and its counters.

mod device;
mod rx;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use updraft_base::{MacAddress, PortId};
use updraft_flow::PortIndex;

pub use device::PortDevice;
pub use rx::{Body, Refused, RxQueue};

/// Queue pairs of one port.
pub const MAX_QUEUE_PAIRS: usize = 8;

/// Frames of one port that may wait for the responders. More are dropped: a guest that floods them delays nobody else.
pub const MAX_RESPONDER_FRAMES: u32 = 32;

/// Counted over the port's life in this process.
#[derive(Debug, Default)]
pub struct PortCounters {
    /// To the guest.
    pub rx_packets: AtomicU64,
    pub rx_bytes: AtomicU64,
    /// From the guest.
    pub tx_packets: AtomicU64,
    pub tx_bytes: AtomicU64,
    /// Dropped in either direction, whatever the reason.
    pub drops: AtomicU64,
}

/// See the module's text.
#[derive(Debug)]
pub struct Port {
    pub id: PortId,
    pub index: PortIndex,
    pub mac: MacAddress,
    pub counters: PortCounters,
    /// By queue pair. Locked once a batch, not once a packet.
    rx: Vec<Mutex<Option<RxQueue>>>,
    /// A frontend is connected to the port's socket.
    plugged: AtomicBool,
    /// Receive rings that run.
    running: AtomicU32,
    /// Frames that wait for the responders.
    pub waiting: AtomicU32,
}

impl Port {
    pub fn new(id: PortId, index: PortIndex, mac: MacAddress, queue_pairs: usize) -> Self {
        let pairs = queue_pairs.clamp(1, MAX_QUEUE_PAIRS);
        Self {
            id,
            index,
            mac,
            counters: PortCounters::default(),
            rx: (0..pairs).map(|_| Mutex::new(None)).collect(),
            plugged: AtomicBool::new(false),
            running: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
        }
    }

    pub fn queue_pairs(&self) -> usize {
        self.rx.len()
    }

    /// A virtual machine is plugged in, whether or not its guest has a driver yet.
    pub fn is_plugged(&self) -> bool {
        self.plugged.load(Ordering::Relaxed)
    }

    pub(crate) fn set_plugged(&self, plugged: bool) {
        self.plugged.store(plugged, Ordering::Relaxed);
    }

    /// A guest's rings run.
    pub fn is_connected(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Which receive ring takes a flow: always the same one, so that its packets stay in order.
    #[inline]
    pub fn pair_for(&self, head: &[u8]) -> usize {
        let running = self.running.load(Ordering::Relaxed) as usize;
        if running <= 1 {
            return 0;
        }
        // Addresses and ports of an IPv4 packet; anything else lands on some ring, which is all that is needed.
        let word = |at| crate::frame::field::<4>(head, at).map_or(0, u32::from_ne_bytes);
        let mixed = (word(26) ^ word(30).rotate_left(13) ^ word(34).rotate_left(7)).wrapping_mul(0x9e37_79b1);
        (mixed >> 16) as usize % running.min(self.rx.len())
    }

    /// The receive ring of a pair; `None` inside while it does not run. No one holds it for longer than a batch.
    #[inline]
    pub fn rx(&self, pair: usize) -> MutexGuard<'_, Option<RxQueue>> {
        self.rx[pair].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn start_rx(&self, pair: usize, queue: RxQueue) {
        *self.rx(pair) = Some(queue);
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stop_rx(&self, pair: usize) -> u16 {
        let stopped = self.rx(pair).take();
        stopped.map_or(0, |queue| {
            self.running.fetch_sub(1, Ordering::Relaxed);
            queue.base()
        })
    }

    /// Counts packets that never reached the other side.
    #[inline]
    pub fn count_drops(&self, count: u64) {
        self.counters.drops.fetch_add(count, Ordering::Relaxed);
    }
}
