//! Microsoft's VHDX ([MS-VHDX]), fixed or dynamic, of a disk that was shut down in order: two headers, two tables of
//! regions, metadata, and a table of blocks. All numbers are little-endian.

use std::io::{Read, Seek};

use crc_fast::{CrcAlgorithm, checksum};
use updraft_base::size::{KIB, MIB};

use super::{Container, check_entries, le16, le32, le64};
use crate::inspect::InspectError;
use crate::qcow2::Sink;

const HEADERS: [u64; 2] = [64 * KIB, 128 * KIB];
const HEADER_BYTES: u64 = 4 * KIB;
const REGION_TABLES: [u64; 2] = [192 * KIB, 256 * KIB];
const TABLE_BYTES: u64 = 64 * KIB;
/// Entries of a table of regions or of metadata: the specification's limit.
const MAX_TABLE_ENTRIES: usize = 2047;
const ENTRY_BYTES: usize = 32;

const BLOCKS: [u8; 16] = guid(0x2dc27766, 0xf623, 0x4200, [0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08]);
const METADATA: [u8; 16] = guid(0x8b7ca206, 0x4790, 0x4b9a, [0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e]);
const PARAMETERS: [u8; 16] =
    guid(0xcaa16737, 0xfa36, 0x4d43, [0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b]);
const DISK_SIZE: [u8; 16] =
    guid(0x2fa54224, 0xcd1b, 0x4876, [0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8]);
const SECTOR_SIZE: [u8; 16] =
    guid(0x8141bf1d, 0xa96f, 0x4709, [0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f]);
const HAS_PARENT: u32 = 2;

/// The states of a block that is not there, or reads as zeroes.
const HOLES: [u64; 4] = [0, 1, 2, 3];
const PRESENT: u64 = 6;

/// A GUID as it lies in a file: its first three fields are little-endian.
const fn guid(first: u32, second: u16, third: u16, rest: [u8; 8]) -> [u8; 16] {
    let ([a, b, c, d], [e, f], [g, h]) = (first.to_le_bytes(), second.to_le_bytes(), third.to_le_bytes());
    let [i, j, k, l, m, n, o, p] = rest;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// Headers that were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub virtual_size_bytes: u64,
    block_bytes: u64,
    /// Blocks between two entries that are not of blocks.
    chunk_ratio: u64,
    table: u64,
}

impl Header {
    /// # Errors
    /// Anything but a whole disk that needs neither a parent nor its log.
    pub fn read<R: Read + Seek>(file: &mut Container<'_, R>) -> Result<Self, InspectError> {
        check_log(file)?;
        let regions = region_table(file)?;
        let find = |kind: [u8; 16]| regions.iter().find(|(found, ..)| *found == kind);
        let missing = || file.corrupt("a region is missing");
        let (&(_, table, table_bytes), &(_, metadata, _)) =
            find(BLOCKS).zip(find(METADATA)).ok_or_else(missing)?;
        let [parameters, size, sector] = metadata_items(file, metadata)?;
        let (block_bytes, flags) = (u64::from(le32(&parameters, 0)), le32(&parameters, 4));
        if flags & HAS_PARENT != 0 {
            return Err(file.other_file());
        }
        if !(MIB..=256 * MIB).contains(&block_bytes) || !block_bytes.is_power_of_two() {
            return Err(file.corrupt("its blocks have no size that is possible"));
        }
        let sector_bytes = u64::from(le32(&sector, 0));
        if ![512, 4096].contains(&sector_bytes) {
            return Err(file.corrupt("its sectors have no size that is possible"));
        }
        let chunk_ratio = (sector_bytes << 23) / block_bytes;
        let header = Self { virtual_size_bytes: le64(&size, 0), block_bytes, chunk_ratio, table };
        check_entries("number of blocks", header.blocks())?;
        if header.blocks().checked_sub(1).is_some_and(|last| (header.index(last) + 1) * 8 > table_bytes) {
            return Err(file.corrupt("its table of blocks is too short"));
        }
        file.check_within("block table", table, table_bytes)?;
        Ok(header)
    }

    fn blocks(&self) -> u64 {
        self.virtual_size_bytes.div_ceil(self.block_bytes)
    }

