//! Microsoft's VHD (Virtual Hard Disk Image Format Specification 1.0), fixed or dynamic: a footer at the end, and for a
//! dynamic disk a header and a table of blocks. All numbers are big-endian.

use std::io::{Read, Seek};

use updraft_base::size::{KIB, MIB, SECTOR};

use super::{Container, be32, be64, check_entries};
use crate::inspect::InspectError;
use crate::qcow2::Sink;

const COOKIE: &[u8] = b"conectix";
const HEADER_BYTES: u64 = KIB;
const FIXED: u32 = 2;
const DYNAMIC: u32 = 3;
const DIFFERENCING: u32 = 4;
/// Of a block that is not there.
const UNUSED: u32 = u32::MAX;

/// A footer, and a header, that were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub virtual_size_bytes: u64,
    /// Of a dynamic disk: where its table is, and how big its blocks are.
    blocks: Option<(u64, u64)>,
}

impl Header {
    /// # Errors
    /// Anything but a whole disk.
    pub fn read<R: Read + Seek>(file: &mut Container<'_, R>) -> Result<Self, InspectError> {
        let short = || file.corrupt("the header is shorter than its format asks for");
        let end = file.file_bytes.checked_sub(SECTOR).ok_or_else(short)?;
        let mut footer = file.read("footer", end, SECTOR)?;
        if !footer.starts_with(COOKIE) {
            // Cut off at its end, a dynamic disk has a copy at its beginning.
            footer = file.read("footer", 0, SECTOR)?;
        }
        if !footer.starts_with(COOKIE) || !is_good(&footer, 64) {
            return Err(file.corrupt("its footer is damaged"));
        }
        let virtual_size_bytes = be64(&footer, 48);
        match be32(&footer, 60) {
            FIXED if virtual_size_bytes <= end => Ok(Self { virtual_size_bytes, blocks: None }),
            FIXED => Err(InspectError::Truncated {
                what: "data",
                needed_bytes: virtual_size_bytes.saturating_add(SECTOR),
                have_bytes: file.file_bytes,
            }),
            DYNAMIC => Self::dynamic(file, virtual_size_bytes, be64(&footer, 16)),
            DIFFERENCING => Err(file.other_file()),
            _ => Err(file.unsupported("a kind of disk that is not known")),
        }
    }

    fn dynamic<R: Read + Seek>(
        file: &mut Container<'_, R>,
        virtual_size_bytes: u64,
        offset: u64,
    ) -> Result<Self, InspectError> {
        let header = file.read("header", offset, HEADER_BYTES)?;
        if !header.starts_with(b"cxsparse") || !is_good(&header, 36) {
            return Err(file.corrupt("its header is damaged"));
        }
        let (table, entries, block_bytes) =
            (be64(&header, 16), u64::from(be32(&header, 28)), u64::from(be32(&header, 32)));
        if !(SECTOR * 8..=256 * MIB).contains(&block_bytes) || !block_bytes.is_power_of_two() {
            return Err(file.corrupt("its blocks have no size that is possible"));
        }
        let blocks = virtual_size_bytes.div_ceil(block_bytes);
        check_entries("number of blocks", blocks)?;
        if blocks > entries {
            return Err(file.corrupt("its table of blocks is too short"));
        }
        file.check_within("block table", table, blocks * 4)?;
        Ok(Self { virtual_size_bytes, blocks: Some((table, block_bytes)) })
    }
}

/// Whether the sum of all bytes but its own is what the four bytes at `place` have, each bit turned round.
fn is_good(bytes: &[u8], place: usize) -> bool {
    let own = place..place + 4;
    let others = bytes.iter().enumerate().filter(|(index, _)| !own.contains(index));
    let sum = others.fold(0_u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)));
    !sum == be32(bytes, place)
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
    let size = header.virtual_size_bytes;
    let Some((table, block_bytes)) = header.blocks else {
        file.copy((0, 0), size, sink)?;
        progress(size);
        return Ok(());
    };
    // Before a block's data, a bit for each of its sectors, in whole sectors; what was never written has none.
    let bitmap_bytes = (block_bytes / SECTOR).div_ceil(8).next_multiple_of(SECTOR);
    for block in 0..size.div_ceil(block_bytes) {
        let entry = be32(&file.read("block table", table + block * 4, 4)?, 0);
        let to = block * block_bytes;
        let length = block_bytes.min(size - to);
        if entry != UNUSED {
            let start = u64::from(entry) * SECTOR;
            let written = file.read("block", start, bitmap_bytes)?;
            let is_written = |sector: u64| {
                let byte = written.get((sector / 8) as usize).copied().unwrap_or(0);
                byte & (0x80 >> (sector % 8)) != 0
            };
            let data = start + bitmap_bytes;
            let mut sector = 0;
            let sectors = length.div_ceil(SECTOR);
            while sector < sectors {
                let run = (sector..sectors).take_while(|next| is_written(*next)).count() as u64;
                let from = sector * SECTOR;
                if run > 0 {
                    file.copy((data + from, to + from), (run * SECTOR).min(length - from), sink)?;
                }
                sector += run.max(1);
            }
        }
        progress(to + length);
    }
    Ok(())
}
