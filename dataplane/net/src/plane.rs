//! What all threads of netd share: the flow tables, the ports, the uplink's transmit side and the counters.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use updraft_flow::{PortIndex, View};
use updraft_xdp::TableMemory;
use updraft_xdp::xsk::Sender;

use crate::port::Port;
use crate::respond::Inbox;

/// The ports by index. Replaced as a whole.
#[derive(Debug, Default)]
pub struct PortTable(pub Vec<Option<Arc<Port>>>);

impl PortTable {
    #[inline]
    pub fn get(&self, index: PortIndex) -> Option<&Arc<Port>> {
        self.0.get(index.0 as usize)?.as_ref()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Port>> {
        self.0.iter().flatten()
    }
}

macro_rules! local_drops {
    ($($(#[$doc:meta])* $field:ident,)+) => {
        /// Packets that netd dropped after the engine let them pass, or before it saw them.
        #[derive(Debug, Default)]
        pub struct LocalDrops { $($(#[$doc])* pub $field: AtomicU64,)+ }

        impl LocalDrops {
            /// By name, for status.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field.load(Ordering::Relaxed)),)+].into_iter()
            }
        }
    };
}

local_drops! {
    /// The guest has posted too few receive buffers.
    rx_ring_full,
    /// The port has no guest.
    not_connected,
    /// Longer than the receiver's buffer, or than a frame on the uplink.
    too_long,
    /// The header before the frame lies about it.
    bad_offload,
    /// The uplink's frames are all on their way.
    uplink_full,
    /// For the uplink, of which there is none.
    no_uplink,
    /// The port has too many frames waiting for the responders, or the responders are busy.
    responder_busy,
    /// The next hop on the uplink does not answer.
    next_hop_silent,
}

/// Counts one.
#[inline]
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The transmit side of the uplink.
#[derive(Debug)]
pub struct UplinkPlane {
    /// One socket for each queue of the interface; locked once a batch.
    pub senders: Vec<Mutex<Sender>>,
    pub tx_packets: AtomicU64,
    pub rx_packets: AtomicU64,
}

impl UplinkPlane {
    /// A sender; workers spread over them.
    #[inline]
    pub fn sender(&self, worker: usize) -> MutexGuard<'_, Sender> {
        self.senders[worker % self.senders.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module's text.
pub struct Plane {
    pub tables: Arc<TableMemory>,
    /// Flow slots in use, as the last sweep found.
    pub flows: AtomicU64,
    pub ports: ArcSwap<PortTable>,
    pub uplink: Option<UplinkPlane>,
    pub drops: LocalDrops,
    pub inbox: Inbox,
}

impl Plane {
    /// The flow tables as one thread sees them; `shard` picks its counters.
    pub fn view(&self, shard: usize) -> View<'_> {
        self.tables.view(updraft_flow::layout::FIRST_WORKER_SHARD + shard as u32)
    }
}
