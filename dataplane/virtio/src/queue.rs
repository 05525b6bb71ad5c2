//! The device's side of a split virtqueue.
//!
//! Requests may be worked on in any order, but used entries are published strictly in the order in which the driver
//! made them available. So `used.idx` always names the first request that is not done, and a frontend that finds its
//! backend dead restarts the ring there: nothing is lost, and only what was never acknowledged is done again.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use crate::chain::{Chain, Segment};
use crate::error::QueueError;
use crate::memory::GuestMemory;
use crate::ring::{
    AVAIL_NO_INTERRUPT, DESC_INDIRECT, DESC_NEXT, DESC_WRITE, DESCRIPTOR_BYTES, Descriptor, Ring,
    USED_NO_NOTIFY,
};

/// The largest queue, in descriptors. virtio allows 32768; QEMU stops at 1024.
pub const MAX_QUEUE_SIZE: u16 = 4096;

/// The longest indirect table, in descriptors. A longer one retires the queue.
pub const MAX_INDIRECT: u16 = 1024;

/// Where a ring lies, in guest addresses, and how it is run.
#[derive(Clone, Copy, Debug)]
pub struct QueueConfig {
    /// In descriptors; a power of two.
    pub size: u16,
    pub descriptors: u64,
    pub avail: u64,
    pub used: u64,
    /// The index to start from (`SET_VRING_BASE`).
    pub base: u16,
    /// `VIRTIO_F_RING_EVENT_IDX` was negotiated.
    pub event_idx: bool,
    /// `VIRTIO_F_RING_INDIRECT_DESC` was negotiated.
    pub indirect: bool,
}

/// A request between `pop` and `publish`.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    written: u32,
    head: u16,
    done: bool,
}

/// A split ring with its positions. One thread owns it at a time.
#[derive(Debug)]
pub struct SplitQueue {
    ring: Ring,
    size: u16,
    event_idx: bool,
    indirect: bool,
    /// Next position to pop.
    next_avail: u16,
    /// `avail.idx` as last read; positions before it are there to pop.
    seen_avail: u16,
    /// Next position to publish; also `used.idx`.
    next_used: u16,
    /// `used.idx` when the driver was last asked whether it wants a call; `None` before the first time.
    asked_used: Option<u16>,
    /// By position modulo size.
    slots: Box<[Slot]>,
    /// By head: is it popped and not yet published?
    in_use: Box<[bool]>,
    broken: Option<QueueError>,
}

impl SplitQueue {
    /// # Errors
    /// A size that is no power of two up to [`MAX_QUEUE_SIZE`], or a ring outside guest memory.
    pub fn new(memory: Arc<GuestMemory>, config: &QueueConfig) -> Result<Self, QueueError> {
        let size = config.size;
        if !size.is_power_of_two() || size > MAX_QUEUE_SIZE {
            return Err(QueueError::Size { size, limit: MAX_QUEUE_SIZE });
        }
        let ring = Ring::new(memory, size, config.descriptors, config.avail, config.used)?;
        // A predecessor that died left requests between used.idx and its base: they are done again from used.idx.
        let published = ring.used_index();
        let lost = config.base.wrapping_sub(published);
        let start = if lost <= size { published } else { config.base };
        Ok(Self {
            ring,
            size,
            event_idx: config.event_idx,
            indirect: config.indirect,
            next_avail: start,
            seen_avail: start,
            next_used: start,
            asked_used: None,
            slots: vec![Slot::default(); usize::from(size)].into(),
            in_use: vec![false; usize::from(size)].into(),
            broken: None,
        })
    }

    pub fn size(&self) -> u16 {
        self.size
    }

    pub fn memory(&self) -> &Arc<GuestMemory> {
        &self.ring.memory
    }

    /// The index of the first request that is not published: where a successor starts (`GET_VRING_BASE`).
    #[inline]
    pub fn base(&self) -> u16 {
        self.next_used
    }

    /// Requests popped and not yet published.
    #[inline]
    pub fn in_flight(&self) -> u16 {
        self.next_avail.wrapping_sub(self.next_used)
    }

    /// Why the queue was retired, if it was.
    pub fn broken(&self) -> Option<QueueError> {
        self.broken
    }

    /// Takes the next request into `chain`; false when there is none.
    ///
    /// # Errors
    /// The driver broke the rules. The queue is retired: it answers the same error for ever.
    #[inline]
    pub fn pop(&mut self, chain: &mut Chain) -> Result<bool, QueueError> {
        if self.next_avail == self.seen_avail && !self.look()? {
            return Ok(false);
        }
        let position = self.next_avail;
        match self.take(position, chain) {
            Ok(()) => {
                self.next_avail = position.wrapping_add(1);
                Ok(true)
            }
            Err(error) => Err(self.retire(error)),
        }
    }

