//! Filling a guest's receive ring.

use std::sync::atomic::Ordering;

use updraft_vhost::QueueHandle;
use updraft_virtio::features::VERSION_1;
use updraft_virtio::{Chain, QueueError};

use super::PortCounters;
use crate::offload::{LEGACY_VNET_HEADER_BYTES, Offload, VNET_HEADER_BYTES, feature};

/// Receive buffers that one frame may be spread over: a 64 KiB frame over the smallest buffers that Linux posts.
const MAX_BUFFERS: usize = 64;

/// Buffers ahead of the one that is filled whose memory is fetched already: the time of so many small frames is more
/// than that of fetching a line from another processor.
const LOOKAHEAD: usize = 8;

/// Where the buffer of a running number is.
#[inline]
const fn slot(number: usize) -> usize {
    number % MAX_BUFFERS
}

/// What follows the head of a frame.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// `len` bytes in the sender's memory, `offset` bytes into its chain.
    Guest { chain: &'a Chain, offset: usize, len: usize },
    /// Bytes of our own.
    Bytes(&'a [u8]),
}

impl Body<'_> {
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Guest { len, .. } => *len,
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `len` bytes from `from` on into the receiver's buffer.
    #[inline]
    fn copy_to(&self, target: &Chain, target_offset: usize, from: usize, len: usize) {
        match self {
            Self::Guest { chain, offset, .. } => target.copy_from(target_offset, chain, offset + from, len),
            Self::Bytes(bytes) => target.write(target_offset, &bytes[from..from + len]),
        };
    }

    /// Copies all of it into private memory; how many bytes.
    pub fn read(&self, bytes: &mut [u8]) -> usize {
        match self {
            Self::Guest { chain, offset, len } => {
                let len = (*len).min(bytes.len());
                chain.read(*offset, &mut bytes[..len])
            }
            Self::Bytes(body) => {
                let len = body.len().min(bytes.len());
                bytes[..len].copy_from_slice(&body[..len]);
                len
            }
        }
    }
}

/// Why a frame is not in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The guest has posted too few buffers.
    RingFull,
    /// The frame does not fit a buffer, and the driver does not merge buffers.
    TooLong,
    /// The driver broke the rules of the ring.
    Broken,
}

/// A running receive ring.
#[derive(Debug)]
pub struct RxQueue {
    handle: QueueHandle,
    header_bytes: usize,
    mergeable: bool,
    /// Buffers taken out of the ring for frames to come; the one at `next` is the oldest of `taken`.
    buffers: Box<[Chain]>,
    next: usize,
    taken: usize,
    packets: u64,
    bytes: u64,
    /// The frontend was told that the driver broke the rules.
    told: bool,
}

impl RxQueue {
    pub fn new(mut handle: QueueHandle) -> Self {
        let mergeable = handle.features & feature::MRG_RXBUF != 0;
        let long = mergeable || handle.features & VERSION_1 != 0;
        // New buffers are found when a frame comes; nobody need tell us.
        handle.queue.disable_kicks();
        Self {
            handle,
            header_bytes: if long { VNET_HEADER_BYTES } else { LEGACY_VNET_HEADER_BYTES },
            mergeable,
            buffers: (0..MAX_BUFFERS).map(|_| Chain::new()).collect(),
            next: 0,
            taken: 0,
            packets: 0,
            bytes: 0,
            told: false,
        }
    }

    /// Feature bits that the driver accepted.
    pub fn features(&self) -> u64 {
        self.handle.features
    }

    pub fn base(&self) -> u16 {
        self.handle.queue.base()
    }

    /// Puts one frame into the ring: `head` (whose first [`VNET_HEADER_BYTES`] are room for the header, and are
    /// overwritten), then `body`. The driver sees it after [`RxQueue::publish`].
    ///
    /// # Errors
    /// The frame does not fit; the ring is as before.
    #[inline]
    pub fn deliver(&mut self, offload: &Offload, head: &mut [u8], body: Body<'_>) -> Result<(), Refused> {
        let skipped = VNET_HEADER_BYTES - self.header_bytes;
        let total = head.len() - skipped + body.len();
        let count = self.gather(total)?;
        head[skipped..VNET_HEADER_BYTES]
            .copy_from_slice(&offload.to_header(count as u16)[..self.header_bytes]);
        let head = &head[skipped..];
        let mut at = 0;
        for index in 0..count {
            let buffer = &self.buffers[slot(self.next + index)];
            let room = buffer.writable_len().min(total - at);
            let from_head = head.len().saturating_sub(at).min(room);
            if from_head > 0 {
                buffer.write(0, &head[at..at + from_head]);
            }
            if from_head < room {
                body.copy_to(buffer, from_head, at + from_head - head.len(), room - from_head);
            }
            self.handle.queue.complete(buffer.ticket(), room as u32);
            at += room;
        }
        self.next = slot(self.next + count);
        self.taken -= count;
        if self.taken > LOOKAHEAD {
            self.buffers[slot(self.next + LOOKAHEAD)].prefetch_writable();
        }
        self.packets += 1;
        self.bytes += (total - self.header_bytes) as u64;
        Ok(())
    }

    /// How many of the next buffers hold `total` bytes. They stay where they are.
    #[inline]
    fn gather(&mut self, total: usize) -> Result<usize, Refused> {
        let limit = if self.mergeable { MAX_BUFFERS } else { 1 };
        let (mut count, mut room) = (0, 0);
        while room < total {
            if count == limit {
                return Err(Refused::TooLong);
            }
            if count == self.taken {
                self.take_buffers()?;
            }
            room += self.buffers[slot(self.next + count)].writable_len();
            count += 1;
            // The header must lie in the first buffer whole (5.1.6.4).
            if room < self.header_bytes {
                return Err(Refused::TooLong);
            }
        }
        Ok(count)
    }

    /// Takes as many buffers out of the ring as there is room for, at least one. What comes before a broken one is good.
    fn take_buffers(&mut self) -> Result<(), Refused> {
        let before = self.taken;
        let mut refused = Refused::RingFull;
        while self.taken < MAX_BUFFERS {
            let buffer = &mut self.buffers[slot(self.next + self.taken)];
            match self.handle.queue.pop(buffer) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    refused = self.broken(error);
                    break;
                }
            }
            if self.taken <= LOOKAHEAD {
                buffer.prefetch_writable();
            }
            self.taken += 1;
        }
        if self.taken == before { Err(refused) } else { Ok(()) }
    }

    #[cold]
    fn broken(&mut self, error: QueueError) -> Refused {
        if !self.told {
            self.told = true;
            tracing::warn!(%error, "receive ring retired");
            self.handle.report_broken();
        }
        Refused::Broken
    }

    /// Shows the driver what was delivered, and counts it.
    #[inline]
    pub fn publish(&mut self, counters: &PortCounters) {
        if self.packets == 0 {
            return;
        }
        self.handle.publish();
        counters.rx_packets.fetch_add(self.packets, Ordering::Relaxed);
        counters.rx_bytes.fetch_add(self.bytes, Ordering::Relaxed);
        (self.packets, self.bytes) = (0, 0);
    }
}
