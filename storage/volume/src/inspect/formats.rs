//! The containers that are recognised, mostly in order to be refused, and how big a disk each declares.
//! Signatures: QEMU's docs/interop/{qcow2,qed_spec}, VMware's Virtual Disk Format 5.0, Microsoft's VHD 1.0 and
//! MS-VHDX, VirtualBox's VDI header, ECMA-119 8.1, the LUKS1 on-disk format.

use updraft_base::size::{KIB, SECTOR};

use super::{Format, InspectError, PartitionTable, be64, le64};

/// Given the file's head and its last sector: does the format claim it?
type Detector = fn(head: &[u8], tail: &[u8]) -> bool;

pub(super) const DETECTORS: &[(Format, Detector)] = &[
    (Format::Qcow2, |head, _| head.starts_with(b"QFI\xfb")),
    (Format::Qed, |head, _| head.starts_with(b"QED\0")),
    (Format::Vmdk, |head, _| head.starts_with(b"KDMV") || is_vmdk_descriptor(head)),
    (Format::Vhd, |head, tail| head.starts_with(b"conectix") || tail.starts_with(b"conectix")),
    (Format::Vhdx, |head, _| head.starts_with(b"vhdxfile")),
    (Format::Vdi, |head, _| has(head, 0x40, &[0x7f, 0x10, 0xda, 0xbe])),
    (Format::Luks, |head, _| head.starts_with(b"LUKS\xba\xbe")),
    (Format::Iso, |head, _| has(head, 0x8001, b"CD001")),
];

/// A VMDK's descriptor may stand alone and name its extents; the sparse kind embeds it, at most this long.
const VMDK_DESCRIPTOR_BYTES: u64 = 20 * KIB;
/// The kinds of VMDK that hold their data themselves (createType of the descriptor).
const VMDK_SELF_CONTAINED: &[&str] = &["monolithicSparse", "streamOptimized"];

fn has(bytes: &[u8], offset: usize, signature: &[u8]) -> bool {
    bytes.get(offset..).is_some_and(|rest| rest.starts_with(signature))
}

fn is_vmdk_descriptor(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    text.len() >= 21 && text[..21].eq_ignore_ascii_case(b"# Disk DescriptorFile")
}

/// The virtual size of every format but qcow2.
pub(super) fn virtual_size_bytes(
    format: Format,
    head: &[u8],
    tail: &[u8],
    file_bytes: u64,
) -> Result<u64, InspectError> {
    let corrupt = |what| InspectError::Corrupt { format, what };
    let size = match format {
        Format::Raw | Format::Iso | Format::Vhdx | Format::Qcow2 => Some(file_bytes),
        Format::Vmdk => Some(vmdk_size(head)?),
        Format::Vhd => {
            let footer = if head.starts_with(b"conectix") { head } else { tail };
            be64(footer, 48)
        }
        Format::Vdi => le64(head, 0x170),
        Format::Qed => le64(head, 48),
        Format::Luks => return Err(InspectError::Encrypted { format }),
    };
    size.ok_or_else(|| corrupt("the header is shorter than its format asks for"))
}

fn vmdk_size(head: &[u8]) -> Result<u64, InspectError> {
    let format = Format::Vmdk;
    let corrupt = |what| InspectError::Corrupt { format, what };
    if !head.starts_with(b"KDMV") {
        return Err(InspectError::ExternalDataFile { format });
    }
    let field = |offset| le64(head, offset).ok_or_else(|| corrupt("the header is cut off"));
    let (capacity, descriptor_sector, descriptor_sectors) = (field(12)?, field(28)?, field(36)?);
    let start =
        descriptor_sector.checked_mul(SECTOR).ok_or_else(|| corrupt("the descriptor lies too far"))?;
    let length = descriptor_sectors.saturating_mul(SECTOR).min(VMDK_DESCRIPTOR_BYTES);
    let descriptor = usize::try_from(start)
        .ok()
        .zip(usize::try_from(start.saturating_add(length)).ok())
        .and_then(|(start, end)| head.get(start..end))
        .ok_or_else(|| corrupt("the descriptor does not follow the header"))?;
    let text = String::from_utf8_lossy(descriptor);
    let kind = text.lines().find_map(|line| line.trim().strip_prefix("createType="));
    let kind = kind.ok_or_else(|| corrupt("the descriptor has no createType"))?.trim().trim_matches('"');
    if !VMDK_SELF_CONTAINED.contains(&kind) {
        return Err(InspectError::ExternalDataFile { format });
    }
    capacity.checked_mul(SECTOR).ok_or_else(|| corrupt("the capacity overflows"))
}

/// Looks for the boot signature (and a protective entry, UEFI 5.2.3) in sector 0 and the GPT header in sector 1.
pub(super) fn partition_table(head: &[u8]) -> PartitionTable {
    if has(head, 512, b"EFI PART") {
        PartitionTable::Gpt
    } else if has(head, 510, &[0x55, 0xaa]) {
        PartitionTable::Mbr
    } else {
        PartitionTable::None
    }
}
