//! The packet loop itself: burst in, one decision a packet, burst out. No lock, allocation or system call a packet.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::time::{ClockId, clock_gettime};
use updraft_flow::layout::{UPLINK_META_MAGIC, UPLINK_TO_PORT, UplinkMeta};
use updraft_flow::{HEADER_BYTES, Header, PortIndex, Verdict, View, from_guest, from_uplink};
use updraft_virtio::{Chain, QueueError};
use updraft_xdp::xsk;

use super::TxQueue;
use crate::offload::{LEGACY_VNET_HEADER_BYTES, MAX_FRAME_BYTES, Offload, VNET_HEADER_BYTES};
use crate::plane::{Plane, PortTable, count as bump};
use crate::port::Body;
use crate::switch::{Batch, InFlight, Origin, Scratch};

/// Packets of one burst.
const BURST: usize = 64;

/// Bytes of a burst after which no further packet is taken, so that a ring full of 64 KiB frames does not keep the
/// other rings waiting.
const BURST_BYTES: usize = 1 << 20;

/// The private copy of a packet's start: the virtio-net header, then the head of the frame.
type Head = [u8; VNET_HEADER_BYTES + HEADER_BYTES];

const META_BYTES: usize = size_of::<UplinkMeta>();

/// What one worker needs for packets.
pub struct PacketLoop<'a> {
    plane: &'a Plane,
    view: View<'a>,
    worker: usize,
    ports: Arc<PortTable>,
    now_ns: u64,
    chains: Vec<Chain>,
    heads: Vec<Head>,
    scratch: Scratch,
}

impl<'a> PacketLoop<'a> {
    pub fn new(plane: &'a Plane, worker: usize) -> Self {
        Self {
            plane,
            view: plane.view(worker),
            worker,
            ports: plane.ports.load_full(),
            now_ns: 0,
            chains: (0..BURST).map(|_| Chain::new()).collect(),
            heads: vec![[0; VNET_HEADER_BYTES + HEADER_BYTES]; BURST],
            scratch: Scratch::default(),
        }
    }

    /// Looks at the clock and for a new port table.
    #[inline]
    pub fn begin_round(&mut self) {
        self.now_ns = now_ns();
        let current = self.plane.ports.load();
        if !Arc::ptr_eq(&current, &self.ports) {
            self.ports = Arc::clone(&current);
        }
    }

    /// Forwards one burst of a guest's packets; how many.
    pub fn forward_guest(&mut self, queue: &mut TxQueue) -> Result<usize, QueueError> {
        let (count, broken) = self.collect(queue);
        if count == 0 {
            return broken.map_or(Ok(0), Err);
        }
        let mut batch = Batch::new(self.plane, &self.ports, self.worker, &mut self.scratch);
        let mut bytes = 0;
        for (chain, head) in self.chains[..count].iter().zip(&mut self.heads) {
            bytes += chain.readable_len() as u64 - queue.header_bytes as u64;
            let Some((offload, head, rest)) = open(chain, head, queue.header_bytes) else {
                bump(&self.plane.drops.bad_offload);
                queue.port.count_drops(1);
                continue;
            };
            let mut header = Header {
                total_len: (head.len() - VNET_HEADER_BYTES + rest.len()) as u32,
                bytes: &mut head[VNET_HEADER_BYTES..],
                partial_checksum: offload.csum_start != 0,
                segment_payload: offload.segment_payload,
                segment_header: offload.segment_header,
            };
            let verdict = from_guest(&self.view, queue.port.index, &mut header, self.now_ns);
            batch.carry(verdict, Origin::Port(&queue.port), &mut InFlight { head, body: rest, offload });
        }
        batch.finish();
        for chain in &self.chains[..count] {
            queue.handle.queue.complete(chain.ticket(), 0);
        }
        // Counted first: who has the buffers back finds them in the counters.
        queue.port.counters.tx_packets.fetch_add(count as u64, Ordering::Relaxed);
        queue.port.counters.tx_bytes.fetch_add(bytes, Ordering::Relaxed);
        queue.handle.publish();
        broken.map_or(Ok(count), Err)
    }

