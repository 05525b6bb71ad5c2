//! Loads, pins and attaches the XDP program, and maps its tables into this process.
//!
//! ```text
//! let tables = TableMemory::anonymous()?;                       // a host without uplink, tests, benches
//! let mut uplink = Uplink::open(pin_dir)?;                      // open or create the pinned maps, load the program
//! let view: updraft_flow::View<'_> = uplink.tables().view(shard);  // the same for both
//! uplink.attach(Some(netns), "uplink0")?;                       // native XDP by a pinned link; replaces atomically
//! uplink.register_socket(queue, socket)?;                       // AF_XDP socket of a receive queue
//! attachment(pin_dir)?;                                         // asks the kernel
//! detach(pin_dir)?; remove(pin_dir)?;                           // clean-up
//! ```
//!
//! What outlives this process lies in a directory of bpffs: one pin a table, the verified program by the hash of its
//! object, and the link that keeps it on the interface. The next process opens the same pins, so flows survive it,
//! enforcement never pauses, and the kernel's verifier (half a second) sees each build once.
//!
//! Limits: native XDP only (the kernel refuses where the driver has none); needs CAP_BPF, CAP_NET_ADMIN and, to
//! mount bpffs where there is none, CAP_SYS_ADMIN.

#![allow(unsafe_code)] // mapped tables and two system calls that no safe crate offers; each block says why it holds

mod bpffs;
mod error;
mod link;
mod memory;
mod uplink;
pub mod xsk;

pub use error::{Error, Kind};
pub use link::{Attachment, attachment, detach};
pub use memory::TableMemory;
pub use uplink::{TestRunOutcome, Uplink, read_meta, remove};
