//! The flow engine: what happens to a packet. Compiled into netd and into the XDP program.
//!
//! A packet enters with [`from_guest`] (a frame that a guest sent; netd only) or [`from_uplink`] (a frame from
//! the external interface; the XDP program, and netd for what that defers). The engine parses ([`headers`]),
//! looks the flow up ([`flow`]), and on a miss takes the slow path: anti-spoofing and security groups
//! ([`policy`]), the way ([`route`]), translation, a new flow. It then rewrites the head of the frame and returns
//! a [`Verdict`].
//!
//! Both homes work on the same tables ([`layout`]), seen through [`Tables`]: netd maps the BPF arrays that the
//! XDP program looks up, so a connection that a guest opens is known at the driver without a system call.
//!
//! # What it promises
//! * No allocation, no panic, no unbounded loop; in the hot path no lock and no division.
//! * What no rule allows is dropped, with a counter for each reason. A guest is known by the port its frame came
//!   from, never by what the frame says.
//! * Every change of policy starts a generation ([`layout::Config::generation`]). A flow of an older one is checked
//!   again on its next packet: a removed rule cuts at once, an unchanged one lets the connection carry on.
//! * Flows outlive netd: they are pinned with the maps.
//!
//! # Limits
//! * IPv4 only; keys and tables have room for 128-bit addresses. IPv6 from guests is dropped and counted.
//! * Fragments are dropped, first ones too: a verdict never rests on a transport header that is elsewhere.
//! * IPv4 options are dropped. TCP sequence numbers are not followed: a reset with a wrong number shortens a
//!   flow's silence limit but does not end it.
//! * Packets larger than the next link are refused ([`Service::TooBig`]) whether or not they may be fragmented.
//! * Two workers that open the same flow with the very same microsecond may make one of the packets be dropped
//!   (its sender repeats it).

#![no_std]
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics))]
#![cfg_attr(target_arch = "bpf", allow(internal_features))]

pub mod checksum;
pub mod directory;
pub mod flow;
mod guest;
pub mod headers;
mod icmp;
pub mod layout;
pub mod lookup;
pub mod packet;
pub mod policy;
mod recheck;
mod route;
mod snat;
pub mod sweep;
pub mod tables;
mod uplink;
pub mod verdict;
#[cfg_attr(target_arch = "bpf", allow(unsafe_code))]
pub mod word;

pub use directory::{Owner, gateway_of, learn_neighbour, neighbour, network_of, owner_of};
pub use guest::from_guest;
pub use packet::{HEADER_BYTES, Header, Packet};
pub use sweep::{Swept, live_slots, sweep};
pub use tables::{Tables, View};
pub use uplink::from_uplink;
pub use verdict::{DropReason, Event, PortIndex, Service, Verdict};

/// Has every flow checked again on its next packet, under the same policy tables.
pub fn bump_generation(view: &View<'_>) {
    view.config.generation.fetch_add(2); // the low bit, which says what half is in force, stays
}
