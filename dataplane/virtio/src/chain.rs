//! One request or packet: the buffers of a descriptor chain, translated and bounded, and the copies in and out.

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::ptr;
use std::sync::Arc;

use crate::memory::GuestMemory;

/// Consecutive bytes of guest memory inside one region.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub(crate) start: *mut u8,
    pub(crate) len: u32,
    pub(crate) region: u16,
}

// SAFETY: an address range; the `Chain` that hands segments out keeps the memory mapped and all access is by raw copy.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Segment {
    /// The address in this process, for handing to the kernel. Valid while the chain's [`Chain::memory`] is held.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start
    }

    /// Bytes; never zero.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Never: empty descriptors retire the queue.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Index into [`GuestMemory::regions`], for registered buffers.
    pub fn region(&self) -> usize {
        usize::from(self.region)
    }
}

/// The buffers of one descriptor chain. Made once and filled again and again by [`crate::SplitQueue::pop`], so that
/// no request allocates. Holds the memory that its segments point into: a request in flight cannot outlive it.
#[derive(Debug)]
pub struct Chain {
    pub(crate) memory: Option<Arc<GuestMemory>>,
    pub(crate) segments: Vec<Segment>,
    /// So many of `segments` are readable; the rest is writable.
    pub(crate) readable: usize,
    pub(crate) readable_bytes: u32,
    pub(crate) writable_bytes: u32,
    pub(crate) ticket: u16,
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Chain {
    /// An empty chain, to be filled by [`crate::SplitQueue::pop`].
    pub fn new() -> Self {
        Self {
            memory: None,
            segments: Vec::with_capacity(16),
            readable: 0,
            readable_bytes: 0,
            writable_bytes: 0,
            ticket: 0,
        }
    }

    /// Forgets the buffers and lets go of the guest's memory.
    pub fn release(&mut self) {
        self.segments.clear();
        (self.readable, self.readable_bytes, self.writable_bytes) = (0, 0, 0);
        self.memory = None;
    }

    /// What [`crate::SplitQueue::complete`] wants back.
    #[inline]
    pub fn ticket(&self) -> u16 {
        self.ticket
    }

    /// The memory that the segments lie in; `None` before the first `pop`.
    pub fn memory(&self) -> Option<&Arc<GuestMemory>> {
        self.memory.as_ref()
    }

    /// What the device reads.
    #[inline]
    pub fn readable(&self) -> &[Segment] {
        &self.segments[..self.readable]
    }

    /// What the device writes.
    #[inline]
    pub fn writable(&self) -> &[Segment] {
        &self.segments[self.readable..]
    }

    /// Bytes that the device may read.
    #[inline]
    pub fn readable_len(&self) -> usize {
        self.readable_bytes as usize
    }

    /// Bytes that the device may write.
    #[inline]
    pub fn writable_len(&self) -> usize {
        self.writable_bytes as usize
    }

    /// Has the processor fetch the first buffer of what the device reads, up to 128 bytes, for a later [`Chain::read`].
    #[inline]
    pub fn prefetch_readable(&self) {
        prefetch(self.readable(), Purpose::Read);
    }

    /// The same for what the device writes, for a later [`Chain::write`].
    #[inline]
    pub fn prefetch_writable(&self) {
        prefetch(self.writable(), Purpose::Write);
    }

    /// Copies from the readable part, starting `offset` bytes in; how many bytes there were (at most all of `bytes`).
    #[inline]
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        for (source, len) in pieces(self.readable(), offset, bytes.len()) {
            // SAFETY: `pieces` stays inside the segments (checked when popped, memory held by self) and hands out
            // at most bytes.len() bytes in all; private memory never overlaps guest memory.
            unsafe { ptr::copy_nonoverlapping(source, bytes.as_mut_ptr().add(done), len) };
            done += len;
        }
        done
    }

    /// Copies into the writable part, starting `offset` bytes in; how many bytes fitted.
    #[inline]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> usize {
        let mut done = 0;
        for (target, len) in pieces(self.writable(), offset, bytes.len()) {
            // SAFETY: as in `read`, the other way round.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr().add(done), target, len) };
            done += len;
        }
        done
    }

    /// Fills `len` bytes of the writable part with zeroes, starting `offset` bytes in; how many fitted.
    pub fn write_zeroes(&self, offset: usize, len: usize) -> usize {
        let mut done = 0;
        for (target, len) in pieces(self.writable(), offset, len) {
            // SAFETY: `pieces` stays inside the segments.
            unsafe { ptr::write_bytes(target, 0, len) };
            done += len;
        }
        done
    }

    /// Copies `len` bytes from the readable part of `source`, starting `source_offset` bytes in, into the writable
    /// part of this chain, starting `offset` bytes in; how many bytes there were and fitted. From guest memory to
    /// guest memory, without a stop in between.
    #[inline]
    pub fn copy_from(&self, offset: usize, source: &Chain, source_offset: usize, len: usize) -> usize {
        let mut done = 0;
        for (from, from_len) in pieces(source.readable(), source_offset, len) {
            let mut taken = 0;
            for (target, piece) in pieces(self.writable(), offset + done, from_len) {
                // SAFETY: both sides stay inside their segments. `copy` and not `copy_nonoverlapping`: a guest may
                // give the same bytes as source and target.
                unsafe { ptr::copy(from.add(taken), target, piece) };
                taken += piece;
                done += piece;
            }
            if taken < from_len {
                break;
            }
        }
        done
    }
}

/// How much of a buffer is fetched ahead: the headers of a packet, or a small one whole.
const PREFETCHED_BYTES: usize = 2 * CACHE_LINE_BYTES;

const CACHE_LINE_BYTES: usize = 64;

/// What a cache line is fetched for.
#[derive(Clone, Copy)]
enum Purpose {
    Read,
    /// No other processor keeps a copy.
    Write,
}

/// Starts to fetch the first bytes of the first segment; they come while other things are done. In assembly, because the
/// compiler makes a fetch for writing one for reading where the target is any x86-64.
#[inline]
fn prefetch(segments: &[Segment], purpose: Purpose) {
    let Some(segment) = segments.first() else { return };
    for offset in (0..PREFETCHED_BYTES.min(segment.len())).step_by(CACHE_LINE_BYTES) {
        let address = segment.start.wrapping_add(offset);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch is a hint: it changes nothing and faults at no address, and where the processor does
        // not know the one for writing it does nothing.
        unsafe {
            match purpose {
                Purpose::Read => {
                    asm!("prefetcht0 [{}]", in(reg) address, options(nostack, preserves_flags, readonly))
                }
                Purpose::Write => {
                    asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly))
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (address, purpose);
    }
}

/// The parts of `segments` that hold `len` bytes from `offset` on.
#[inline]
fn pieces(segments: &[Segment], mut offset: usize, mut len: usize) -> impl Iterator<Item = (*mut u8, usize)> {
    segments.iter().filter_map(move |segment| {
        let size = segment.len as usize;
        if offset >= size {
            offset -= size;
            return None;
        }
        let piece = (size - offset).min(len);
        if piece == 0 {
            return None;
        }
        // SAFETY: offset < size, so the pointer stays inside the segment.
        let start = unsafe { segment.start.add(offset) };
        offset = 0;
        len -= piece;
        Some((start, piece))
    })
}
