//! The memory in which an AF_XDP socket's frames lie.

use std::io;
use std::os::fd::OwnedFd;
use std::ptr::{self, NonNull};

use super::set_option;

/// Bytes of a frame, headroom included: a page.
pub const FRAME_BYTES: usize = 4096;

#[derive(Debug)]
pub struct Umem {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: an address range; each frame has one user at a time: the kernel, the receiver or the sender, as the rings say.
unsafe impl Send for Umem {}
// SAFETY: as above.
unsafe impl Sync for Umem {}

impl Umem {
    /// Allocates memory for `frames` and tells the socket about it.
    pub fn register(socket: &OwnedFd, frames: u32) -> io::Result<Self> {
        let len = frames as usize * FRAME_BYTES;
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: fresh anonymous memory.
        let address = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        let start = NonNull::new(address.cast::<u8>()).filter(|_| address != libc::MAP_FAILED);
        let umem = Self { start: start.ok_or_else(io::Error::last_os_error)?, len };
        let registration = libc::xdp_umem_reg {
            addr: umem.start.as_ptr().addr() as u64,
            len: len as u64,
            chunk_size: FRAME_BYTES as u32,
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        };
        set_option(socket, libc::XDP_UMEM_REG, &registration)?;
        Ok(umem)
    }

    /// A received frame and the `META` bytes before it. The caller must be the frame's one user.
    #[allow(clippy::mut_from_ref)]
    pub(super) fn received<const META: usize>(
        &self,
        address: u64,
        len: u32,
    ) -> Option<([u8; META], &mut [u8])> {
        let (start, len) = (usize::try_from(address).ok()?, len as usize);
        let room = start % FRAME_BYTES;
        if room < META || room + len > FRAME_BYTES || start + len > self.len {
            return None;
        }
        // SAFETY: inside one frame, as just checked. The kernel wrote it and gave it to us through the rx ring.
        unsafe {
            let meta = self.start.add(start - META).cast::<[u8; META]>().read();
            Some((meta, std::slice::from_raw_parts_mut(self.start.add(start).as_ptr(), len)))
        }
    }

    /// The whole of a frame that the kernel does not have. The caller must be the frame's one user.
    #[allow(clippy::mut_from_ref)]
    pub(super) fn unused(&self, address: u64) -> Option<&mut [u8]> {
        let start = usize::try_from(address).ok().filter(|start| start + FRAME_BYTES <= self.len)?;
        // SAFETY: inside the memory, and in the sender's free list: nobody else uses it.
        Some(unsafe { std::slice::from_raw_parts_mut(self.start.add(start).as_ptr(), FRAME_BYTES) })
    }
}

impl Drop for Umem {
    fn drop(&mut self) {
        // SAFETY: the range mapped in `register`; both sides of the socket are gone.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
