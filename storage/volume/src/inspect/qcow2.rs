//! The qcow2 header, checked once. Field offsets and limits: QEMU's docs/interop/qcow2.txt.

use std::io::{Read, Seek};

use super::{
    Format, InspectError, MAX_L1_TABLE_BYTES, MAX_REFCOUNT_TABLE_BYTES, MAX_SNAPSHOTS,
    MAX_VIRTUAL_SIZE_BYTES, be32, be64, read_at, within,
};

const V2_HEADER_BYTES: u64 = 72;
const V3_HEADER_BYTES: u64 = 104;
const MIN_CLUSTER_BITS: u32 = 9;
const MAX_CLUSTER_BITS: u32 = 21;

const INCOMPATIBLE_DIRTY: u64 = 1 << 0;
const INCOMPATIBLE_CORRUPT: u64 = 1 << 1;
const INCOMPATIBLE_DATA_FILE: u64 = 1 << 2;
const INCOMPATIBLE_COMPRESSION: u64 = 1 << 3;
const INCOMPATIBLE_EXTENDED_L2: u64 = 1 << 4;

const EXTENSION_END: u32 = 0;
const EXTENSION_ENCRYPTION: u32 = 0x0537_be77;
const EXTENSION_DATA_FILE: u32 = 0x4441_5441;
/// More header extensions than any writer makes; a longer list is refused.
const MAX_EXTENSIONS: usize = 64;

/// Bits 9 to 55 of a first-level entry: where the second-level table lies.
pub(crate) const L1_OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
/// The first-level table is looked through in pieces of this many bytes.
const L1_PIECE_BYTES: u64 = 64 << 10;

/// The parts of a header that reading the disk needs, all checked against the limits and the file's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub version: u32,
    pub cluster_bits: u32,
    pub virtual_size_bytes: u64,
    pub l1_entries: u64,
    pub l1_offset: u64,
}