    /// Pops a burst and copies the packets' starts into private memory, where no guest can change them any more.
    #[inline]
    fn collect(&mut self, queue: &mut TxQueue) -> (usize, Option<QueueError>) {
        let (mut count, mut bytes, mut broken) = (0, 0, None);
        while count < BURST && bytes < BURST_BYTES {
            match queue.handle.queue.pop(&mut self.chains[count]) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
            let chain = &self.chains[count];
            if chain.readable_len() < queue.header_bytes {
                queue.handle.queue.complete(chain.ticket(), 0);
                bump(&self.plane.drops.bad_offload);
                // Taken out of the burst, but not out of order: it is published with the others.
                bytes += 1;
                continue;
            }
            chain.prefetch_readable();
            bytes += chain.readable_len();
            count += 1;
        }
        // Only now: another processor wrote them, and they come from there while others are asked for.
        for (chain, head) in self.chains[..count].iter().zip(&mut self.heads) {
            chain.read(0, &mut head[VNET_HEADER_BYTES - queue.header_bytes..]);
        }
        if count == 0 {
            queue.handle.publish();
        }
        (count, broken)
    }

    /// Forwards one burst of frames from the uplink; how many.
    pub fn forward_uplink(&mut self, socket: &mut xsk::Receiver) -> u32 {
        let Some(uplink) = &self.plane.uplink else { return 0 };
        let mut batch = Batch::new(self.plane, &self.ports, self.worker, &mut self.scratch);
        let (view, now_ns) = (&self.view, self.now_ns);
        let received = socket.receive::<META_BYTES>(BURST as u32, |meta, frame| {
            let verdict = match decided(meta) {
                Some(port) => Verdict::Port(port),
                None => {
                    let total_len = frame.len() as u32;
                    let head = frame.len().min(HEADER_BYTES);
                    from_uplink(view, &mut Header::plain(&mut frame[..head], total_len), now_ns)
                }
            };
            let mut room = [0; VNET_HEADER_BYTES];
            let offload = Offload::default();
            batch.carry(
                verdict,
                Origin::Uplink,
                &mut InFlight { head: &mut room, body: Body::Bytes(frame), offload },
            );
        });
        batch.finish();
        uplink.rx_packets.fetch_add(u64::from(received), Ordering::Relaxed);
        received
    }
}

/// The port that the XDP program chose, when it did.
#[inline]
fn decided(meta: [u8; META_BYTES]) -> Option<PortIndex> {
    let word = |at| crate::frame::field::<4>(&meta, at).map_or(0, u32::from_ne_bytes);
    (word(0) == UPLINK_META_MAGIC && word(4) == UPLINK_TO_PORT).then(|| PortIndex(word(8)))
}

/// Checks a packet's virtio-net header. The head that is handed out keeps room for one before the frame.
#[inline]
fn open<'a>(
    chain: &'a Chain,
    head: &'a mut Head,
    header_bytes: usize,
) -> Option<(Offload, &'a mut [u8], Body<'a>)> {
    let total = chain.readable_len() - header_bytes;
    let first = total.min(HEADER_BYTES);
    if total > MAX_FRAME_BYTES {
        return None;
    }
    let header: [u8; LEGACY_VNET_HEADER_BYTES] = crate::frame::field(head, VNET_HEADER_BYTES - header_bytes)?;
    let head = &mut head[..VNET_HEADER_BYTES + first];
    let offload = Offload::parse(&header, &head[VNET_HEADER_BYTES..], total)?;
    let rest = Body::Guest { chain, offset: header_bytes + first, len: total - first };
    Some((offload, head, rest))
}

/// CLOCK_MONOTONIC as the flow engine wants it: coarse, which costs no system call and no cycle counter.
#[inline]
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
