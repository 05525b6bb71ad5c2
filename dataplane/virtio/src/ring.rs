//! The three parts of a split ring in guest memory (virtio 1.2, 2.7), each field read or written once per use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::error::QueueError;
use crate::memory::GuestMemory;

/// Bytes of a descriptor.
pub(crate) const DESCRIPTOR_BYTES: u64 = 16;
/// `VIRTQ_DESC_F_NEXT`.
pub(crate) const DESC_NEXT: u16 = 1;
/// `VIRTQ_DESC_F_WRITE`.
pub(crate) const DESC_WRITE: u16 = 2;
/// `VIRTQ_DESC_F_INDIRECT`.
pub(crate) const DESC_INDIRECT: u16 = 4;
/// `VIRTQ_AVAIL_F_NO_INTERRUPT`.
pub(crate) const AVAIL_NO_INTERRUPT: u16 = 1;
/// `VIRTQ_USED_F_NO_NOTIFY`.
pub(crate) const USED_NO_NOTIFY: u16 = 1;

/// A descriptor, copied out of guest memory.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Descriptor {
    pub address: u64,
    pub len: u32,
    pub flags: u16,
    pub next: u16,
}

impl Descriptor {
    #[inline]
    fn from_wire(raw: Self) -> Self {
        Self {
            address: u64::from_le(raw.address),
            len: u32::from_le(raw.len),
            flags: u16::from_le(raw.flags),
            next: u16::from_le(raw.next),
        }
    }

    /// Copies a descriptor out of guest memory, each byte read exactly once whatever the guest does meanwhile.
    ///
    /// # Safety
    /// 16 bytes at `source` are mapped.
    #[inline]
    pub unsafe fn copy(source: *const Self) -> Self {
        if source.is_aligned() {
            // SAFETY: mapped by contract, and aligned.
            return Self::from_wire(unsafe { source.read_volatile() });
        }
        // SAFETY: mapped by contract; bytes need no alignment.
        let bytes = unsafe { source.cast::<[u8; DESCRIPTOR_BYTES as usize]>().read_volatile() };
        // SAFETY: any 16 bytes are a descriptor, and a local array is readable.
        Self::from_wire(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }
}

/// Host pointers to the parts of a ring, valid while `memory` is held; all indexes are masked to the size.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) memory: Arc<GuestMemory>,
    mask: u16,
    descriptors: *const Descriptor,
    avail: *mut u16,
    used: *mut u16,
}

// SAFETY: raw addresses of memory that any thread may touch; `memory` keeps it mapped.
unsafe impl Send for Ring {}

impl Ring {
    /// Checks that the whole ring lies in guest memory with the alignment that atomic access needs.
    pub fn new(
        memory: Arc<GuestMemory>,
        size: u16,
        descriptors: u64,
        avail: u64,
        used: u64,
    ) -> Result<Self, QueueError> {
        let entries = u64::from(size);
        let part = |part, address, len, align: usize| {
            let pointer = memory.slice(address, len).filter(|pointer| pointer.addr().is_multiple_of(align));
            pointer.ok_or(QueueError::RingAddress { part, address })
        };
        let descriptors = part("descriptor table", descriptors, entries * DESCRIPTOR_BYTES, 16)?;
        let avail = part("available ring", avail, 6 + 2 * entries, 2)?;
        let used = part("used ring", used, 6 + 8 * entries, 4)?;
        Ok(Self {
            descriptors: descriptors.cast(),
            avail: avail.cast(),
            used: used.cast(),
            mask: size - 1,
            memory,
        })
    }

    #[inline]
    fn avail_field(&self, index: usize) -> &AtomicU16 {
        debug_assert!(index <= usize::from(self.mask) + 3);
        // SAFETY: flags, idx, size entries and used_event: checked in `new` to be mapped and aligned.
        unsafe { AtomicU16::from_ptr(self.avail.add(index)) }
    }

    #[inline]
    fn used_field(&self, index: usize) -> &AtomicU16 {
        debug_assert!(index <= 4 * usize::from(self.mask) + 6);
        // SAFETY: flags, idx, size entries of eight bytes and avail_event: checked in `new`.
        unsafe { AtomicU16::from_ptr(self.used.add(index)) }
    }

    /// Entry `index` of the descriptor table, copied once. `index` must be at most the mask.
    #[inline]
    pub fn descriptor(&self, index: u16) -> Descriptor {
        // SAFETY: the table was checked to be mapped, and the index is masked.
        unsafe { Descriptor::copy(self.descriptors.add(usize::from(index & self.mask))) }
    }

    /// `avail.idx`; what the driver wrote before it is visible after this.
    #[inline]
    pub fn avail_index(&self) -> u16 {
        u16::from_le(self.avail_field(1).load(Ordering::Acquire))
    }

    #[inline]
    pub fn avail_flags(&self) -> u16 {
        u16::from_le(self.avail_field(0).load(Ordering::Relaxed))
    }

    /// `avail.ring[position % size]`.
    #[inline]
    pub fn avail_head(&self, position: u16) -> u16 {
        u16::from_le(self.avail_field(2 + usize::from(position & self.mask)).load(Ordering::Relaxed))
    }

    /// The index after which the driver wants a call.
    #[inline]
    pub fn used_event(&self) -> u16 {
        u16::from_le(self.avail_field(3 + usize::from(self.mask)).load(Ordering::Relaxed))
    }

    #[inline]
    pub fn used_index(&self) -> u16 {
        u16::from_le(self.used_field(1).load(Ordering::Relaxed))
    }

    /// Writes `used.ring[position % size]`; not visible to the driver before [`Ring::set_used_index`].
    #[inline]
    pub fn set_used(&self, position: u16, head: u16, written: u32) {
        // SAFETY: entries start four bytes into the used ring, which is 4-aligned; the position is masked.
        unsafe {
            let entry = self.used.add(2).cast::<u32>().add(2 * usize::from(position & self.mask));
            entry.write_volatile(u32::from(head).to_le());
            entry.add(1).write_volatile(written.to_le());
        }
    }

    /// Publishes all entries before `index`.
    #[inline]
    pub fn set_used_index(&self, index: u16) {
        self.used_field(1).store(index.to_le(), Ordering::Release);
    }

    pub fn set_used_flags(&self, flags: u16) {
        self.used_field(0).store(flags.to_le(), Ordering::Relaxed);
    }

    /// The index after which the device wants a kick.
    #[inline]
    pub fn set_avail_event(&self, index: u16) {
        self.used_field(2 + 4 * (usize::from(self.mask) + 1)).store(index.to_le(), Ordering::Relaxed);
    }
}
