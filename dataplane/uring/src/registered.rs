//! Guest memory registered as fixed buffers. Saves the kernel the page look-ups of direct I/O, at the price of
//! pinning: every page of the guest's memory is allocated and stays, so it is for guests whose memory is not thin.

use std::sync::Arc;

use updraft_virtio::{Chain, GuestMemory};

/// The kernel's limit for one fixed buffer, in bytes. Larger regions are registered in pieces.
const PIECE_BYTES: usize = 1 << 30;

/// Which memory is registered, and under which indexes.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    memory: Option<Arc<GuestMemory>>,
    /// By region: its address and the index of its first piece.
    regions: Vec<(usize, u16)>,
}

impl Registered {
    /// What to register for `memory`; the caller does it and keeps both until it is unregistered.
    pub fn plan(memory: &Arc<GuestMemory>) -> Option<(Self, Vec<libc::iovec>)> {
        let mut buffers = Vec::new();
        let mut regions = Vec::new();
        for region in memory.regions() {
            regions.push((region.as_ptr().addr(), u16::try_from(buffers.len()).ok()?));
            let mut offset = 0;
            while offset < region.len() {
                let iov_len = PIECE_BYTES.min(region.len() - offset);
                // SAFETY: offset is less than the region's length, so the address stays inside the mapping.
                let start = unsafe { region.as_ptr().add(offset) };
                buffers.push(libc::iovec { iov_base: start.cast(), iov_len });
                offset += iov_len;
            }
        }
        Some((Self { memory: Some(Arc::clone(memory)), regions }, buffers))
    }

    /// The fixed buffer that holds all of these bytes, if one does.
    #[inline]
    pub fn index(&self, chain: &Chain, region: usize, address: *mut u8, len: usize) -> Option<u16> {
        let memory = self.memory.as_ref()?;
        if !Arc::ptr_eq(memory, chain.memory()?) {
            return None;
        }
        let (start, first) = *self.regions.get(region)?;
        let offset = address.addr().checked_sub(start)?;
        let piece = offset / PIECE_BYTES;
        if (offset + len - 1) / PIECE_BYTES != piece {
            return None;
        }
        u16::try_from(usize::from(first) + piece).ok()
    }
}
