//! What a file from a tenant really is. A bounded scanner in safe Rust: it reads a fixed number of header
//! bytes (and, for qcow2, the first-level table in small pieces; of others their headers, in `containers`), follows
//! nothing that the file names, and refuses what would make a later reader open another file or allocate without limit.
//!
//! The content decides, never the name and never what the uploader declared (CVE-2024-40767); a file that two
//! formats claim is refused (polyglot); qcow2 backing and data files are refused (CVE-2015-5163,
//! CVE-2024-32498), and so are VMDK descriptors that name extents (CVE-2022-47951).

mod formats;
pub(crate) mod qcow2;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use updraft_base::size::{KIB, MIB, SECTOR};

use crate::containers::{Container, vdi, vhd, vhdx, vmdk};

/// The largest virtual disk that an image may declare, in bytes (64 TiB). A larger one is refused.
pub const MAX_VIRTUAL_SIZE_BYTES: u64 = 64 << 40;
/// The largest first-level table of a qcow2, in bytes: QEMU's own limit. A larger one is refused.
pub const MAX_L1_TABLE_BYTES: u64 = 32 * MIB;
/// The largest reference-count table of a qcow2, in bytes: QEMU's own limit. A larger one is refused.
pub const MAX_REFCOUNT_TABLE_BYTES: u64 = 8 * MIB;
/// The most internal snapshots of a qcow2: QEMU's own limit. More are refused.
pub const MAX_SNAPSHOTS: u64 = 65_536;
/// How much of the file's beginning is looked at, in bytes: ISO 9660 has its mark at 32 KiB.
const HEAD_BYTES: u64 = 40 * KIB;

/// What a file's content says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// No known container: the file is the disk. Partition tables (MBR, GPT) are such content.
    Raw,
    /// QEMU's copy-on-write format, version 2 or 3.
    Qcow2,
    /// VMware's sparse disk.
    Vmdk,
    /// Microsoft's VHD, fixed or dynamic.
    Vhd,
    Vhdx,
    /// VirtualBox's disk.
    Vdi,
    /// ISO 9660 (a hybrid ISO with a partition table as well).
    Iso,
    /// QEMU's first enhanced disk format.
    Qed,
    /// An encrypted container.
    Luks,
}

