//! Reads the disk inside a qcow2 (QEMU docs/interop/qcow2.txt), from a header that the scanner has accepted: the
//! same parser decides and reads, so that the two cannot disagree about a hostile file. Clusters are handed out in
//! the order of the disk; holes are left out. Memory: one first-level table piece, one second-level table, two
//! clusters.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use miniz_oxide::inflate::decompress_slice_iter_to_slice;

use crate::inspect::qcow2::{Header, L1_OFFSET_MASK};
use crate::inspect::{Format, InspectError};

const COMPRESSED: u64 = 1 << 62;
/// Of an uncompressed entry: the cluster reads as zeroes (version 3).
const ZERO: u64 = 1;
const SECTOR: u64 = 512;

/// What becomes of each cluster.
pub(crate) type Sink<'a, E> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), E>;

pub(crate) struct Reader<'a> {
    file: &'a File,
    file_bytes: u64,
    header: Header,
    cluster: Vec<u8>,
    compressed: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a File, file_bytes: u64, header: Header) -> Self {
        let cluster = vec![0; header.cluster_bytes() as usize];
        Self { file, file_bytes, header, cluster, compressed: Vec::new() }
    }

    /// Calls `sink` with the disk offset and the bytes of each cluster that is not a hole; `progress` with the disk
    /// offset reached, once for each second-level table.
    ///
    /// # Errors
    /// The sink's, and [`InspectError`] for a damaged or truncated image.
    pub fn read<E: From<InspectError>>(
        &mut self,
        sink: Sink<'_, E>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), E> {
        let covered = self.header.l2_entries() * self.header.cluster_bytes();
        let tables = self.header.virtual_size_bytes.div_ceil(covered);
        for index in 0..tables {
            let mut entry = [0; 8];
            self.read_file(self.header.l1_offset + index * 8, &mut entry)?;
            let table = u64::from_be_bytes(entry) & L1_OFFSET_MASK;
            if table != 0 {
                self.read_table(table, index * covered, sink)?;
            }
            progress(((index + 1) * covered).min(self.header.virtual_size_bytes));
        }
        Ok(())
    }

    fn read_table<E: From<InspectError>>(
        &mut self,
        table: u64,
        start: u64,
        sink: Sink<'_, E>,
    ) -> Result<(), E> {
        let mut entries = vec![0; self.header.cluster_bytes() as usize];
        self.read_file(table, &mut entries)?;
        for (index, entry) in entries.chunks_exact(8).enumerate() {
            let at = start + index as u64 * self.header.cluster_bytes();
            if at >= self.header.virtual_size_bytes {
                return Ok(());
            }
            let entry = entry.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
            if self.load(entry)? {
                let left = (self.header.virtual_size_bytes - at).min(self.header.cluster_bytes());
                sink(at, &self.cluster[..left as usize])?;
            }
        }
        Ok(())
    }

    /// Reads the cluster that a second-level entry names; false for a hole.
    fn load(&mut self, entry: u64) -> Result<bool, InspectError> {
        if entry & COMPRESSED != 0 {
            return self.inflate(entry).map(|()| true);
        }
        let offset = entry & L1_OFFSET_MASK;
        if offset == 0 || (self.header.version >= 3 && entry & ZERO != 0) {
            return Ok(false);
        }
        if !offset.is_multiple_of(self.header.cluster_bytes()) {
            return Err(corrupt("a cluster does not start on a cluster's boundary"));
        }
        let mut cluster = std::mem::take(&mut self.cluster);
        let read = self.read_file(offset, &mut cluster);
        self.cluster = cluster;
        read.map(|()| true)
    }

    /// A compressed cluster: an offset in bytes, and how many more sectors it touches.
    fn inflate(&mut self, entry: u64) -> Result<(), InspectError> {
        let offset_bits = 62 - (self.header.cluster_bits - 8);
        let offset = entry & ((1 << offset_bits) - 1);
        let sectors = (entry & (COMPRESSED - 1)) >> offset_bits;
        // The last sector may reach beyond the end of the file.
        let end = ((offset & !(SECTOR - 1)) + (sectors + 1) * SECTOR).min(self.file_bytes);
        let Some(len) = end.checked_sub(offset).filter(|&len| len > 0) else {
            return Err(self.truncated(offset + 1));
        };
        let mut compressed = std::mem::take(&mut self.compressed);
        compressed.resize(len as usize, 0);
        self.read_file(offset, &mut compressed)?;
        let inflated = decompress_slice_iter_to_slice(
            &mut self.cluster,
            [compressed.as_slice()].into_iter(),
            false,
            true,
        );
        self.compressed = compressed;
        match inflated {
            Ok(len) if len == self.cluster.len() => Ok(()),
            _ => Err(corrupt("a compressed cluster cannot be unpacked")),
        }
    }

    fn read_file(&self, offset: u64, bytes: &mut [u8]) -> Result<(), InspectError> {
        self.file.read_exact_at(bytes, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.truncated(offset.saturating_add(bytes.len() as u64)),
            _ => InspectError::Io(error),
        })
    }

    fn truncated(&self, needed_bytes: u64) -> InspectError {
        InspectError::Truncated { what: "data", needed_bytes, have_bytes: self.file_bytes }
    }
}

fn corrupt(what: &'static str) -> InspectError {
    InspectError::Corrupt { format: Format::Qcow2, what }
}