    /// How many requests can be popped without an error; reads `avail.idx`.
    ///
    /// # Errors
    /// As [`SplitQueue::pop`].
    pub fn available(&mut self) -> Result<u16, QueueError> {
        self.look()?;
        Ok(self.seen_avail.wrapping_sub(self.next_avail))
    }

    /// Marks a popped request as done, `written` bytes of its writable part filled. Not visible to the driver before
    /// [`SplitQueue::publish`].
    #[inline]
    pub fn complete(&mut self, ticket: u16, written: u32) {
        if ticket.wrapping_sub(self.next_used) < self.in_flight() {
            let slot = &mut self.slots[usize::from(ticket & (self.size - 1))];
            slot.written = written;
            slot.done = true;
        }
    }

    /// Shows the driver all requests that are done and have none before them that is not; how many.
    #[inline]
    pub fn publish(&mut self) -> u16 {
        let first = self.next_used;
        while self.next_used != self.next_avail {
            let slot = &mut self.slots[usize::from(self.next_used & (self.size - 1))];
            if !slot.done {
                break;
            }
            slot.done = false;
            self.in_use[usize::from(slot.head)] = false;
            self.ring.set_used(self.next_used, slot.head, slot.written);
            self.next_used = self.next_used.wrapping_add(1);
        }
        let count = self.next_used.wrapping_sub(first);
        if count > 0 {
            self.ring.set_used_index(self.next_used);
        }
        count
    }

    /// Does the driver want a call for what was published since this was last asked? (virtio 1.2, 2.7.7.2)
    #[inline]
    pub fn wants_call(&mut self) -> bool {
        let new = self.next_used;
        if self.asked_used == Some(new) {
            return false;
        }
        // used.idx must be visible before the driver's wish is read, else both sides may wait for each other.
        fence(Ordering::SeqCst);
        let old = self.asked_used.replace(new);
        if !self.event_idx {
            return self.ring.avail_flags() & AVAIL_NO_INTERRUPT == 0;
        }
        let Some(old) = old else { return true };
        let event = self.ring.used_event();
        new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
    }

    /// Asks the driver for a kick at its next request. True when requests are there already: they may have come
    /// without a kick, so the caller must not sleep.
    ///
    /// # Errors
    /// As [`SplitQueue::pop`].
    pub fn enable_kicks(&mut self) -> Result<bool, QueueError> {
        if self.event_idx {
            self.ring.set_avail_event(self.next_avail);
        } else {
            self.ring.set_used_flags(0);
        }
        // The wish must be visible before avail.idx is read, else both sides may wait for each other.
        fence(Ordering::SeqCst);
        self.look()
    }

    /// Tells the driver that kicks are not needed for now. With event indexes there is nothing to say: the last wish
    /// lies behind.
    pub fn disable_kicks(&mut self) {
        if !self.event_idx {
            self.ring.set_used_flags(USED_NO_NOTIFY);
        }
    }

    #[cold]
    fn retire(&mut self, error: QueueError) -> QueueError {
        self.broken = Some(error);
        self.seen_avail = self.next_avail;
        error
    }

