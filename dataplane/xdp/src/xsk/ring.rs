//! The four rings of an AF_XDP socket: single producer, single consumer, one side each is the kernel.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the parts of each ring lie in its mapping.
pub struct Offsets(libc::xdp_mmap_offsets);

impl Offsets {
    pub fn of(socket: &OwnedFd) -> io::Result<Self> {
        // SAFETY: all zeroes is a valid value of this plain struct.
        let mut offsets: libc::xdp_mmap_offsets = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut len = size_of_val(&offsets) as u32;
        // SAFETY: the buffer is as long as `len` says.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_XDP,
                libc::XDP_MMAP_OFFSETS,
                (&raw mut offsets).cast(),
                &raw mut len,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        if len as usize != size_of_val(&offsets) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel's rings have another layout"));
        }
        Ok(Self(offsets))
    }
}

pub fn fill(socket: &OwnedFd, offsets: &Offsets, entries: u32) -> io::Result<DescriptorRing<u64>> {
    DescriptorRing::map(socket, &offsets.0.fr, libc::XDP_UMEM_PGOFF_FILL_RING as i64, entries)
}

pub fn completion(socket: &OwnedFd, offsets: &Offsets, entries: u32) -> io::Result<DescriptorRing<u64>> {
    DescriptorRing::map(socket, &offsets.0.cr, libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64, entries)
}

pub fn rx(socket: &OwnedFd, offsets: &Offsets, entries: u32) -> io::Result<DescriptorRing<libc::xdp_desc>> {
    DescriptorRing::map(socket, &offsets.0.rx, libc::XDP_PGOFF_RX_RING, entries)
}

pub fn tx(socket: &OwnedFd, offsets: &Offsets, entries: u32) -> io::Result<DescriptorRing<libc::xdp_desc>> {
    DescriptorRing::map(socket, &offsets.0.tx, libc::XDP_PGOFF_TX_RING, entries)
}

/// A ring of `T`, of which we are the producer or the consumer: the functions for the other role are not called.
#[derive(Debug)]
pub struct DescriptorRing<T> {
    mapping: NonNull<u8>,
    mapping_len: usize,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    mask: u32,
    /// Our own position, ahead of what the other side sees until `submit` or `release`.
    position: u32,
    /// The other side's position as last read.
    seen: u32,
}

// SAFETY: the mapping belongs to this value; positions shared with the kernel are atomics.
unsafe impl<T> Send for DescriptorRing<T> {}

impl<T: Copy> DescriptorRing<T> {
    fn map(
        socket: &OwnedFd,
        offset: &libc::xdp_ring_offset,
        page_offset: i64,
        entries: u32,
    ) -> io::Result<Self> {
        let mapping_len = offset.desc as usize + entries as usize * size_of::<T>();
        // SAFETY: a fresh shared mapping of the socket's ring.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                mapping_len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                socket.as_raw_fd(),
                page_offset,
            )
        };
        let mapping = NonNull::new(address.cast::<u8>()).filter(|_| address != libc::MAP_FAILED);
        let mapping = mapping.ok_or_else(io::Error::last_os_error)?;
        let part = |offset: u64| {
            // SAFETY: the kernel's offsets lie before the descriptors, which end at the mapping's length.
            unsafe { mapping.add(offset as usize) }
        };
        Ok(Self {
            producer: part(offset.producer).cast(),
            consumer: part(offset.consumer).cast(),
            flags: part(offset.flags).cast(),
            entries: part(offset.desc).cast(),
            mapping,
            mapping_len,
            mask: entries - 1,
            position: 0,
            seen: 0,
        })
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: mapped and aligned by the kernel, and only ever accessed atomically.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.consumer.as_ref() }
    }

    /// As producer: writes an entry. There is always room: rings have an entry for every frame.
    pub fn push(&mut self, entry: T) {
        // SAFETY: the index is masked; the kernel does not read the entry before `submit`.
        unsafe { self.entries.add((self.position & self.mask) as usize).write(entry) };
        self.position = self.position.wrapping_add(1);
    }

    /// As producer: shows the kernel all entries pushed.
    pub fn submit(&self) {
        self.producer().store(self.position, Ordering::Release);
    }

    /// As producer: must the kernel be woken to go on?
    pub fn wants_wakeup(&self) -> bool {
        // SAFETY: as in `producer`.
        unsafe { self.flags.as_ref() }.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// As producer: the kernel took everything.
    pub fn drained(&self) -> bool {
        self.consumer().load(Ordering::Acquire) == self.position
    }

    /// As consumer: entries to pop.
    pub fn readable(&mut self) -> u32 {
        if self.seen == self.position {
            self.seen = self.producer().load(Ordering::Acquire);
        }
        self.seen.wrapping_sub(self.position)
    }

    /// As consumer: the next entry; only after `readable` said that there is one.
    pub fn pop(&mut self) -> T {
        // SAFETY: the index is masked; the kernel wrote the entry before it moved the producer past it.
        let entry = unsafe { self.entries.add((self.position & self.mask) as usize).read() };
        self.position = self.position.wrapping_add(1);
        entry
    }

    /// As consumer: gives the popped entries back.
    pub fn release(&self) {
        self.consumer().store(self.position, Ordering::Release);
    }
}

impl<T> Drop for DescriptorRing<T> {
    fn drop(&mut self) {
        // SAFETY: the range mapped in `map`; nothing points into it any more.
        unsafe { libc::munmap(self.mapping.as_ptr().cast(), self.mapping_len) };
    }
}
