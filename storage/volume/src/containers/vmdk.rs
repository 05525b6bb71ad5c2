//! VMware's sparse disk in one file, plain or stream-optimised (Virtual Disk Format 5.0): a header, a descriptor in it,
//! a directory of tables of grains. All numbers are little-endian, all places in sectors.

use std::io::{Read, Seek};

use miniz_oxide::inflate::decompress_slice_iter_to_slice;
use updraft_base::size::{KIB, SECTOR};

use super::{Container, check_entries, le16, le32, le64};
use crate::inspect::{Format, InspectError};
use crate::qcow2::Sink;

const MAGIC: &[u8] = b"KDMV";
/// The directory lies at the end of the file, where a second header tells of it.
const AT_END: u64 = u64::MAX;
/// The descriptor that is embedded, in bytes at most.
const MAX_DESCRIPTOR_BYTES: u64 = 20 * KIB;
/// Entries of one table of grains: the specification's one value.
const TABLE_ENTRIES: u64 = 512;
/// The smallest and the largest grain, in sectors.
const GRAIN_SECTORS: std::ops::RangeInclusive<u64> = 8..=2048;
const ZEROED_GRAINS: u32 = 1 << 2;
const COMPRESSED: u32 = 1 << 16;
/// Of a compressed grain: its first sector on the disk, and its length.
const GRAIN_MARKER_BYTES: u64 = 12;
/// The kinds of disk that hold their data themselves (createType of the descriptor).
const SELF_CONTAINED: [&str; 2] = ["monolithicSparse", "streamOptimized"];

/// A header that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub virtual_size_bytes: u64,
    grain_bytes: u64,
    directory: u64,
    flags: u32,
}

impl Header {
    /// # Errors
    /// Anything but one sparse disk, whole in this file.
    pub fn read<R: Read + Seek>(file: &mut Container<'_, R>) -> Result<Self, InspectError> {
        let first = file.read("header", 0, MAGIC.len().try_into().unwrap_or(4))?;
        if first != MAGIC {
            // A descriptor that stands alone names the files with the data.
            return Err(file.other_file());
        }
        let mut raw = file.read("header", 0, SECTOR)?;
        check_descriptor(file, &raw)?;
        if le64(&raw, 56) == AT_END {
            // The footer: the header again, then one sector that ends the stream.
            let footer =
                file.file_bytes.checked_sub(2 * SECTOR).ok_or_else(|| file.corrupt("it has no footer"))?;
            raw = file.read("footer", footer, SECTOR)?;
            if !raw.starts_with(MAGIC) {
                return Err(file.corrupt("it has no footer"));
            }
        }
        let (flags, capacity, grain) = (le32(&raw, 8), le64(&raw, 12), le64(&raw, 20));
        if !GRAIN_SECTORS.contains(&grain) || !grain.is_power_of_two() {
            return Err(file.corrupt("its grains have no size that is possible"));
        }
        if u64::from(le32(&raw, 44)) != TABLE_ENTRIES {
            return Err(file.corrupt("its tables of grains have no length that is possible"));
        }
        if flags & COMPRESSED != 0 && le16(&raw, 77) != 1 {
            return Err(file.unsupported("a compression other than deflate"));
        }
        let overflow = || file.corrupt("the capacity overflows");
        let virtual_size_bytes = capacity.checked_mul(SECTOR).ok_or_else(overflow)?;
        let directory = le64(&raw, 56).checked_mul(SECTOR).ok_or_else(overflow)?;
        let header = Self { virtual_size_bytes, grain_bytes: grain * SECTOR, directory, flags };
        check_entries("number of grain tables", header.tables())?;
        file.check_within("grain directory", directory, header.tables() * 4)?;
        Ok(header)
    }

    fn tables(&self) -> u64 {
        self.virtual_size_bytes.div_ceil(self.grain_bytes * TABLE_ENTRIES)
    }
}

