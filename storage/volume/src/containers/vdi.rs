//! VirtualBox's disk (`VDICore.h`), fixed or dynamic: a header and a map of blocks. All numbers are little-endian.

use std::io::{Read, Seek};

use updraft_base::size::{KIB, MIB, SECTOR};

use super::{Container, check_entries, le32, le64};
use crate::inspect::InspectError;
use crate::qcow2::Sink;

const HEADER_BYTES: u64 = SECTOR;
const MAJOR_VERSION: u32 = 1;
/// Dynamic and fixed disks; the others have a parent.
const WHOLE: [u32; 2] = [1, 2];
/// Of a block that is not there, or reads as zeroes, everything from here on.
const HOLES_FROM: u32 = u32::MAX - 1;

/// A header that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub virtual_size_bytes: u64,
    block_bytes: u64,
    map: u64,
    data: u64,
}

impl Header {
    /// # Errors
    /// Anything but a whole disk.
    pub fn read<R: Read + Seek>(file: &mut Container<'_, R>) -> Result<Self, InspectError> {
        let header = file.read("header", 0, HEADER_BYTES)?;
        if le32(&header, 0x44) >> 16 != MAJOR_VERSION {
            return Err(file.unsupported("a version other than 1"));
        }
        if !WHOLE.contains(&le32(&header, 0x4c)) {
            return Err(file.other_file());
        }
        let block_bytes = u64::from(le32(&header, 0x178));
        if !(4 * KIB..=256 * MIB).contains(&block_bytes) || !block_bytes.is_power_of_two() {
            return Err(file.corrupt("its blocks have no size that is possible"));
        }
        if le32(&header, 0x17c) != 0 {
            return Err(file.unsupported("data beside its blocks"));
        }
        let found = Self {
            virtual_size_bytes: le64(&header, 0x170),
            block_bytes,
            map: u64::from(le32(&header, 0x154)),
            data: u64::from(le32(&header, 0x158)),
        };
        check_entries("number of blocks", found.blocks())?;
        if found.blocks() > u64::from(le32(&header, 0x180)) {
            return Err(file.corrupt("its map of blocks is too short"));
        }
        file.check_within("block map", found.map, found.blocks() * 4)?;
        Ok(found)
    }

    fn blocks(&self) -> u64 {
        self.virtual_size_bytes.div_ceil(self.block_bytes)
    }
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
        let place = le32(&file.read("block map", header.map + block * 4, 4)?, 0);
        let to = block * header.block_bytes;
        let length = header.block_bytes.min(header.virtual_size_bytes - to);
        if place < HOLES_FROM {
            let from = header.data + u64::from(place) * header.block_bytes;
            file.copy((from, to), length, sink)?;
        }
        progress(to + length);
    }
    Ok(())
}
