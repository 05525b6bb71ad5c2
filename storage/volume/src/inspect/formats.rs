//! The containers that are recognised, by their signatures.
//! Signatures: QEMU's docs/interop/{qcow2,qed_spec}, VMware's Virtual Disk Format 5.0, Microsoft's VHD 1.0 and
//! MS-VHDX, VirtualBox's VDI header, ECMA-119 8.1, the LUKS1 on-disk format.

use super::{Format, InspectError, PartitionTable, le64};

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

fn has(bytes: &[u8], offset: usize, signature: &[u8]) -> bool {
    bytes.get(offset..).is_some_and(|rest| rest.starts_with(signature))
}

fn is_vmdk_descriptor(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    text.len() >= 21 && text[..21].eq_ignore_ascii_case(b"# Disk DescriptorFile")
}

/// The virtual size that a QED's header tells.
pub(super) fn qed_size(head: &[u8]) -> Result<u64, InspectError> {
    let what = "the header is shorter than its format asks for";
    le64(head, 48).ok_or(InspectError::Corrupt { format: Format::Qed, what })
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
