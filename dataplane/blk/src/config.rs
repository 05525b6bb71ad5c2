//! The configuration space and the feature bits (virtio 1.2, 5.2.3 and 5.2.4).

use updraft_base::size::SECTOR;

use crate::device::Geometry;
use crate::request::MAX_DISCARD_SECTORS;

/// The most queues of one disk.
pub const MAX_QUEUES: u16 = 16;
/// Bytes of the configuration space that we fill; the rest, up to [`SPACE_BYTES`], reads as zero.
const CONFIG_BYTES: usize = 60;
/// A driver may read this far: newer specifications append fields for features that are not offered.
const SPACE_BYTES: usize = 256;

/// The longest data segment, in bytes, and the most of them in a request: what fits a ring of 128 with header and
/// status, and stays below [`crate::request::MAX_REQUEST_BYTES`].
const SIZE_MAX_BYTES: u32 = 256 << 10;
const SEG_MAX: u32 = 126;
const BLOCK_BYTES: u32 = 512;

const F_SIZE_MAX: u64 = 1 << 1;
const F_SEG_MAX: u64 = 1 << 2;
const F_RO: u64 = 1 << 5;
const F_BLK_SIZE: u64 = 1 << 6;
const F_FLUSH: u64 = 1 << 9;
const F_TOPOLOGY: u64 = 1 << 10;
const F_MQ: u64 = 1 << 12;
const F_DISCARD: u64 = 1 << 13;
const F_WRITE_ZEROES: u64 = 1 << 14;

/// The features of a disk.
pub(crate) fn features(geometry: &Geometry, queues: u16) -> u64 {
    let always = F_SIZE_MAX | F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY;
    let mode = if geometry.read_only { F_RO } else { F_DISCARD | F_WRITE_ZEROES };
    always | mode | if queues > 1 { F_MQ } else { 0 }
}

/// Copies the configuration space from `offset` on; false beyond its end.
pub(crate) fn read(geometry: &Geometry, queues: u16, offset: usize, bytes: &mut [u8]) -> bool {
    let mut space = [0; SPACE_BYTES];
    space[..CONFIG_BYTES].copy_from_slice(&layout(geometry, queues));
    let part = offset.checked_add(bytes.len()).and_then(|end| space.get(offset..end));
    part.map(|part| bytes.copy_from_slice(part)).is_some()
}

fn layout(geometry: &Geometry, queues: u16) -> [u8; CONFIG_BYTES] {
    let discard_sectors = geometry.discard_granularity_bytes / SECTOR as u32;
    let mut space = [0; CONFIG_BYTES];
    let mut put = |offset: usize, bytes: &[u8]| space[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0, &(geometry.size_bytes / SECTOR).to_le_bytes());
    put(8, &SIZE_MAX_BYTES.to_le_bytes());
    put(12, &SEG_MAX.to_le_bytes());
    put(20, &BLOCK_BYTES.to_le_bytes());
    // Physical blocks of 4 KiB (2^3 sectors): smaller writes cost a read.
    put(24, &[3, 0]);
    put(26, &1_u16.to_le_bytes());
    // Write-back cache: flushes count.
    put(32, &[1]);
    put(34, &queues.to_le_bytes());
    put(36, &MAX_DISCARD_SECTORS.to_le_bytes());
    put(40, &1_u32.to_le_bytes());
    put(44, &discard_sectors.to_le_bytes());
    put(48, &MAX_DISCARD_SECTORS.to_le_bytes());
    put(52, &1_u32.to_le_bytes());
    put(56, &[1]);
    space
}