    /// Where a block's entry is: after each chunk comes one for something else.
    fn index(&self, block: u64) -> u64 {
        block + block / self.chunk_ratio
    }
}

/// The current header is the good one that was written last. A log in it has writes that the disk has not seen.
fn check_log<R: Read + Seek>(file: &mut Container<'_, R>) -> Result<(), InspectError> {
    let mut current: Option<Vec<u8>> = None;
    for offset in HEADERS {
        let header = file.read("header", offset, HEADER_BYTES)?;
        let is_newer = current.as_ref().is_none_or(|other| le64(&header, 8) > le64(other, 8));
        if header.starts_with(b"head") && is_good(&header) && is_newer {
            current = Some(header);
        }
    }
    let header = current.ok_or_else(|| file.corrupt("neither header is good"))?;
    if le16(&header, 66) != 1 {
        return Err(file.unsupported("a version other than 1"));
    }
    if header[48..64] != [0; 16] {
        return Err(file.unsupported("its log to be replayed: it was not shut down in order"));
    }
    Ok(())
}

/// (kind, offset, length) of each region.
type Regions = Vec<([u8; 16], u64, u64)>;

fn region_table<R: Read + Seek>(file: &mut Container<'_, R>) -> Result<Regions, InspectError> {
    for offset in REGION_TABLES {
        let table = file.read("region table", offset, TABLE_BYTES)?;
        if !table.starts_with(b"regi") || !is_good(&table) {
            continue;
        }
        let count = (le32(&table, 8) as usize).min(MAX_TABLE_ENTRIES);
        let entries = table[16..].chunks_exact(ENTRY_BYTES).take(count);
        let entries = entries.map(|entry| (super::at(entry, 0), le64(entry, 16), u64::from(le32(entry, 24))));
        return Ok(entries.collect());
    }
    Err(file.corrupt("neither table of regions is good"))
}

/// The bytes of the file's parameters, of the disk's size, and of the size of its sectors.
type Items = [Vec<u8>; 3];

fn metadata_items<R: Read + Seek>(file: &mut Container<'_, R>, region: u64) -> Result<Items, InspectError> {
    let table = file.read("metadata", region, TABLE_BYTES)?;
    if !table.starts_with(b"metadata") {
        return Err(file.corrupt("its metadata are missing"));
    }
    let count = usize::from(le16(&table, 10)).min(MAX_TABLE_ENTRIES);
    let mut item = |kind: [u8; 16], length: u64| {
        let mut entries = table[ENTRY_BYTES..].chunks_exact(ENTRY_BYTES).take(count);
        let missing = || file.corrupt("a part of its metadata is missing");
        let entry = entries.find(|entry| entry.starts_with(&kind)).ok_or_else(missing)?;
        file.read("metadata", region.saturating_add(u64::from(le32(entry, 16))), length)
    };
    Ok([item(PARAMETERS, 8)?, item(DISK_SIZE, 8)?, item(SECTOR_SIZE, 4)?])
}

/// Whether the CRC-32C in a header is its own.
fn is_good(header: &[u8]) -> bool {
    let mut bytes = header.to_vec();
    bytes[4..8].fill(0);
    checksum(CrcAlgorithm::Crc32Iscsi, &bytes) == u64::from(le32(header, 4))
}

/// Hands on the blocks that are there, in the order of the disk.
///
/// # Errors
/// The sink's, and [`InspectError`] for a damaged or truncated image.
pub(crate) fn read<R: Read + Seek, E: From<InspectError>>(
    file: &mut Container<'_, R>,
    header: &Header,
    sink: Sink<'_, E>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), E> {
    for block in 0..header.blocks() {
        let entry = le64(&file.read("block table", header.table + header.index(block) * 8, 8)?, 0);
        let (state, from, to) = (entry & 7, entry & !(MIB - 1), block * header.block_bytes);
        let length = header.block_bytes.min(header.virtual_size_bytes - to);
        match state {
            PRESENT => file.copy((from, to), length, sink)?,
            hole if HOLES.contains(&hole) => {}
            // Partly present: the rest is the parent's, and there is none.
            _ => return Err(file.corrupt("a block has no state that is possible").into()),
        }
        progress(to + length);
    }
    Ok(())
}