    /// Reads `avail.idx`; is there something to pop?
    #[inline]
    fn look(&mut self) -> Result<bool, QueueError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let index = self.ring.avail_index();
        let outstanding = index.wrapping_sub(self.next_used);
        if outstanding > self.size || outstanding < self.in_flight() {
            return Err(self.retire(QueueError::AvailIndex { from: self.seen_avail, to: index }));
        }
        self.seen_avail = index;
        Ok(self.next_avail != index)
    }

    #[inline]
    fn take(&mut self, position: u16, chain: &mut Chain) -> Result<(), QueueError> {
        let head = self.ring.avail_head(position);
        let Some(in_use) = self.in_use.get_mut(usize::from(head)) else {
            return Err(QueueError::DescriptorIndex { index: head, size: self.size });
        };
        if std::mem::replace(in_use, true) {
            return Err(QueueError::HeadInUse { head });
        }
        self.slots[usize::from(position & (self.size - 1))] = Slot { written: 0, head, done: false };
        chain.segments.clear();
        chain.ticket = position;
        if !chain.memory.as_ref().is_some_and(|memory| Arc::ptr_eq(memory, &self.ring.memory)) {
            chain.memory = Some(Arc::clone(&self.ring.memory));
        }
        let mut walk = Walk { memory: &self.ring.memory, chain, bytes: 0, writable: false };
        self.walk(head, &mut walk)?;
        walk.finish();
        Ok(())
    }

    /// Follows a chain in the descriptor table. Ends at a descriptor without NEXT or with an error, never silently.
    #[inline]
    fn walk(&self, head: u16, walk: &mut Walk<'_>) -> Result<(), QueueError> {
        let mut index = head;
        for _ in 0..self.size {
            if index >= self.size {
                return Err(QueueError::DescriptorIndex { index, size: self.size });
            }
            let descriptor = self.ring.descriptor(index);
            if descriptor.flags & DESC_INDIRECT != 0 {
                // NEXT together with INDIRECT is forbidden (2.7.5.3.1).
                if !self.indirect || descriptor.flags & DESC_NEXT != 0 {
                    return Err(QueueError::Indirect { len: descriptor.len });
                }
                return walk.indirect(&descriptor);
            }
            walk.add(&descriptor)?;
            if descriptor.flags & DESC_NEXT == 0 {
                return Ok(());
            }
            index = descriptor.next;
        }
        Err(QueueError::ChainLength { limit: self.size })
    }
}

/// A chain while it is collected.
struct Walk<'a> {
    memory: &'a GuestMemory,
    chain: &'a mut Chain,
    bytes: u64,
    /// A writable descriptor was seen; `chain.readable` is final.
    writable: bool,
}

impl Walk<'_> {
    fn indirect(&mut self, table: &Descriptor) -> Result<(), QueueError> {
        let entries = u64::from(table.len) / DESCRIPTOR_BYTES;
        let whole = u64::from(table.len) % DESCRIPTOR_BYTES == 0;
        if !whole || entries == 0 || entries > u64::from(MAX_INDIRECT) {
            return Err(QueueError::Indirect { len: table.len });
        }
        let Some(start) = self.memory.slice(table.address, u64::from(table.len)) else {
            return Err(QueueError::BufferAddress { address: table.address, len: table.len });
        };
        let mut index = 0u16;
        for _ in 0..entries {
            if u64::from(index) >= entries {
                return Err(QueueError::DescriptorIndex { index, size: entries as u16 });
            }
            // SAFETY: the whole table was checked to lie in guest memory, and index < entries.
            let descriptor = unsafe { Descriptor::copy(start.cast::<Descriptor>().add(usize::from(index))) };
            if descriptor.flags & DESC_INDIRECT != 0 {
                return Err(QueueError::Indirect { len: descriptor.len });
            }
            self.add(&descriptor)?;
            if descriptor.flags & DESC_NEXT == 0 {
                return Ok(());
            }
            index = descriptor.next;
        }
        Err(QueueError::ChainLength { limit: entries as u16 })
    }

    #[inline]
    fn add(&mut self, descriptor: &Descriptor) -> Result<(), QueueError> {
        let writable = descriptor.flags & DESC_WRITE != 0;
        if descriptor.len == 0 {
            return Err(QueueError::EmptyDescriptor);
        }
        if writable && !self.writable {
            self.end_readable();
        } else if !writable && self.writable {
            return Err(QueueError::ReadableAfterWritable);
        }
        self.bytes += u64::from(descriptor.len);
        if self.bytes > u64::from(u32::MAX) {
            return Err(QueueError::ChainBytes);
        }
        self.translate(descriptor)
    }

    /// A buffer is one segment, or several where it runs across regions that touch each other.
    #[inline]
    fn translate(&mut self, descriptor: &Descriptor) -> Result<(), QueueError> {
        let (mut address, mut left) = (descriptor.address, u64::from(descriptor.len));
        while left > 0 {
            let Some((region, start, here)) = self.memory.locate(address) else {
                return Err(QueueError::BufferAddress { address: descriptor.address, len: descriptor.len });
            };
            let len = here.min(left);
            self.chain.segments.push(Segment { start, len: len as u32, region });
            left -= len;
            address = address.wrapping_add(len);
        }
        Ok(())
    }

    #[inline]
    fn end_readable(&mut self) {
        self.writable = true;
        self.chain.readable = self.chain.segments.len();
        self.chain.readable_bytes = self.bytes as u32;
    }

    #[inline]
    fn finish(&mut self) {
        if !self.writable {
            self.end_readable();
        }
        self.chain.writable_bytes = self.bytes as u32 - self.chain.readable_bytes;
    }
}

#[cfg(test)]
mod tests;
