//! From a descriptor chain to a checked request, and from an outcome to the status byte (virtio 1.2, 5.2.6).
//!
//! The header is copied out of guest memory once; what is checked is the copy. Data and status lie where the chain
//! says, and every access to them is checked by the wall.

use updraft_base::size::{MIB, SECTOR};
use updraft_virtio::Chain;

use crate::device::{Geometry, Operation};

/// The most data of one request, in bytes; a larger one gets an I/O error. With `size_max` and `seg_max` as
/// announced a driver stays below it.
pub const MAX_REQUEST_BYTES: usize = 32 * MIB as usize;
/// The most sectors that one discard or write-zeroes request may cover (2 GiB less one sector's rounding).
pub const MAX_DISCARD_SECTORS: u32 = (1 << 22) - 128;
/// Bytes of a request's header.
pub(crate) const HEADER_BYTES: usize = 16;
/// Bytes of the answer to GET_ID.
pub const ID_BYTES: usize = 20;
/// Bytes of one range of a discard or write-zeroes request.
const RANGE_BYTES: usize = 16;

const TYPE_IN: u32 = 0;
const TYPE_OUT: u32 = 1;
const TYPE_FLUSH: u32 = 4;
const TYPE_GET_ID: u32 = 8;
const TYPE_DISCARD: u32 = 11;
const TYPE_WRITE_ZEROES: u32 = 13;
/// Of a write-zeroes range: the device may give the space back.
const RANGE_UNMAP: u32 = 1;

/// The status byte. One byte: a wider store would reach beyond the guest's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Status(pub u8);

impl Status {
    pub const OK: Self = Self(0);
    pub const IO_ERROR: Self = Self(1);
    pub const UNSUPPORTED: Self = Self(2);
}

/// What the guest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Device(Operation),
    GetId,
}

/// Why a request never reaches the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Answered with this status.
    Answer(Status),
    /// There is no header, or no place for a status: nothing can be answered, the driver is broken.
    Malformed,
}

const IO_ERROR: Refusal = Refusal::Answer(Status::IO_ERROR);
const UNSUPPORTED: Refusal = Refusal::Answer(Status::UNSUPPORTED);

#[inline]
pub(crate) fn parse(chain: &Chain, geometry: &Geometry) -> Result<Request, Refusal> {
    let mut header = [0; HEADER_BYTES];
    if chain.read(0, &mut header) != HEADER_BYTES || chain.writable_len() == 0 {
        return Err(Refusal::Malformed);
    }
    let [t0, t1, t2, t3, _, _, _, _, sector @ ..] = header;
    let sector = u64::from_le_bytes(sector);
    let payload_bytes = chain.readable_len() - HEADER_BYTES;
    let operation = match u32::from_le_bytes([t0, t1, t2, t3]) {
        TYPE_IN => {
            let len_bytes = chain.writable_len() - 1;
            let offset_bytes = checked_offset(sector, len_bytes, geometry)?;
            Operation::Read { offset_bytes, len_bytes }
        }
        TYPE_OUT => {
            let offset_bytes = checked_offset(sector, payload_bytes, geometry)?;
            writable(geometry)?;
            Operation::Write { offset_bytes, len_bytes: payload_bytes }
        }
        TYPE_FLUSH => Operation::Flush,
        TYPE_GET_ID => return Ok(Request::GetId),
        TYPE_DISCARD => {
            let (offset_bytes, len_bytes, flags) = parse_range(chain, geometry)?;
            if flags != 0 {
                return Err(UNSUPPORTED);
            }
            Operation::Discard { offset_bytes, len_bytes }
        }
        TYPE_WRITE_ZEROES => {
            let (offset_bytes, len_bytes, flags) = parse_range(chain, geometry)?;
            if flags & !RANGE_UNMAP != 0 {
                return Err(UNSUPPORTED);
            }
            Operation::WriteZeroes { offset_bytes, len_bytes }
        }
        _ => return Err(UNSUPPORTED),
    };
    Ok(Request::Device(operation))
}

fn writable(geometry: &Geometry) -> Result<(), Refusal> {
    if geometry.read_only { Err(IO_ERROR) } else { Ok(()) }
}

/// The byte offset of a transfer of whole sectors inside the disk.
#[inline]
fn checked_offset(sector: u64, len_bytes: usize, geometry: &Geometry) -> Result<u64, Refusal> {
    let whole = len_bytes > 0 && len_bytes.is_multiple_of(SECTOR as usize) && len_bytes <= MAX_REQUEST_BYTES;
    let offset = sector.checked_mul(SECTOR).filter(|_| whole).ok_or(IO_ERROR)?;
    match offset.checked_add(len_bytes as u64) {
        Some(end) if end <= geometry.size_bytes => Ok(offset),
        _ => Err(IO_ERROR),
    }
}

/// The one range of a discard or write-zeroes request: offset and length in bytes, and flags (5.2.6, `max_discard_seg`
/// is announced as one).
fn parse_range(chain: &Chain, geometry: &Geometry) -> Result<(u64, u64, u32), Refusal> {
    writable(geometry)?;
    let mut range = [0; RANGE_BYTES];
    if chain.readable_len() != HEADER_BYTES + RANGE_BYTES
        || chain.read(HEADER_BYTES, &mut range) != RANGE_BYTES
    {
        return Err(IO_ERROR);
    }
    let [s0, s1, s2, s3, s4, s5, s6, s7, c0, c1, c2, c3, flags @ ..] = range;
    let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    let count = u32::from_le_bytes([c0, c1, c2, c3]);
    if count == 0 || count > MAX_DISCARD_SECTORS {
        return Err(IO_ERROR);
    }
    let len_bytes = u64::from(count) * SECTOR;
    let offset = sector.checked_mul(SECTOR).ok_or(IO_ERROR)?;
    match offset.checked_add(len_bytes) {
        Some(end) if end <= geometry.size_bytes => Ok((offset, len_bytes, u32::from_le_bytes(flags))),
        _ => Err(IO_ERROR),
    }
}