impl Format {
    /// The name that OpenStack's image API uses as `disk_format`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vdi => "vdi",
            Self::Iso => "iso",
            Self::Qed => "qed",
            Self::Luks => "luks",
        }
    }

    /// True for the formats that `import_image` turns into a base layer. An ISO is imported as the
    /// plain disk that it is.
    pub fn is_importable(self) -> bool {
        match self {
            Self::Raw | Self::Qcow2 | Self::Iso | Self::Vmdk | Self::Vhd | Self::Vhdx | Self::Vdi => true,
            Self::Qed | Self::Luks => false,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The partition table in sector 0 of a raw disk. Only a hint for people: nothing decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionTable {
    None,
    Mbr,
    Gpt,
}

/// What the scanner found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    pub format: Format,
    /// The size of the disk that a guest would see, in bytes.
    pub virtual_size_bytes: u64,
    /// Of a raw disk; `None` for every container.
    pub partition_table: PartitionTable,
}

/// Why an image is refused. The messages are fit for the tenant who sent the image.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("the image cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("the image is empty")]
    Empty,
    #[error("the image is truncated: its {what} ends at byte {needed_bytes}, the file at {have_bytes}")]
    Truncated { what: &'static str, needed_bytes: u64, have_bytes: u64 },
    #[error("the image is ambiguous: it is valid as {first} and as {second}")]
    Polyglot { first: Format, second: Format },
    #[error("the qcow2 image has a backing file, which is not allowed")]
    BackingFile,
    #[error("the {format} image keeps its data in another file, which is not allowed")]
    ExternalDataFile { format: Format },
    #[error("the {format} image is encrypted, which is not supported")]
    Encrypted { format: Format },
    #[error("the qcow2 image needs unknown features (incompatible feature bits {bits:#x})")]
    UnknownFeatures { bits: u64 },
    #[error("the {format} image needs {what}, which is not supported")]
    Unsupported { format: Format, what: &'static str },
    #[error("the image's {what} is {value}, more than the limit of {limit}")]
    TooLarge { what: &'static str, value: u64, limit: u64 },
    #[error("the {format} image is damaged: {what}")]
    Corrupt { format: Format, what: &'static str },
}

/// Finds out what `reader` holds, in bounded time and memory (less than 128 KiB, whatever the file says).
///
/// # Errors
/// See [`InspectError`]: each names the one thing for which the image is refused.
pub fn inspect<R: Read + Seek>(reader: &mut R) -> Result<Inspection, InspectError> {
    let file_bytes = reader.seek(SeekFrom::End(0))?;
    if file_bytes == 0 {
        return Err(InspectError::Empty);
    }
    let head = read_at(reader, 0, HEAD_BYTES.min(file_bytes))?;
    let tail_offset = file_bytes.saturating_sub(SECTOR);
    let tail = read_at(reader, tail_offset, file_bytes - tail_offset)?;

    let format = single_match(&head, &tail)?;
    let virtual_size_bytes = match format {
        Format::Qcow2 => qcow2::check(reader, &head, file_bytes)?.virtual_size_bytes,
        Format::Vmdk => vmdk::Header::read(&mut Container::new(reader, format)?)?.virtual_size_bytes,
        Format::Vhd => vhd::Header::read(&mut Container::new(reader, format)?)?.virtual_size_bytes,
        Format::Vhdx => vhdx::Header::read(&mut Container::new(reader, format)?)?.virtual_size_bytes,
        Format::Vdi => vdi::Header::read(&mut Container::new(reader, format)?)?.virtual_size_bytes,
        Format::Raw | Format::Iso => file_bytes,
        Format::Qed => formats::qed_size(&head)?,
        Format::Luks => return Err(InspectError::Encrypted { format }),
    };
    within("virtual size in bytes", virtual_size_bytes, MAX_VIRTUAL_SIZE_BYTES)?;
    let partition_table =
        if format == Format::Raw { formats::partition_table(&head) } else { PartitionTable::None };
    Ok(Inspection { format, virtual_size_bytes, partition_table })
}

/// The header of a qcow2, checked again: the file may not be what it was when it was inspected.
pub(crate) fn qcow2_header<R: Read + Seek>(reader: &mut R) -> Result<qcow2::Header, InspectError> {
    let file_bytes = reader.seek(SeekFrom::End(0))?;
    let head = read_at(reader, 0, HEAD_BYTES.min(file_bytes))?;
    qcow2::check(reader, &head, file_bytes)
}

/// The one container format that claims the file; raw when none does.
fn single_match(head: &[u8], tail: &[u8]) -> Result<Format, InspectError> {
    let mut claims =
        formats::DETECTORS.iter().filter(|(_, claims)| claims(head, tail)).map(|(format, _)| *format);
    match (claims.next(), claims.next()) {
        (Some(first), Some(second)) => Err(InspectError::Polyglot { first, second }),
        (Some(format), None) => Ok(format),
        (None, _) => Ok(Format::Raw),
    }
}

/// Reads exactly `length` bytes; the callers keep `length` below a named limit.
fn read_at<R: Read + Seek>(reader: &mut R, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    reader.by_ref().take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

fn within(what: &'static str, value: u64, limit: u64) -> Result<(), InspectError> {
    if value > limit { Err(InspectError::TooLarge { what, value, limit }) } else { Ok(()) }
}

/// A big-endian number at `offset`; `None` beyond the end.
fn be32(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?))
}

fn be64(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(offset..offset.checked_add(8)?)?.try_into().ok()?))
}

fn le64(bytes: &[u8], offset: usize) -> Option<u64> {
    be64(bytes, offset).map(u64::swap_bytes)
}
