//! A received frame, read and written in place. Every access is compared with `data_end`, as the verifier asks.

use aya_ebpf::programs::XdpContext;
use updraft_flow::Packet;

pub struct Frame {
    data: usize,
    data_end: usize,
}

impl Frame {
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        Self { data: ctx.data(), data_end: ctx.data_end() }
    }
}

impl Packet for Frame {
    #[inline(always)]
    fn len(&self) -> u32 {
        (self.data_end - self.data) as u32
    }

    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.data + offset;
        if start + N > self.data_end {
            return None;
        }
        // SAFETY: `start..start + N` lies in the frame.
        Some(unsafe { core::ptr::read_unaligned(start as *const [u8; N]) })
    }

    #[inline(always)]
    fn store<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) -> bool {
        let start = self.data + offset;
        if start + N > self.data_end {
            return false;
        }
        // SAFETY: as in `load`.
        unsafe { core::ptr::write_unaligned(start as *mut [u8; N], bytes) };
        true
    }
}
