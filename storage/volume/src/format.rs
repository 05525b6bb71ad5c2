//! The file format of a layer, and the order in which it is written.
//!
//! A volume is a chain of layers, one file each. The top layer is written; the ones below never change. A layer
//! holds every chunk (64 KiB) of its disk at a fixed place, so the file is as long as the disk and sparse, and an
//! address on the disk is an address in the file plus a constant. What a layer *owns* is said by one bit a chunk: a
//! chunk whose bit is clear is read from the parent. A layer without a parent owns everything and has no map.
//!
//! ```text
//! 0      header, 4 KiB, written once: magic, version, id, size, places, parent's id and path, CRC-32C
//! 4096   epoch, 512 bytes: the id of the boot in which the live map was last opened, CRC-32C
//! 8192   live map       one bit a chunk, 64-bit little-endian words
//! …      durable map    the same, on the next 4 KiB boundary
//! …      data           on the next 64 KiB boundary
//! ```
//!
//! Two maps, because a daemon that dies and a machine that dies lose different things. After `kill -9` everything
//! that was written is still in the page cache, acknowledged or not, and the guest goes on as if nothing happened:
//! the **live map** counts, and it is written *before* the write that needs it is acknowledged. After a power cut
//! only flushed data exists, and pages reached the disk in any order: the **durable map** counts. The epoch tells
//! the two apart: a live map from another boot is worthless.
//!
//! First write to a chunk: copy the parent's chunk into place (or make a hole where it is zero) → set the bit in the
//! live map → write the guest's bytes in place, like every later write.
//! Flush: remember which bits are new → fdatasync (the data of those chunks is durable) → write the new bits to the
//! durable map → fdatasync → answer. Without new bits: one fdatasync.
//! Torn writes cannot hurt: header and epoch have checksums and are smaller than a sector or written before the file
//! has its name; a map's bits only go from 0 to 1 and each state between is one that a flush may leave.
//! Open after a crash of the machine: live map := durable map, then the epoch := this boot.
//! Discard of a whole chunk: owned, with a hole. Nothing ever gives a chunk back to its parent.

use std::path::PathBuf;

use crc_fast::{CrcAlgorithm, checksum};
use updraft_base::size::KIB;
use uuid::Uuid;

/// The unit of ownership and of copying, in bytes.
pub const CHUNK_BYTES: u64 = 64 * KIB;
/// The largest disk, in bytes (64 TiB): its maps take 128 MiB each.
pub const MAX_SIZE_BYTES: u64 = 64 << 40;

pub(crate) const HEADER_BYTES: usize = 4096;
pub(crate) const EPOCH_OFFSET: u64 = 4096;
pub(crate) const EPOCH_BYTES: usize = 512;
const MAPS_OFFSET: u64 = 8192;
const PAGE_BYTES: u64 = 4096;
const MAGIC: &[u8; 8] = b"UPDRAFTV";
const EPOCH_MAGIC: &[u8; 8] = b"UPDEPOCH";
const VERSION: u32 = 1;
const FLAG_SEALED: u32 = 1;
/// The longest path of a parent, in bytes.
const MAX_PATH_BYTES: usize = 2048;
const PATH_OFFSET: usize = 96;
const CHECKSUM_OFFSET: usize = HEADER_BYTES - 4;

/// What a layer's header says. Never changes once the file has its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub id: Uuid,
    pub size_bytes: u64,
    /// An image: never written to, only built upon.
    pub sealed: bool,
    pub parent: Option<Parent>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub id: Uuid,
    pub path: PathBuf,
}

impl Header {
    pub fn chunks(&self) -> u64 {
        self.size_bytes.div_ceil(CHUNK_BYTES)
    }

    /// Words of one map; a layer that owns everything has none.
    pub fn map_words(&self) -> usize {
        if self.parent.is_none() { 0 } else { self.chunks().div_ceil(64) as usize }
    }

    fn map_area_bytes(&self) -> u64 {
        (self.map_words() as u64 * 8).next_multiple_of(PAGE_BYTES)
    }

    pub fn live_map_offset(&self) -> u64 {
        MAPS_OFFSET
    }

    pub fn durable_map_offset(&self) -> u64 {
        MAPS_OFFSET + self.map_area_bytes()
    }

    pub fn data_offset(&self) -> u64 {
        (MAPS_OFFSET + 2 * self.map_area_bytes()).next_multiple_of(CHUNK_BYTES)
    }

    /// The length of the file: whole chunks, so that the last one can be read in full.
    pub fn file_bytes(&self) -> u64 {
        self.data_offset() + self.chunks() * CHUNK_BYTES
    }