impl Header {
    pub fn cluster_bytes(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Entries of one second-level table: each takes 8 bytes and the table one cluster.
    pub fn l2_entries(&self) -> u64 {
        self.cluster_bytes() / 8
    }
}

/// Checks header, extensions and first-level table.
pub(crate) fn check<R: Read + Seek>(
    reader: &mut R,
    head: &[u8],
    file_bytes: u64,
) -> Result<Header, InspectError> {
    let header = parse(head, file_bytes)?;
    check_l1(reader, &header, file_bytes)?;
    Ok(header)
}

fn corrupt(what: &'static str) -> InspectError {
    InspectError::Corrupt { format: Format::Qcow2, what }
}

fn truncated(what: &'static str, needed_bytes: u64, have_bytes: u64) -> InspectError {
    InspectError::Truncated { what, needed_bytes, have_bytes }
}

fn parse(head: &[u8], file_bytes: u64) -> Result<Header, InspectError> {
    let cut = || truncated("qcow2 header", V2_HEADER_BYTES, file_bytes);
    let field32 = |offset| be32(head, offset).ok_or_else(cut);
    let field64 = |offset| be64(head, offset).ok_or_else(cut);

    let version = field32(4)?;
    if version != 2 && version != 3 {
        return Err(InspectError::Unsupported {
            format: Format::Qcow2,
            what: "a version other than 2 and 3",
        });
    }
    if field64(8)? != 0 || field32(16)? != 0 {
        return Err(InspectError::BackingFile);
    }
    let cluster_bits = field32(20)?;
    if !(MIN_CLUSTER_BITS..=MAX_CLUSTER_BITS).contains(&cluster_bits) {
        return Err(corrupt("the cluster size is not between 512 bytes and 2 MiB"));
    }
    if field32(32)? != 0 {
        return Err(InspectError::Encrypted { format: Format::Qcow2 });
    }
    let header_bytes = if version == 3 { check_features(head, file_bytes)? } else { V2_HEADER_BYTES };
    check_extensions(head, header_bytes, 1 << cluster_bits)?;

    let header = Header {
        version,
        cluster_bits,
        virtual_size_bytes: field64(24)?,
        l1_entries: u64::from(field32(36)?),
        l1_offset: field64(40)?,
    };
    check_tables(&header, field64(48)?, u64::from(field32(56)?), u64::from(field32(60)?), file_bytes)?;
    Ok(header)
}

/// The version 3 part; returns the header's length.
fn check_features(head: &[u8], file_bytes: u64) -> Result<u64, InspectError> {
    let cut = || truncated("qcow2 header", V3_HEADER_BYTES, file_bytes);
    let incompatible = be64(head, 72).ok_or_else(cut)?;
    let header_bytes = u64::from(be32(head, 100).ok_or_else(cut)?);
    let known = INCOMPATIBLE_DIRTY
        | INCOMPATIBLE_CORRUPT
        | INCOMPATIBLE_DATA_FILE
        | INCOMPATIBLE_COMPRESSION
        | INCOMPATIBLE_EXTENDED_L2;
    let unsupported = |what| InspectError::Unsupported { format: Format::Qcow2, what };
    if incompatible & INCOMPATIBLE_DATA_FILE != 0 {
        return Err(InspectError::ExternalDataFile { format: Format::Qcow2 });
    }
    if incompatible & !known != 0 {
        return Err(InspectError::UnknownFeatures { bits: incompatible & !known });
    }
    if incompatible & INCOMPATIBLE_CORRUPT != 0 {
        return Err(corrupt("it is marked as corrupt by the program that wrote it"));
    }
    if incompatible & INCOMPATIBLE_EXTENDED_L2 != 0 {
        return Err(unsupported("extended second-level entries"));
    }
    let compression_type = head.get(104).copied().unwrap_or(0);
    if incompatible & INCOMPATIBLE_COMPRESSION != 0 && compression_type != 0 {
        return Err(unsupported("a compression other than zlib"));
    }
    if header_bytes < V3_HEADER_BYTES || header_bytes % 8 != 0 {
        return Err(corrupt("the header length is impossible"));
    }
    Ok(header_bytes)
}

/// Walks the header extensions, which lie between header and the end of the first cluster.
fn check_extensions(head: &[u8], header_bytes: u64, cluster_bytes: u64) -> Result<(), InspectError> {
    let end = cluster_bytes.min(head.len() as u64);
    let mut offset = header_bytes;
    for _ in 0..MAX_EXTENSIONS {
        // A header that fills its cluster (or the whole file) has no extensions and no end mark.
        if offset.saturating_add(8) > end {
            return Ok(());
        }
        let at = usize::try_from(offset).map_err(|_| corrupt("an extension lies too far"))?;
        let (Some(kind), Some(length)) = (be32(head, at), be32(head, at + 4)) else {
            return Ok(());
        };
        match kind {
            EXTENSION_END => return Ok(()),
            EXTENSION_ENCRYPTION => return Err(InspectError::Encrypted { format: Format::Qcow2 }),
            EXTENSION_DATA_FILE => return Err(InspectError::ExternalDataFile { format: Format::Qcow2 }),
            _ => offset = offset + 8 + u64::from(length).next_multiple_of(8),
        }
        if offset > cluster_bytes {
            return Err(corrupt("a header extension reaches beyond the first cluster"));
        }
    }
    Err(InspectError::TooLarge {
        what: "number of header extensions",
        value: MAX_EXTENSIONS as u64 + 1,
        limit: MAX_EXTENSIONS as u64,
    })
}

fn check_tables(
    header: &Header,
    refcount_offset: u64,
    refcount_clusters: u64,
    snapshots: u64,
    file_bytes: u64,
) -> Result<(), InspectError> {
    let cluster = header.cluster_bytes();
    within("virtual size in bytes", header.virtual_size_bytes, MAX_VIRTUAL_SIZE_BYTES)?;
    within("first-level table in bytes", header.l1_entries * 8, MAX_L1_TABLE_BYTES)?;
    within("reference-count table in bytes", refcount_clusters * cluster, MAX_REFCOUNT_TABLE_BYTES)?;
    within("number of snapshots", snapshots, MAX_SNAPSHOTS)?;
    let covered_by_entry = header.l2_entries() * cluster;
    if header.l1_entries < header.virtual_size_bytes.div_ceil(covered_by_entry) {
        return Err(corrupt("the first-level table does not cover the disk"));
    }
    let l1_end = header.l1_offset.checked_add(header.l1_entries * 8);
    if header.l1_entries > 0 {
        placed("first-level table", header.l1_offset, l1_end, cluster, file_bytes)?;
    }
    let refcount_end = refcount_offset.checked_add(refcount_clusters * cluster);
    placed("reference-count table", refcount_offset, refcount_end, cluster, file_bytes)
}

/// A table lies on a cluster's boundary, after the header, and ends inside the file.
fn placed(
    what: &'static str,
    offset: u64,
    end: Option<u64>,
    cluster: u64,
    file_bytes: u64,
) -> Result<(), InspectError> {
    if !offset.is_multiple_of(cluster) || offset == 0 {
        return Err(corrupt("a table does not start on a cluster's boundary"));
    }
    match end {
        Some(end) if end <= file_bytes => Ok(()),
        Some(end) => Err(truncated(what, end, file_bytes)),
        None => Err(corrupt("a table's position overflows")),
    }
}

/// Every second-level table begins inside the file.
fn check_l1<R: Read + Seek>(reader: &mut R, header: &Header, file_bytes: u64) -> Result<(), InspectError> {
    let total = header.l1_entries * 8;
    let cluster = header.cluster_bytes();
    let mut done = 0;
    while done < total {
        let piece = read_at(reader, header.l1_offset + done, L1_PIECE_BYTES.min(total - done))?;
        for entry in piece.chunks_exact(8) {
            let offset = be64(entry, 0).unwrap_or(0) & L1_OFFSET_MASK;
            if !offset.is_multiple_of(cluster) {
                return Err(corrupt("a second-level table does not start on a cluster's boundary"));
            }
            if offset != 0 && offset + cluster > file_bytes {
                return Err(truncated("second-level table", offset + cluster, file_bytes));
            }
        }
        done += piece.len() as u64;
    }
    Ok(())
}
