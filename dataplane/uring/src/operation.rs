//! One operation: what it does, and its submission entry.

use std::ops::Range;

use io_uring::{opcode, squeue, types};
use updraft_virtio::{Chain, Segment};

use crate::registered::Registered;
use crate::slots::Key;

/// A registered file: its place in the list that the ring was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIndex(pub u32);

/// Bytes of a request's readable part (a write to a file) or writable part (a read from it), counted from its start.
pub type Span = Range<usize>;

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// From the file into the writable part of the chain.
    Read,
    /// From the readable part of the chain into the file.
    Write,
    /// fdatasync.
    Datasync,
    /// Makes a hole of this many bytes; the file's size stays.
    Punch { len_bytes: u64 },
}

/// An operation between push and the end of its last continuation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub request: Key,
    pub kind: Kind,
    pub file: FileIndex,
    pub offset_bytes: u64,
    /// What is still to be moved.
    pub span: Span,
    pub moved: u32,
    /// The kernel may read these until the operation ends.
    pub vectors: Vec<libc::iovec>,
}

/// A kernel limit on the vectors of one call (UIO_MAXIOV). Longer transfers are continued like short ones.
const MAX_VECTORS: usize = 1024;

impl Operation {
    /// Builds the entry for what is left to do. Fills `vectors` when the bytes lie in more than one segment.
    pub fn entry(&mut self, chain: &Chain, registered: &Registered) -> squeue::Entry {
        let file = types::Fixed(self.file.0);
        match self.kind {
            Kind::Read => self.transfer(file, chain, chain.writable(), registered),
            Kind::Write => self.transfer(file, chain, chain.readable(), registered),
            Kind::Datasync => opcode::Fsync::new(file).flags(types::FsyncFlags::DATASYNC).build(),
            Kind::Punch { len_bytes } => opcode::Fallocate::new(file, len_bytes)
                .offset(self.offset_bytes)
                .mode(libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE)
                .build(),
        }
    }

    fn transfer(
        &mut self,
        file: types::Fixed,
        chain: &Chain,
        segments: &[Segment],
        registered: &Registered,
    ) -> squeue::Entry {
        let read = matches!(self.kind, Kind::Read);
        let offset = self.offset_bytes;
        self.vectors.clear();
        self.vectors.extend(vectors(segments, self.span.clone()).map(|(vector, _)| vector).take(MAX_VECTORS));
        if let [only] = self.vectors.as_slice() {
            let (address, len) = (only.iov_base.cast::<u8>(), only.iov_len as u32);
            let region = vectors(segments, self.span.clone()).next().map(|(_, region)| region);
            let fixed = region.and_then(|region| registered.index(chain, region, address, only.iov_len));
            return match (read, fixed) {
                (true, Some(index)) => {
                    opcode::ReadFixed::new(file, address, len, index).offset(offset).build()
                }
                (false, Some(index)) => {
                    opcode::WriteFixed::new(file, address, len, index).offset(offset).build()
                }
                (true, None) => opcode::Read::new(file, address, len).offset(offset).build(),
                (false, None) => opcode::Write::new(file, address, len).offset(offset).build(),
            };
        }
        let (start, count) = (self.vectors.as_ptr(), self.vectors.len() as u32);
        if read {
            opcode::Readv::new(file, start, count).offset(offset).build()
        } else {
            opcode::Writev::new(file, start, count).offset(offset).build()
        }
    }

    /// Notes that `count` more bytes were moved; true when the transfer is complete.
    pub fn advance(&mut self, count: u32) -> bool {
        self.moved = self.moved.saturating_add(count);
        self.offset_bytes += u64::from(count);
        self.span.start += count as usize;
        self.span.start >= self.span.end
    }
}

/// The addresses of `span` within the concatenated segments, each with its memory region.
fn vectors(segments: &[Segment], span: Span) -> impl Iterator<Item = (libc::iovec, usize)> {
    let mut skip = span.start;
    let mut left = span.len();
    segments.iter().filter_map(move |segment| {
        if left == 0 || skip >= segment.len() {
            skip = skip.saturating_sub(segment.len());
            return None;
        }
        let len = (segment.len() - skip).min(left);
        // SAFETY: skip is less than the segment's length, so the address stays inside the segment.
        let start = unsafe { segment.as_ptr().add(skip) };
        skip = 0;
        left -= len;
        Some((libc::iovec { iov_base: start.cast(), iov_len: len }, segment.region()))
    })
}
