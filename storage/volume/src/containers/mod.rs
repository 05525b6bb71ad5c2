//! The disks inside other people's containers. Each file reads a header, for the scanner, and by that header the disk,
//! for an import: the same parser decides and reads, so that the two cannot disagree about a hostile file. Nothing that
//! a file names is ever opened; every offset is checked against the file's end; tables are read piece by piece.

#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod vdi;
pub(crate) mod vhd;
pub(crate) mod vhdx;
pub(crate) mod vmdk;

use std::io::{Read, Seek, SeekFrom};

use updraft_base::size::MIB;

use crate::inspect::{Format, InspectError};
use crate::qcow2::Sink;

/// Of a container's block, so much is read at once, in bytes.
const PIECE_BYTES: u64 = MIB;
/// The most entries of a container's first table: as many as a qcow2's may have.
const MAX_ENTRIES: u64 = 4 << 20;

/// A container, read with its bounds in mind.
pub(crate) struct Container<'a, R> {
    reader: &'a mut R,
    pub file_bytes: u64,
    pub format: Format,
}

impl<'a, R: Read + Seek> Container<'a, R> {
    pub fn new(reader: &'a mut R, format: Format) -> Result<Self, InspectError> {
        let file_bytes = reader.seek(SeekFrom::End(0))?;
        Ok(Self { reader, file_bytes, format })
    }

    /// Exactly `length` bytes at `offset`; callers keep `length` below a named limit.
    pub fn read(&mut self, what: &'static str, offset: u64, length: u64) -> Result<Vec<u8>, InspectError> {
        self.check_within(what, offset, length)?;
        self.reader.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Refuses what ends beyond the end of the file.
    pub fn check_within(&self, what: &'static str, offset: u64, length: u64) -> Result<(), InspectError> {
        let end = offset.saturating_add(length);
        match end <= self.file_bytes {
            true => Ok(()),
            false => Err(InspectError::Truncated { what, needed_bytes: end, have_bytes: self.file_bytes }),
        }
    }

    /// Hands a block of the disk on, in pieces: `length` bytes of the file at `from`, which are the disk's at `to`.
    pub fn copy<E: From<InspectError>>(
        &mut self,
        (from, to): (u64, u64),
        length: u64,
        sink: Sink<'_, E>,
    ) -> Result<(), E> {
        let mut done = 0;
        while done < length {
            let piece = (length - done).min(PIECE_BYTES);
            let bytes = self.read("data", from.saturating_add(done), piece)?;
            sink(to + done, &bytes)?;
            done += piece;
        }
        Ok(())
    }

    pub fn corrupt(&self, what: &'static str) -> InspectError {
        InspectError::Corrupt { format: self.format, what }
    }

    pub fn unsupported(&self, what: &'static str) -> InspectError {
        InspectError::Unsupported { format: self.format, what }
    }

    pub fn other_file(&self) -> InspectError {
        InspectError::ExternalDataFile { format: self.format }
    }
}

/// Refuses a table that is longer than any honest one.
fn check_entries(what: &'static str, entries: u64) -> Result<(), InspectError> {
    if entries > MAX_ENTRIES {
        return Err(InspectError::TooLarge { what, value: entries, limit: MAX_ENTRIES });
    }
    Ok(())
}

fn le16(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(at(bytes, offset))
}

fn le32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(at(bytes, offset))
}

fn le64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(at(bytes, offset))
}

fn be32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(at(bytes, offset))
}

fn be64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(at(bytes, offset))
}

/// The bytes of a number; zeroes beyond the end of a buffer, whose length callers know.
fn at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let found = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    found.copied().unwrap_or([0; N])
}
