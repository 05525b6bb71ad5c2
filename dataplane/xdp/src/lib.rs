//! Loads, pins and attaches the XDP programs and maps their tables.
//!
//! ```text
//! let tables = TableMemory::anonymous()?;                        // a host without uplink, tests, benches
//! let uplink = Uplink::open(&pin_dir)?;                          // open or create the pinned maps, load the program
//! let view: updraft_flow::View = uplink.tables().view(shard);    // the same for both
//! uplink.attach(netns_fd, "interface")?;                         // native XDP by a pinned link; replaces atomically
//! uplink.attached()?;                                            // asks the kernel: Option<Attachment {ifindex, mode}>
//! uplink.register_socket(queue, xsk_fd)?;                        // XSKMAP[queue] = socket
//! uplink.detach()?; Uplink::remove(&pin_dir)?;                   // clean-up
//! ```
