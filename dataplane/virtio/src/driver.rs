//! The guest's side: memory as a frontend shares it, and a driver for a split ring in it.
//!
//! Tests and benches run real backends with this, without a guest. A driver may also be told to break every rule,
//! so the raw writes are public.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering, fence};

use crate::memory::{GuestMemory, RegionSpec};
use crate::ring::{AVAIL_NO_INTERRUPT, DESC_INDIRECT, DESC_NEXT, DESC_WRITE, USED_NO_NOTIFY};

/// A sealed memfd, mapped: what a guest's RAM is to a backend. Parts are handed out once and never taken back.
#[derive(Debug)]
pub struct GuestRam {
    file: File,
    start: NonNull<u8>,
    size: usize,
    guest_address: u64,
    next: std::sync::atomic::AtomicUsize,
}

// SAFETY: an address range that stays mapped until drop, accessed by raw copies only.
unsafe impl Send for GuestRam {}
// SAFETY: as above.
unsafe impl Sync for GuestRam {}

impl GuestRam {
    /// `size` bytes of zeroes that the guest sees at `guest_address`.
    ///
    /// # Errors
    /// The kernel refuses the memfd, its size, its seals or the mapping.
    pub fn new(guest_address: u64, size: usize) -> io::Result<Arc<Self>> {
        // SAFETY: a literal name and flags; the result is checked.
        let fd =
            unsafe { libc::memfd_create(c"guest-ram".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nobody else owns.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        file.set_len(size as u64)?;
        // SAFETY: no memory is passed.
        if unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh shared mapping of the whole file.
        let address =
            unsafe { libc::mmap(ptr::null_mut(), size, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        let start = NonNull::new(address.cast::<u8>()).filter(|_| address != libc::MAP_FAILED);
        let start = start.ok_or_else(io::Error::last_os_error)?;
        Ok(Arc::new(Self { file, start, size, guest_address, next: 0.into() }))
    }

    /// The entry of a memory table that describes this RAM; user addresses are where it is mapped here.
    ///
    /// # Errors
    /// No descriptor is left for a copy of the file's.
    pub fn spec(&self) -> io::Result<RegionSpec> {
        Ok(RegionSpec {
            guest_address: self.guest_address,
            size: self.size as u64,
            user_address: self.start.as_ptr().addr() as u64,
            mmap_offset: 0,
            file: self.file.as_fd().try_clone_to_owned()?,
        })
    }

    /// The same memory as a backend would map it.
    ///
    /// # Errors
    /// As [`GuestMemory::map`].
    pub fn map(&self) -> io::Result<Arc<GuestMemory>> {
        GuestMemory::map(vec![self.spec()?]).map(Arc::new).map_err(io::Error::other)
    }

    pub fn guest_address(&self) -> u64 {
        self.guest_address
    }

    pub fn size(&self) -> usize {
        self.size
    }

    /// Turns a guest address into one of this process, as rings are announced to a backend.
    pub fn user_address(&self, guest_address: u64) -> u64 {
        self.start.as_ptr().addr() as u64 + (guest_address - self.guest_address)
    }

    /// The guest address of `len` bytes nobody else has, aligned to `align`.
    ///
    /// # Panics
    /// When the RAM is used up: a test's mistake.
    pub fn take(&self, len: usize, align: usize) -> u64 {
        let mut at = 0;
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            at = next.next_multiple_of(align);
            (at + len <= self.size).then_some(at + len)
        });
        assert!(taken.is_ok(), "guest RAM of {} bytes is used up", self.size);
        self.guest_address + at as u64
    }

    fn at(&self, guest_address: u64, len: usize) -> *mut u8 {
        let offset = (guest_address - self.guest_address) as usize;
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.size), "outside guest RAM");
        // SAFETY: just checked.
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// # Panics
    /// When the range is outside the RAM.
    pub fn write(&self, guest_address: u64, bytes: &[u8]) {
        // SAFETY: `at` checks the range; `bytes` is private.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(guest_address, bytes.len()), bytes.len()) };
    }

    /// # Panics
    /// When the range is outside the RAM.
    pub fn read(&self, guest_address: u64, bytes: &mut [u8]) {
        // SAFETY: `at` checks the range; `bytes` is private.
        unsafe {
            ptr::copy_nonoverlapping(self.at(guest_address, bytes.len()), bytes.as_mut_ptr(), bytes.len())
        };
    }

    fn field(&self, guest_address: u64) -> &AtomicU16 {
        // SAFETY: `at` checks the range; rings are aligned by `DriverQueue::new`.
        unsafe { AtomicU16::from_ptr(self.at(guest_address, 2).cast()) }
    }
}

impl Drop for GuestRam {
    fn drop(&mut self) {
        // SAFETY: the range mapped in `new`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}

/// A buffer of a request: guest address and bytes.
pub type Buffer = (u64, u32);

/// The driver of one split ring.
#[derive(Debug)]
pub struct DriverQueue {
    ram: Arc<GuestRam>,
    size: u16,
    event_idx: bool,
    descriptors: u64,
    avail: u64,
    used: u64,
    /// Heads of unused descriptors, chained through `next`.
    free: Vec<u16>,
    /// Descriptors of the chain that starts at each head.
    lengths: Vec<u16>,
    next_avail: u16,
    /// `avail.idx` at the last kick decision.
    asked_avail: u16,
    next_used: u16,
}

impl DriverQueue {
    /// A ring of `size` descriptors in `ram`.
    ///
    /// # Panics
    /// When `ram` is too small or `size` is no power of two.
    pub fn new(ram: Arc<GuestRam>, size: u16, event_idx: bool) -> Self {
        assert!(size.is_power_of_two());
        let entries = usize::from(size);
        Self {
            descriptors: ram.take(16 * entries, 16),
            avail: ram.take(6 + 2 * entries, 64),
            used: ram.take(6 + 8 * entries, 64),
            free: (0..size).rev().collect(),
            lengths: vec![0; entries],
            next_avail: 0,
            asked_avail: 0,
            next_used: 0,
            ram,
            size,
            event_idx,
        }
    }

    pub fn ram(&self) -> &Arc<GuestRam> {
        &self.ram
    }

    pub fn size(&self) -> u16 {
        self.size
    }

    /// Guest addresses of the descriptor table, the available ring and the used ring.
    pub fn addresses(&self) -> (u64, u64, u64) {
        (self.descriptors, self.avail, self.used)
    }

    /// Unused descriptors.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Writes descriptor `index` raw, whatever it says.
    ///
    /// # Panics
    /// When `index` is outside the table.
    pub fn write_descriptor(&self, index: u16, address: u64, len: u32, flags: u16, next: u16) {
        self.write_descriptor_at(self.descriptors + 16 * u64::from(index), address, len, flags, next);
    }

    /// Writes a descriptor anywhere in RAM: an indirect table's.
    ///
    /// # Panics
    /// When `at` is outside the RAM.
    pub fn write_descriptor_at(&self, at: u64, address: u64, len: u32, flags: u16, next: u16) {
        let mut raw = [0u8; 16];
        raw[..8].copy_from_slice(&address.to_le_bytes());
        raw[8..12].copy_from_slice(&len.to_le_bytes());
        raw[12..14].copy_from_slice(&flags.to_le_bytes());
        raw[14..].copy_from_slice(&next.to_le_bytes());
        self.ram.write(at, &raw);
    }

    /// Puts `head` into the available ring without showing it to the device yet.
    pub fn push_head(&mut self, head: u16) {
        let slot = u64::from(self.next_avail & (self.size - 1));
        self.ram.field(self.avail + 4 + 2 * slot).store(head.to_le(), Ordering::Relaxed);
        self.next_avail = self.next_avail.wrapping_add(1);
    }

    /// Sets `avail.idx` raw.
    pub fn set_avail_index(&mut self, index: u16) {
        self.ram.field(self.avail + 2).store(index.to_le(), Ordering::Release);
    }

    /// Describes a request by a chain of descriptors; `None` when too few are free. Shown to the device by
    /// [`DriverQueue::publish`].
    pub fn add(&mut self, readable: &[Buffer], writable: &[Buffer]) -> Option<u16> {
        let count = readable.len() + writable.len();
        if count == 0 || count > self.free.len() {
            return None;
        }
        let buffers =
            readable.iter().map(|&buffer| (buffer, 0)).chain(writable.iter().map(|&b| (b, DESC_WRITE)));
        let first = self.free.len() - count;
        for (position, ((address, len), flags)) in buffers.enumerate() {
            let index = self.free[first + position];
            let (more, next) = match self.free.get(first + position + 1) {
                Some(&next) if position + 1 < count => (DESC_NEXT, next),
                _ => (0, 0),
            };
            self.write_descriptor(index, address, len, flags | more, next);
        }
        let head = self.free[first];
        self.lengths[usize::from(head)] = count as u16;
        self.free.truncate(first);
        self.push_head(head);
        Some(head)
    }

    /// Describes a request by one descriptor and a table of `readable` and `writable` buffers at guest address
    /// `table` (16 bytes each); `None` when no descriptor is free.
    pub fn add_indirect(&mut self, table: u64, readable: &[Buffer], writable: &[Buffer]) -> Option<u16> {
        let count = readable.len() + writable.len();
        let buffers =
            readable.iter().map(|&buffer| (buffer, 0)).chain(writable.iter().map(|&b| (b, DESC_WRITE)));
        for (position, ((address, len), flags)) in buffers.enumerate() {
            let more = if position + 1 < count { DESC_NEXT } else { 0 };
            let at = table + 16 * position as u64;
            self.write_descriptor_at(at, address, len, flags | more, position as u16 + 1);
        }
        let head = self.free.pop()?;
        self.write_descriptor(head, table, 16 * count as u32, DESC_INDIRECT, 0);
        self.lengths[usize::from(head)] = 1;
        self.push_head(head);
        Some(head)
    }

    /// Shows the device everything added. True when it asked for a kick.
    pub fn publish(&mut self) -> bool {
        self.set_avail_index(self.next_avail);
        fence(Ordering::SeqCst);
        let old = std::mem::replace(&mut self.asked_avail, self.next_avail);
        if !self.event_idx {
            return u16::from_le(self.ram.field(self.used).load(Ordering::Relaxed)) & USED_NO_NOTIFY == 0;
        }
        let event = self.ram.field(self.used + 4 + 8 * u64::from(self.size)).load(Ordering::Relaxed);
        let passed = self.next_avail.wrapping_sub(u16::from_le(event)).wrapping_sub(1);
        passed < self.next_avail.wrapping_sub(old)
    }

    /// `used.idx` as the device left it.
    pub fn used_index(&self) -> u16 {
        u16::from_le(self.ram.field(self.used + 2).load(Ordering::Acquire))
    }

    /// The next request that the device is done with: its head and the bytes written. Its descriptors are free again.
    pub fn poll(&mut self) -> Option<(u16, u32)> {
        if self.used_index() == self.next_used {
            return None;
        }
        let slot = u64::from(self.next_used & (self.size - 1));
        let mut entry = [0u8; 8];
        self.ram.read(self.used + 4 + 8 * slot, &mut entry);
        let [a, b, c, d, e, f, g, h] = entry;
        let (head, written) = (u32::from_le_bytes([a, b, c, d]) as u16, u32::from_le_bytes([e, f, g, h]));
        self.next_used = self.next_used.wrapping_add(1);
        self.give_back(head);
        Some((head, written))
    }

    fn give_back(&mut self, head: u16) {
        let Some(count) = self.lengths.get_mut(usize::from(head)).map(std::mem::take) else { return };
        let mut index = head;
        // Handed out from the end of the list, so put back with the head last: the next request reuses it.
        let at = self.free.len();
        for _ in 0..count {
            self.free.push(index);
            let mut next = [0u8; 2];
            self.ram.read(self.descriptors + 16 * u64::from(index) + 14, &mut next);
            index = u16::from_le_bytes(next);
        }
        self.free[at..].reverse();
    }

    /// Asks the device for a call at its next used entry; true when there are used entries already.
    pub fn enable_calls(&mut self) -> bool {
        if self.event_idx {
            let event = self.avail + 4 + 2 * u64::from(self.size);
            self.ram.field(event).store(self.next_used.to_le(), Ordering::Relaxed);
        } else {
            self.ram.field(self.avail).store(0, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        self.used_index() != self.next_used
    }

    /// Tells the device that calls are not needed for now.
    pub fn disable_calls(&mut self) {
        if self.event_idx {
            // Half the index space away: never reached before the next wish.
            let event = self.avail + 4 + 2 * u64::from(self.size);
            self.ram.field(event).store(self.next_used.wrapping_sub(0x8000).to_le(), Ordering::Relaxed);
        } else {
            self.ram.field(self.avail).store(AVAIL_NO_INTERRUPT.to_le(), Ordering::Relaxed);
        }
    }

    /// The index of the oldest request that the device is not done with: what a frontend restarts from when its
    /// backend died.
    pub fn next_used(&self) -> u16 {
        self.next_used
    }
}
