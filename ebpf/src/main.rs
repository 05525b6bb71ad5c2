//! The XDP program on the uplink: the flow engine, at the driver.
//!
//! What the engine decides becomes an XDP action: a frame for a guest goes, already rewritten, to netd's AF_XDP
//! socket with its port written before it; what needs netd goes there untouched; what is not ours goes to the
//! host's own stack.

#![no_std]
#![no_main]

mod frame;
mod maps;

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_xdp_adjust_meta};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use updraft_flow::layout::{UPLINK_META_MAGIC, UPLINK_TO_PORT, UPLINK_UNDECIDED, UplinkMeta};
use updraft_flow::{DropReason, Tables, Verdict};

use crate::frame::Frame;
use crate::maps::{KernelTables, SOCKETS};

/// Entry point: one frame received on the uplink.
#[xdp]
pub fn updraft_uplink(ctx: XdpContext) -> u32 {
    let tables = KernelTables;
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { bpf_ktime_get_coarse_ns() };
    let verdict = updraft_flow::from_uplink(&tables, &mut Frame::new(&ctx), now_ns);
    match verdict {
        Verdict::Port(port) => to_netd(&ctx, UPLINK_TO_PORT, port.0),
        Verdict::Respond(_) | Verdict::Defer => to_netd(&ctx, UPLINK_UNDECIDED, 0),
        Verdict::Pass => xdp_action::XDP_PASS,
        Verdict::Drop(_) | Verdict::Uplink => xdp_action::XDP_DROP,
    }
}

/// Writes the verdict before the frame and gives both to the socket of this queue. Without a socket (netd is
/// down) the frame is dropped: ports fail closed.
#[inline(always)]
fn to_netd(ctx: &XdpContext, verdict: u32, port: u32) -> u32 {
    const SIZE: i32 = size_of::<UplinkMeta>() as i32;
    // SAFETY: the context is the kernel's own.
    if unsafe { bpf_xdp_adjust_meta(ctx.ctx, -SIZE) } != 0 {
        KernelTables.count_drop(DropReason::Truncated);
        return xdp_action::XDP_DROP;
    }
    let meta = ctx.metadata() as *mut UplinkMeta;
    if ctx.metadata() + size_of::<UplinkMeta>() > ctx.data() {
        return xdp_action::XDP_DROP;
    }
    // SAFETY: the room before the frame was just made and checked; the kernel aligns it to four bytes.
    unsafe { meta.write(UplinkMeta { magic: UPLINK_META_MAGIC, verdict, port, reserved: 0 }) };
    // SAFETY: as above; the field is read through the verifier's context access.
    let queue = unsafe { (*ctx.ctx).rx_queue_index };
    SOCKETS.redirect(queue, u64::from(xdp_action::XDP_DROP)).unwrap_or_else(|action| action)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing panics here (every access is checked); the verifier refuses a program in which this is reachable.
    loop {}
}

/// The kernel gives some helpers to programs under a compatible licence only; the crate is Apache-2.0, so it may
/// call none of those.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 11] = *b"Apache-2.0\0";