    /// The header's bytes; `None` when the parent's path is too long or no text.
    pub fn encode(&self) -> Option<[u8; HEADER_BYTES]> {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&if self.sealed { FLAG_SEALED } else { 0 }.to_le_bytes());
        bytes[16..32].copy_from_slice(self.id.as_bytes());
        bytes[32..40].copy_from_slice(&self.size_bytes.to_le_bytes());
        if let Some(parent) = &self.parent {
            let path = parent.path.to_str()?.as_bytes();
            if path.is_empty() || path.len() > MAX_PATH_BYTES {
                return None;
            }
            bytes[40..44].copy_from_slice(&(path.len() as u32).to_le_bytes());
            bytes[48..64].copy_from_slice(parent.id.as_bytes());
            bytes[PATH_OFFSET..PATH_OFFSET + path.len()].copy_from_slice(path);
        }
        let sum = crc32c(&bytes[..CHECKSUM_OFFSET]);
        bytes[CHECKSUM_OFFSET..].copy_from_slice(&sum.to_le_bytes());
        Some(bytes)
    }

    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, &'static str> {
        if &bytes[..8] != MAGIC {
            return Err("it does not begin as a volume does");
        }
        if crc32c(&bytes[..CHECKSUM_OFFSET]) != le32(bytes, CHECKSUM_OFFSET) {
            return Err("the header's checksum is wrong");
        }
        if le32(bytes, 8) != VERSION {
            return Err("it has another version");
        }
        let flags = le32(bytes, 12);
        if flags & !FLAG_SEALED != 0 {
            return Err("it uses unknown features");
        }
        let size_bytes = u64::from_le_bytes(array(bytes, 32));
        if !is_valid_size(size_bytes) {
            return Err("its size is impossible");
        }
        let path_bytes = le32(bytes, 40) as usize;
        let parent = match path_bytes {
            0 => None,
            1..=MAX_PATH_BYTES => {
                let path = std::str::from_utf8(&bytes[PATH_OFFSET..PATH_OFFSET + path_bytes]);
                let path = path.map_err(|_| "its parent's path is no text")?;
                Some(Parent { id: Uuid::from_bytes(array(bytes, 48)), path: PathBuf::from(path) })
            }
            _ => return Err("its parent's path is too long"),
        };
        Ok(Self {
            id: Uuid::from_bytes(array(bytes, 16)),
            size_bytes,
            sealed: flags & FLAG_SEALED != 0,
            parent,
        })
    }
}

/// A disk is made of sectors and has at least one.
pub(crate) fn is_valid_size(size_bytes: u64) -> bool {
    size_bytes.is_multiple_of(512) && (512..=MAX_SIZE_BYTES).contains(&size_bytes)
}

/// The id of a boot of this machine (`/proc/sys/kernel/random/boot_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootId(pub Uuid);

impl BootId {
    pub fn encode(self) -> [u8; EPOCH_BYTES] {
        let mut bytes = [0; EPOCH_BYTES];
        bytes[..8].copy_from_slice(EPOCH_MAGIC);
        bytes[8..24].copy_from_slice(self.0.as_bytes());
        let sum = crc32c(&bytes[..24]);
        bytes[24..28].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// `None` for a map that was never opened, or an epoch that was torn.
    pub fn decode(bytes: &[u8; EPOCH_BYTES]) -> Option<Self> {
        let whole = &bytes[..8] == EPOCH_MAGIC && crc32c(&bytes[..24]) == le32(bytes, 24);
        whole.then(|| Self(Uuid::from_bytes(array(bytes, 8))))
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[offset..offset + N]);
    out
}

fn le32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array(bytes, offset))
}

#[cfg(test)]
mod tests {
    use super::{BootId, HEADER_BYTES, Header, Parent};
    use uuid::Uuid;

    fn header() -> Header {
        let parent = Parent { id: Uuid::new_v4(), path: "/images/a b/ü".into() };
        Header { id: Uuid::new_v4(), size_bytes: 512 * 300, sealed: false, parent: Some(parent) }
    }

    #[test]
    fn a_header_survives_and_every_flipped_bit_is_noticed() {
        let header = header();
        let bytes = header.encode().unwrap();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for byte in (0..HEADER_BYTES).step_by(7) {
            let mut flipped = bytes;
            flipped[byte] ^= 0x10;
            assert!(Header::decode(&flipped).is_err(), "byte {byte}");
        }
    }

    #[test]
    fn an_epoch_that_was_never_written_is_no_boot() {
        let boot = BootId(Uuid::new_v4());
        assert_eq!(BootId::decode(&boot.encode()), Some(boot));
        assert_eq!(BootId::decode(&[0; 512]), None);
    }

    #[test]
    fn places_do_not_overlap() {
        let header = header();
        assert!(header.live_map_offset() + header.map_words() as u64 * 8 <= header.durable_map_offset());
        assert!(header.durable_map_offset() + header.map_words() as u64 * 8 <= header.data_offset());
        let root = Header { parent: None, ..header };
        assert_eq!(root.map_words(), 0);
    }
}
