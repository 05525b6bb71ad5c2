//! Units of size, in bytes.

/// 2^10 bytes.
pub const KIB: u64 = 1 << 10;
/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;
/// 2^30 bytes.
pub const GIB: u64 = 1 << 30;
/// The unit of virtio-blk sectors (virtio 1.2, 5.2.4), whatever the device's block size is.
pub const SECTOR: u64 = 512;
