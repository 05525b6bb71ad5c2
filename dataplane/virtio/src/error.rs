//! What a memory table or a ring can be accused of.

use std::io;

/// A memory table that is not mapped.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    #[error("a memory table of {count} regions (1 to {limit} are accepted)")]
    RegionCount { count: usize, limit: usize },
    #[error("memory region {index}: address or offset plus size {size} overflows, or the size is zero")]
    Extent { index: usize, size: u64 },
    #[error("memory region {index} ends at byte {end} of a file of {file_size} bytes")]
    ShortFile { index: usize, end: u64, file_size: u64 },
    #[error(
        "memory region {index} is not a memfd sealed against shrinking (its owner could crash the backend)"
    )]
    NotSealed { index: usize },
    #[error("memory regions overlap at guest address {guest_address:#x}")]
    Overlap { guest_address: u64 },
    #[error("memory region {index} cannot be {action}")]
    System { index: usize, action: &'static str, source: io::Error },
}

/// Why a queue is retired: the driver broke the rules of the ring (virtio 1.2, 2.7), by mistake or on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    #[error("queue size {size} is not a power of two between 1 and {limit}")]
    Size { size: u16, limit: u16 },
    #[error("the {part} of the ring lies outside guest memory or is misaligned (address {address:#x})")]
    RingAddress { part: &'static str, address: u64 },
    #[error("the available index went from {from} to {to}, more than the queue holds")]
    AvailIndex { from: u16, to: u16 },
    #[error("descriptor {index} is outside the table of {size}")]
    DescriptorIndex { index: u16, size: u16 },
    #[error("descriptor {head} was made available again while in use")]
    HeadInUse { head: u16 },
    #[error("a descriptor chain is longer than {limit} (it loops, or its end is missing)")]
    ChainLength { limit: u16 },
    #[error("a descriptor chain describes 2^32 bytes or more")]
    ChainBytes,
    #[error("a descriptor describes no byte")]
    EmptyDescriptor,
    #[error("a buffer of {len} bytes at {address:#x} is outside guest memory")]
    BufferAddress { address: u64, len: u32 },
    #[error("a readable descriptor follows a writable one")]
    ReadableAfterWritable,
    #[error("an indirect table of {len} bytes, nested, combined with NEXT, or not offered")]
    Indirect { len: u32 },
}
