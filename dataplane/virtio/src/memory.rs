//! The guest's memory as the frontend describes it: regions of files, mapped shared, addresses translated.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

use crate::error::MemoryError;

/// The most regions of one table. vhost-user without `CONFIGURE_MEM_SLOTS` sends at most 8; a longer table is
/// refused.
pub const MAX_REGIONS: usize = 64;

/// One entry of a memory table, not mapped yet (vhost-user, "Memory region description").
#[derive(Debug)]
pub struct RegionSpec {
    /// Where the guest sees the region.
    pub guest_address: u64,
    /// In bytes.
    pub size: u64,
    /// Where the frontend sees the region: ring addresses are given in this space.
    pub user_address: u64,
    /// Where the region starts in `file`, in bytes.
    pub mmap_offset: u64,
    pub file: OwnedFd,
}

/// A mapped region. Lives as long as the [`GuestMemory`] that it belongs to.
#[derive(Debug)]
pub struct MemoryRegion {
    guest_address: u64,
    user_address: u64,
    size: u64,
    start: NonNull<u8>,
    mapping: NonNull<u8>,
    mapping_len: usize,
    file: OwnedFd,
}

// SAFETY: a region is an address range that stays mapped until drop; all access goes through raw copies, which
// need no exclusive owner (the guest writes to the same bytes anyway).
unsafe impl Send for MemoryRegion {}
// SAFETY: as above.
unsafe impl Sync for MemoryRegion {}

impl MemoryRegion {
    fn map(index: usize, spec: RegionSpec) -> Result<Self, MemoryError> {
        let RegionSpec { guest_address, size, user_address, mmap_offset, file } = spec;
        let system = |action| move |source| MemoryError::System { index, action, source };
        let extent = MemoryError::Extent { index, size };
        let end = mmap_offset.checked_add(size);
        let (Some(end), Some(_), Some(_)) =
            (end, guest_address.checked_add(size), user_address.checked_add(size))
        else {
            return Err(extent);
        };
        if size == 0 || usize::try_from(size).is_err() || i64::try_from(end).is_err() {
            return Err(extent);
        }
        let file = File::from(file);
        let metadata = file.metadata().map_err(system("examined"))?;
        if metadata.len() < end {
            return Err(MemoryError::ShortFile { index, end, file_size: metadata.len() });
        }
        if !sealed_against_shrinking(&file) {
            return Err(MemoryError::NotSealed { index });
        }
        // Huge pages are mapped only at multiples of their size, which such a file gives as its block size.
        let block = std::os::unix::fs::MetadataExt::blksize(&metadata).max(4096);
        let skip = mmap_offset % block;
        let mapping_len = (size + skip) as usize;
        // SAFETY: a fresh shared mapping at an address that the kernel chooses; it aliases nothing of ours. The
        // file cannot shrink under it (sealed), so every byte of the mapping stays backed.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                mapping_len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                file.as_raw_fd(),
                (mmap_offset - skip) as i64,
            )
        };
        let mapping = match NonNull::new(address.cast::<u8>()) {
            Some(mapping) if address != libc::MAP_FAILED => mapping,
            _ => return Err(system("mapped")(io::Error::last_os_error())),
        };
        // SAFETY: the range was mapped just now. Failure only makes a core dump larger.
        unsafe { libc::madvise(address, mapping_len, libc::MADV_DONTDUMP) };
        // SAFETY: skip < mapping_len, as size > 0.
        let start = unsafe { mapping.add(skip as usize) };
        Ok(Self { guest_address, user_address, size, start, mapping, mapping_len, file: file.into() })
    }

    /// Where the region is mapped in this process.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.size as usize
    }

    /// Never: empty regions are refused.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    pub fn guest_address(&self) -> u64 {
        self.guest_address
    }

    /// The file behind the region.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for MemoryRegion {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `map` mapped; whoever holds pointers into it holds the GuestMemory too.
        unsafe { libc::munmap(self.mapping.as_ptr().cast(), self.mapping_len) };
    }
}

