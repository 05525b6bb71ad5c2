//! Feature bits that all devices share (virtio 1.2, section 6).

/// `VIRTIO_F_RING_INDIRECT_DESC`: a descriptor may point at a table of descriptors.
pub const RING_INDIRECT_DESC: u64 = 1 << 28;
/// `VIRTIO_F_RING_EVENT_IDX`: each side says at which index it wants to be woken.
pub const RING_EVENT_IDX: u64 = 1 << 29;
/// `VIRTIO_F_VERSION_1`: not a legacy device.
pub const VERSION_1: u64 = 1 << 32;
