//! The flow engine: what happens to a packet. Compiled into netd and into the XDP program.
//!
//! A packet enters with [`from_guest`] (a frame that a guest sent; netd only) or [`from_uplink`] (a frame from
//! the external interface; the XDP program, and netd for what that defers). The engine looks the flow up, and on
//! a miss walks the slow path: anti-spoofing, the sender's egress rules, routing, NAT, the receiver's ingress
//! rules, a new flow. It then rewrites the head of the frame and returns a [`Verdict`].
//!
//! Both homes work on the same tables ([`layout`]), seen through [`Tables`]: netd maps the BPF arrays that the
//! XDP program looks up, so a connection that a guest opens is known at the driver without a system call.
//!
//! No allocation, no panic, no unbounded loop, and in the hot path no lock and no division.

#![no_std]
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics))]
#![cfg_attr(target_arch = "bpf", allow(internal_features))]

pub mod layout;
pub mod packet;
pub mod tables;
pub mod verdict;
#[cfg_attr(target_arch = "bpf", allow(unsafe_code))]
pub mod word;

pub use packet::{HEADER_BYTES, Header, Packet};
pub use tables::{Tables, View};
pub use verdict::{DropReason, Event, PortIndex, Service, Verdict};

/// Decides about a frame that the guest on `port` sent, and rewrites its head.
///
/// `now_ns` is CLOCK_MONOTONIC (its coarse variant will do) in nanoseconds, as in the kernel.
/// On [`Verdict::Respond`] and [`Verdict::Drop`] the frame is untouched. Counts its drops itself.
pub fn from_guest<T: Tables, P: Packet>(tables: &T, port: PortIndex, packet: &mut P, now_ns: u64) -> Verdict {
    let _ = (tables, port, packet, now_ns);
    Verdict::Drop(DropReason::PortDown)
}

/// Decides about a frame from the uplink, and rewrites its head.
///
/// Never returns [`Verdict::Uplink`]. [`Verdict::Defer`] only where `T::COMPLETE` is false. Otherwise as
/// [`from_guest`].
pub fn from_uplink<T: Tables, P: Packet>(tables: &T, packet: &mut P, now_ns: u64) -> Verdict {
    let _ = (tables, packet, now_ns);
    Verdict::Pass
}

/// What one call of [`sweep`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Slots freed.
    pub expired: u32,
    /// Slots in use among those looked at.
    pub live: u32,
    /// Where the next call should start.
    pub next: u32,
}

/// Frees expired flows among `count` slots from slot `start` on (wrapping). One thread at a time, a slice of the
/// table every few milliseconds: the whole table should be seen about once a second.
pub fn sweep(view: &View<'_>, start: u32, count: u32, now_ns: u64) -> Swept {
    let _ = (view, count, now_ns);
    Swept { next: start, ..Swept::default() }
}

/// Notes (or with `None` forgets) the MAC of a next hop on the uplink, in network byte order.
/// False when there is no room for it. A changed MAC also reaches flows in being: see [`bump_generation`].
pub fn learn_neighbour(view: &View<'_>, address: [u8; 4], mac: Option<[u8; 6]>) -> bool {
    let _ = (view, address, mac);
    false
}

/// The MAC noted by [`learn_neighbour`].
pub fn neighbour(view: &View<'_>, address: [u8; 4]) -> Option<[u8; 6]> {
    let _ = (view, address);
    None
}

/// Has every flow checked again on its next packet.
pub fn bump_generation(view: &View<'_>) {
    view.config.generation.fetch_add(2); // the same half stays in force
}

/// Who has an address, for the responders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A guest's port (its own MAC).
    Port(PortIndex),
    /// A virtual router's interface.
    Router(u32),
    /// The DHCP and DNS responder.
    Dhcp,
    /// A floating IP on the uplink.
    Floating(PortIndex),
    /// A router's gateway address on the uplink.
    Gateway(u32),
}

/// The owner and MAC of `address` (network byte order) in `network`: a port's [`layout::PortEntry::network`], or
/// [`layout::UPLINK_NETWORK`], where the MAC is that of the router's gateway. This is what an ARP responder says.
pub fn owner_of(view: &View<'_>, network: u32, address: [u8; 4]) -> Option<(Owner, [u8; 6])> {
    let _ = (view, network, address);
    None
}

/// The gateway address and MAC of a router: the sender of ARP requests for [`Service::Neighbour`].
pub fn gateway_of(view: &View<'_>, router: u32) -> Option<([u8; 4], [u8; 6])> {
    let _ = (view, router);
    None
}

/// The network index of a port, for [`owner_of`].
pub fn network_of(view: &View<'_>, port: PortIndex) -> Option<u32> {
    let _ = (view, port);
    None
}