fn sealed_against_shrinking(file: &File) -> bool {
    // SAFETY: F_GET_SEALS takes no argument and touches no memory.
    let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    seals >= 0 && seals & libc::F_SEAL_SHRINK != 0
}

/// The whole memory of one guest. Immutable: a changed table is another `GuestMemory`, and the old one stays mapped
/// while a chain, a queue or a request in flight holds it.
#[derive(Debug)]
pub struct GuestMemory {
    /// Sorted by guest address, without overlap.
    regions: Box<[MemoryRegion]>,
}

impl GuestMemory {
    /// Maps a table.
    ///
    /// # Errors
    /// Too many regions, an extent that overflows or is longer than its file, overlapping regions, a file whose
    /// owner could shrink it (which would be a SIGBUS here), or a mapping that the kernel refuses.
    pub fn map(specs: Vec<RegionSpec>) -> Result<Self, MemoryError> {
        let count = specs.len();
        if count == 0 || count > MAX_REGIONS {
            return Err(MemoryError::RegionCount { count, limit: MAX_REGIONS });
        }
        let mut regions = Vec::with_capacity(count);
        for (index, spec) in specs.into_iter().enumerate() {
            regions.push(MemoryRegion::map(index, spec)?);
        }
        regions.sort_by_key(|region| region.guest_address);
        for pair in regions.windows(2) {
            if pair[0].guest_address + pair[0].size > pair[1].guest_address {
                return Err(MemoryError::Overlap { guest_address: pair[1].guest_address });
            }
        }
        Ok(Self { regions: regions.into() })
    }

    /// The regions by ascending guest address. An index into this slice is what [`crate::Segment::region`] gives.
    pub fn regions(&self) -> &[MemoryRegion] {
        &self.regions
    }

    /// The region that holds `guest_address`, and the pointer and the bytes left from there.
    #[inline]
    pub(crate) fn locate(&self, guest_address: u64) -> Option<(u16, *mut u8, u64)> {
        for (index, region) in self.regions.iter().enumerate() {
            let offset = guest_address.wrapping_sub(region.guest_address);
            if offset < region.size {
                // SAFETY: offset is inside the mapped region.
                let pointer = unsafe { region.as_ptr().add(offset as usize) };
                return Some((index as u16, pointer, region.size - offset));
            }
        }
        None
    }

    /// `len` bytes in one region, or nothing.
    pub(crate) fn slice(&self, guest_address: u64, len: u64) -> Option<*mut u8> {
        self.locate(guest_address).filter(|&(_, _, left)| len <= left).map(|(_, pointer, _)| pointer)
    }

    /// Turns an address of the frontend's own space (as ring addresses are sent) into a guest address.
    pub fn user_to_guest(&self, user_address: u64) -> Option<u64> {
        self.regions.iter().find_map(|region| {
            let offset = user_address.wrapping_sub(region.user_address);
            (offset < region.size).then(|| region.guest_address + offset)
        })
    }

    /// Copies guest memory into `bytes`. False, and nothing copied, when the range is not inside one region.
    pub fn read(&self, guest_address: u64, bytes: &mut [u8]) -> bool {
        let Some(source) = self.slice(guest_address, bytes.len() as u64) else { return false };
        // SAFETY: `slice` checked the source; `bytes` is private memory, so the two cannot overlap.
        unsafe { ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), bytes.len()) };
        true
    }

    /// Copies `bytes` into guest memory. False, and nothing copied, when the range is not inside one region.
    pub fn write(&self, guest_address: u64, bytes: &[u8]) -> bool {
        let Some(target) = self.slice(guest_address, bytes.len() as u64) else { return false };
        // SAFETY: as in `read`, the other way round.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        true
    }
}

#[cfg(test)]
mod tests;