/// The descriptor says what kind of disk it is and of which files, and that it has no parent.
fn check_descriptor<R: Read + Seek>(file: &mut Container<'_, R>, header: &[u8]) -> Result<(), InspectError> {
    let far =
        || InspectError::Corrupt { format: Format::Vmdk, what: "the descriptor does not follow the header" };
    let start = le64(header, 28).checked_mul(SECTOR).ok_or_else(far)?;
    let length = le64(header, 36).saturating_mul(SECTOR).min(MAX_DESCRIPTOR_BYTES);
    let text = file.read("descriptor", start, length)?;
    let text = String::from_utf8_lossy(&text);
    let value = |key: &str| {
        let mut values = text.lines().filter_map(|line| line.trim().split_once('='));
        values.find(|(name, _)| name.trim().eq_ignore_ascii_case(key)).map(|(_, value)| value.trim())
    };
    let kind = value("createType").ok_or_else(|| file.corrupt("the descriptor has no createType"))?;
    let is_whole = SELF_CONTAINED.contains(&kind.trim_matches('"'));
    let has_parent = value("parentCID").is_some_and(|id| !id.eq_ignore_ascii_case("ffffffff"))
        || value("parentFileNameHint").is_some();
    let extents = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_extent = words.next().is_some_and(|word| ["RW", "RDONLY", "NOACCESS"].contains(&word));
        is_extent.then(|| words.nth(1).unwrap_or_default())
    });
    let extents: Vec<&str> = extents.collect();
    if !is_whole || has_parent || extents.len() > 1 || extents.iter().any(|kind| *kind != "SPARSE") {
        return Err(file.other_file());
    }
    Ok(())
}

/// Hands on the grains that are there, in the order of the disk.
///
/// # Errors
/// The sink's, and [`InspectError`] for a damaged or truncated image.
pub(crate) fn read<R: Read + Seek, E: From<InspectError>>(
    file: &mut Container<'_, R>,
    header: &Header,
    sink: Sink<'_, E>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), E> {
    let covered = header.grain_bytes * TABLE_ENTRIES;
    for index in 0..header.tables() {
        let entry = file.read("grain directory", header.directory + index * 4, 4)?;
        let table = u64::from(le32(&entry, 0)) * SECTOR;
        if table != 0 {
            let entries = file.read("grain table", table, TABLE_ENTRIES * 4)?;
            for (number, entry) in entries.chunks_exact(4).enumerate() {
                let to = index * covered + number as u64 * header.grain_bytes;
                let is_zero =
                    le32(entry, 0) == 0 || (header.flags & ZEROED_GRAINS != 0 && le32(entry, 0) == 1);
                if to < header.virtual_size_bytes && !is_zero {
                    grain(file, header, u64::from(le32(entry, 0)) * SECTOR, to, sink)?;
                }
            }
        }
        progress(((index + 1) * covered).min(header.virtual_size_bytes));
    }
    Ok(())
}

fn grain<R: Read + Seek, E: From<InspectError>>(
    file: &mut Container<'_, R>,
    header: &Header,
    from: u64,
    to: u64,
    sink: Sink<'_, E>,
) -> Result<(), E> {
    let length = header.grain_bytes.min(header.virtual_size_bytes - to);
    if header.flags & COMPRESSED == 0 {
        return file.copy((from, to), length, sink);
    }
    let marker = file.read("grain", from, GRAIN_MARKER_BYTES)?;
    let packed_bytes = u64::from(le32(&marker, 8));
    // Incompressible data grows a little, and never to twice its size.
    if packed_bytes == 0 || packed_bytes > 2 * header.grain_bytes {
        return Err(file.corrupt("a compressed grain has no length that is possible").into());
    }
    let packed = file.read("grain", from + GRAIN_MARKER_BYTES, packed_bytes)?;
    let mut bytes = vec![0; header.grain_bytes as usize];
    match decompress_slice_iter_to_slice(&mut bytes, [packed.as_slice()].into_iter(), true, false) {
        Ok(found) if found as u64 >= length => sink(to, &bytes[..length as usize]),
        _ => Err(file.corrupt("a compressed grain cannot be unpacked").into()),
    }
}
