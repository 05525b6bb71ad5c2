//! Good containers of each kind, made by hand, and what becomes of them when they are read, damaged or mixed.

use std::io::Cursor;

use crc_fast::{CrcAlgorithm, checksum};
use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::{any, prop, proptest};
use proptest::test_runner::{Config, RngSeed};

use super::{Container, vdi, vhd, vhdx, vmdk};
use crate::inspect::{Format, InspectError, inspect};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GRAIN: usize = 4 * KIB;

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() < offset + bytes.len() {
        file.resize(offset + bytes.len(), 0);
    }
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn put32(file: &mut Vec<u8>, offset: usize, value: u32) {
    put(file, offset, &value.to_le_bytes());
}

fn put64(file: &mut Vec<u8>, offset: usize, value: u64) {
    put(file, offset, &value.to_le_bytes());
}

/// A disk with something at its beginning, in its middle and at its end.
pub(crate) fn disk(size: usize) -> Vec<u8> {
    let mut disk = vec![0; size];
    for (start, length) in [(0, 5000), (size / 2 + 512, 70_000), (size - 3000, 3000)] {
        for (index, byte) in disk[start..start + length].iter_mut().enumerate() {
            *byte = (index * 7 % 251 + 1) as u8;
        }
    }
    disk
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A VMDK: plain, or stream-optimised.
fn vmdk_file(disk: &[u8], stream: bool) -> Vec<u8> {
    let kind = if stream { "streamOptimized" } else { "monolithicSparse" };
    let sectors = disk.len().div_ceil(512);
    let descriptor = format!(
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"{kind}\"\n\
         RW {sectors} SPARSE \"disk.vmdk\"\nddb.adapterType = \"lsilogic\"\n"
    );
    let mut header = b"KDMV".to_vec();
    put32(&mut header, 4, if stream { 3 } else { 1 });
    put32(&mut header, 8, if stream { 0x3_0001 } else { 1 });
    put64(&mut header, 12, sectors as u64);
    put64(&mut header, 20, (GRAIN / 512) as u64);
    put64(&mut header, 28, 1);
    put64(&mut header, 36, 2);
    put32(&mut header, 44, 512);
    put64(&mut header, 56, if stream { u64::MAX } else { 4 });
    put(&mut header, 77, &u16::from(stream).to_le_bytes());
    header.resize(512, 0);
    let mut file = header.clone();
    put(&mut file, 512, descriptor.as_bytes());
    let tables = disk.len().div_ceil(GRAIN * 512);
    let (directory, mut next) = (2 * KIB, 2 * KIB + 512 + tables * 2 * KIB);
    let mut map = vec![0; 512 + tables * 2 * KIB];
    for table in 0..tables {
        put32(&mut map, table * 4, ((directory + 512 + table * 2 * KIB) / 512) as u32);
    }
    if stream {
        next = 2 * KIB;
    }
    for (index, grain) in disk.chunks(GRAIN).enumerate().filter(|(_, grain)| !is_zero(grain)) {
        put32(&mut map, 512 + index * 4, (next / 512) as u32);
        let mut whole = grain.to_vec();
        whole.resize(GRAIN, 0);
        let stored = match stream {
            true => {
                let packed = compress_to_vec_zlib(&whole, 6);
                let mut marked = ((index * GRAIN / 512) as u64).to_le_bytes().to_vec();
                marked.extend((packed.len() as u32).to_le_bytes());
                [marked, packed].concat()
            }
            false => whole,
        };
        put(&mut file, next, &stored);
        next = (next + stored.len()).next_multiple_of(512);
    }
    file.resize(next, 0);
    match stream {
        false => put(&mut file, directory, &map),
        true => {
            for table in 0..tables {
                put32(&mut map, table * 4, ((next + 512 + table * 2 * KIB) / 512) as u32);
            }
            file.extend(&map);
            put64(&mut header, 56, (next / 512) as u64);
            file.extend(&header);
            file.resize(file.len() + 512, 0);
        }
    }
    file
}

fn crc(file: &mut Vec<u8>, offset: usize, length: usize) {
    put32(file, offset + 4, 0);
    let sum = checksum(CrcAlgorithm::Crc32Iscsi, &file[offset..offset + length]);
    put32(file, offset + 4, sum as u32);
}

/// A VHDX with blocks of 1 MiB: headers, its table of blocks at 1 MiB, its metadata at 2 MiB, data from 3 MiB on.
fn vhdx_file(disk: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 3 * MIB];
    put(&mut file, 0, b"vhdxfile");
    for (offset, sequence) in [(64 * KIB, 1), (128 * KIB, 2)] {
        put(&mut file, offset, b"head");
        put64(&mut file, offset + 8, sequence);
        put(&mut file, offset + 66, &1_u16.to_le_bytes());
        crc(&mut file, offset, 4 * KIB);
    }
    for table in [192 * KIB, 256 * KIB] {
        put(&mut file, table, b"regi");
        put32(&mut file, table + 8, 2);
        let regions = [
            (*b"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08", MIB),
            (*b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e", 2 * MIB),
        ];
        for (index, (kind, offset)) in regions.into_iter().enumerate() {
            put(&mut file, table + 16 + index * 32, &kind);
            put64(&mut file, table + 32 + index * 32, offset as u64);
            put32(&mut file, table + 40 + index * 32, MIB as u32);
        }
        crc(&mut file, table, 64 * KIB);
    }
    let metadata = 2 * MIB;
    put(&mut file, metadata, b"metadata");
    put(&mut file, metadata + 10, &3_u16.to_le_bytes());
    let items: [(_, &[u8]); 3] = [
        (*b"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b", &(MIB as u64).to_le_bytes()),
        (
            *b"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8",
            &(disk.len() as u64).to_le_bytes(),
        ),
        (*b"\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f", &512_u32.to_le_bytes()),
    ];
    for (index, (kind, value)) in items.into_iter().enumerate() {
        let (entry, place) = (metadata + 32 + index * 32, 64 * KIB + index * 16);
        put(&mut file, entry, &kind);
        put32(&mut file, entry + 16, place as u32);
        put32(&mut file, entry + 20, value.len() as u32);
        put(&mut file, metadata + place, value);
    }
    for (index, block) in disk.chunks(MIB).enumerate().filter(|(_, block)| !is_zero(block)) {
        let offset = file.len().next_multiple_of(MIB);
        put64(&mut file, MIB + index * 8, offset as u64 | 6);
        put(&mut file, offset, block);
        file.resize(offset + MIB, 0);
    }
    file
}

fn vhd_sum(bytes: &mut Vec<u8>, place: usize) {
    put(bytes, place, &[0; 4]);
    let sum = bytes.iter().fold(0_u32, |sum, byte| sum + u32::from(*byte));
    put(bytes, place, &(!sum).to_be_bytes());
}

/// A VHD: fixed, or dynamic with blocks of 64 KiB.
fn vhd_file(disk: &[u8], dynamic: bool) -> Vec<u8> {
    let mut footer = vec![0; 512];
    put(&mut footer, 0, b"conectix");
    put(&mut footer, 12, &0x1_0000_u32.to_be_bytes());
    put(&mut footer, 16, &if dynamic { 512 } else { u64::MAX }.to_be_bytes());
    put(&mut footer, 48, &(disk.len() as u64).to_be_bytes());
    put(&mut footer, 60, &if dynamic { 3_u32 } else { 2 }.to_be_bytes());
    vhd_sum(&mut footer, 64);
    if !dynamic {
        return [disk, &footer].concat();
    }
    let (block, blocks) = (64 * KIB, disk.len().div_ceil(64 * KIB));
    let mut header = vec![0; KIB];
    put(&mut header, 0, b"cxsparse");
    put(&mut header, 16, &1536_u64.to_be_bytes());
    put(&mut header, 28, &(blocks as u32).to_be_bytes());
    put(&mut header, 32, &(block as u32).to_be_bytes());
    vhd_sum(&mut header, 36);
    let mut file = [footer.clone(), header, vec![0xff; (blocks * 4).next_multiple_of(512)]].concat();
    for (index, bytes) in disk.chunks(block).enumerate().filter(|(_, bytes)| !is_zero(bytes)) {
        let start = file.len();
        put(&mut file, 1536 + index * 4, &((start / 512) as u32).to_be_bytes());
        let mut bitmap = vec![0_u8; 512];
        for (sector, bytes) in bytes.chunks(512).enumerate().filter(|(_, bytes)| !is_zero(bytes)) {
            bitmap[sector / 8] |= 0x80 >> (sector % 8);
            put(&mut file, start + 512 + sector * 512, bytes);
        }
        // What the bitmap says was never written reads as zeroes, whatever lies there.
        let unwritten = bytes.chunks(512).position(is_zero);
        if let Some(sector) = unwritten {
            put(&mut file, start + 512 + sector * 512, &[0xee; 512]);
        }
        put(&mut file, start, &bitmap);
        file.resize(start + 512 + block, 0);
    }
    file.extend(&footer);
    file
}

/// A dynamic VDI with blocks of 64 KiB.
pub(crate) fn vdi_file(disk: &[u8]) -> Vec<u8> {
    let (block, blocks) = (64 * KIB, disk.len().div_ceil(64 * KIB));
    let mut file = b"<<< Oracle VM VirtualBox Disk Image >>>\n".to_vec();
    put(&mut file, 0x40, &[0x7f, 0x10, 0xda, 0xbe]);
    put32(&mut file, 0x44, 0x1_0001);
    put32(&mut file, 0x48, 0x190);
    put32(&mut file, 0x4c, 1);
    put32(&mut file, 0x154, 512);
    put32(&mut file, 0x158, 4096);
    put32(&mut file, 0x168, 512);
    put64(&mut file, 0x170, disk.len() as u64);
    put32(&mut file, 0x178, block as u32);
    put32(&mut file, 0x180, blocks as u32);
    file.resize(4096, 0);
    let mut used = 0;
    for (index, bytes) in disk.chunks(block).enumerate() {
        let place = match is_zero(bytes) {
            true => u32::MAX,
            false => {
                put(&mut file, 4096 + used * block, bytes);
                file.resize(4096 + (used + 1) * block, 0);
                used += 1;
                used as u32 - 1
            }
        };
        put32(&mut file, 512 + index * 4, place);
    }
    file
}

/// Every kind of container, with this disk in it.
pub(crate) fn all(disk: &[u8]) -> Vec<(Format, Vec<u8>)> {
    vec![
        (Format::Vmdk, vmdk_file(disk, false)),
        (Format::Vmdk, vmdk_file(disk, true)),
        (Format::Vhdx, vhdx_file(disk)),
        (Format::Vhd, vhd_file(disk, false)),
        (Format::Vhd, vhd_file(disk, true)),
        (Format::Vdi, vdi_file(disk)),
    ]
}

/// The disk in a container, as an import would have it, no longer than `limit`.
fn unpacked(format: Format, file: &[u8], limit: usize) -> Result<Vec<u8>, InspectError> {
    let mut reader = Cursor::new(file);
    let size = inspect(&mut reader)?.virtual_size_bytes as usize;
    let mut container = Container::new(&mut reader, format)?;
    let mut disk = vec![0; size.min(limit)];
    let mut handed_on = 0;
    let mut sink = |offset: u64, bytes: &[u8]| {
        assert!(offset as usize + bytes.len() <= size, "nothing lies beyond the end of the disk");
        handed_on += bytes.len();
        let offset = offset as usize;
        if let Some(place) = disk.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        // A file may tell of more than it holds, many times over: an import ends when the disk is full.
        match handed_on > 8 * limit {
            true => Err(InspectError::TooLarge { what: "disk", value: 0, limit: 0 }),
            false => Ok(()),
        }
    };
    let mut last = 0;
    let mut progress = |done| {
        assert!(done >= last && done as usize <= size);
        last = done;
    };
    match format {
        Format::Vmdk => {
            let header = vmdk::Header::read(&mut container)?;
            vmdk::read::<_, InspectError>(&mut container, &header, &mut sink, &mut progress)?;
        }
        Format::Vhd => {
            let header = vhd::Header::read(&mut container)?;
            vhd::read::<_, InspectError>(&mut container, &header, &mut sink, &mut progress)?;
        }
        Format::Vhdx => {
            let header = vhdx::Header::read(&mut container)?;
            vhdx::read::<_, InspectError>(&mut container, &header, &mut sink, &mut progress)?;
        }
        Format::Vdi => {
            let header = vdi::Header::read(&mut container)?;
            vdi::read::<_, InspectError>(&mut container, &header, &mut sink, &mut progress)?;
        }
        other => panic!("{other} is no container"),
    }
    assert_eq!(last as usize, size);
    Ok(disk)
}

#[test]
fn the_disk_that_went_in_comes_out() {
    for size in [3 * MIB, 2 * MIB + 1536, 4 * MIB + 512] {
        let disk = disk(size);
        for (index, (format, file)) in all(&disk).into_iter().enumerate() {
            let found = inspect(&mut Cursor::new(&file)).unwrap_or_else(|error| panic!("{index}: {error}"));
            assert_eq!((found.format, found.virtual_size_bytes as usize), (format, size), "{index}");
            assert!(unpacked(format, &file, size).unwrap() == disk, "{format} {index} of {size} bytes");
        }
    }
}

#[test]
fn a_container_that_needs_another_file_is_refused() {
    let disk = disk(2 * MIB);
    let refused = |file: Vec<u8>| inspect(&mut Cursor::new(file)).unwrap_err();
    let replaced = |file: &[u8], old: &str, new: &str| {
        assert_eq!(old.len(), new.len());
        let place = file.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
        let mut changed = file.to_vec();
        put(&mut changed, place, new.as_bytes());
        changed
    };
    let vmdk = vmdk_file(&disk, false);
    for (old, new) in [
        ("\"monolithicSparse\"", "\"monolithicFlat\"  "),
        ("parentCID=ffffffff", "parentCID=12345678"),
        (" SPARSE ", " VMFS   "),
        ("ddb.adapterType = \"lsilogic\"", "parentFileNameHint=\"/shadow\""),
        ("ddb.adapterType = \"lsilogic\"", "RW 1 SPARSE \"/etc/shadow\"   "),
    ] {
        let error = refused(replaced(&vmdk, old, new));
        assert!(matches!(error, InspectError::ExternalDataFile { .. }), "{new}: {error}");
    }
    let mut vhdx = vhdx_file(&disk);
    put32(&mut vhdx, 2 * MIB + 64 * KIB + 4, 2);
    assert!(matches!(refused(vhdx), InspectError::ExternalDataFile { format: Format::Vhdx }));
    let mut vhd = vhd_file(&disk, false);
    let mut footer = vhd.split_off(disk.len());
    put(&mut footer, 60, &4_u32.to_be_bytes());
    vhd_sum(&mut footer, 64);
    assert!(matches!(
        refused([vhd, footer].concat()),
        InspectError::ExternalDataFile { format: Format::Vhd }
    ));
    let mut vdi = vdi_file(&disk);
    put32(&mut vdi, 0x4c, 4);
    assert!(matches!(refused(vdi), InspectError::ExternalDataFile { format: Format::Vdi }));
}

#[test]
fn a_vhdx_with_writes_in_its_log_is_refused() {
    let mut file = vhdx_file(&disk(2 * MIB));
    put(&mut file, 128 * KIB + 48, &[1]);
    crc(&mut file, 128 * KIB, 4 * KIB);
    let error = inspect(&mut Cursor::new(file)).unwrap_err();
    assert!(error.to_string().contains("log"), "{error}");
}

/// A bomb says that its disk is huge, or that its table is; no memory is taken for it.
#[test]
fn a_container_that_promises_too_much_is_refused() {
    let disk = disk(2 * MIB);
    let mut vmdk = vmdk_file(&disk, false);
    put64(&mut vmdk, 12, 1 << 50);
    let mut vhdx = vhdx_file(&disk);
    put64(&mut vhdx, 2 * MIB + 64 * KIB + 16, 1 << 60);
    let mut vdi = vdi_file(&disk);
    put64(&mut vdi, 0x170, 1 << 60);
    put32(&mut vdi, 0x180, u32::MAX);
    for file in [vmdk, vhdx, vdi] {
        let error = inspect(&mut Cursor::new(file)).unwrap_err();
        assert!(matches!(error, InspectError::TooLarge { .. }), "{error}");
    }
}

/// Signatures and where a file has them, apart from each other.
const MARKS: [(Format, isize, &[u8]); 4] = [
    (Format::Iso, 0x8001, b"CD001"),
    (Format::Vdi, 0x40, &[0x7f, 0x10, 0xda, 0xbe]),
    (Format::Vhd, -512, b"conectix"),
    (Format::Vmdk, 0, b"KDMV"),
];

#[test]
fn row_11_what_is_two_things_at_once_is_refused() {
    let disk = disk(2 * MIB);
    let mut bases = all(&disk);
    let mut qcow2 = vec![0; 4 * 64 * KIB];
    put(&mut qcow2, 0, b"QFI\xfb\0\0\0\x03");
    bases.push((Format::Qcow2, qcow2));
    for (format, base) in bases {
        for (other, offset, mark) in MARKS {
            let place = if offset < 0 { base.len() - 512 } else { offset as usize };
            let is_own = base.get(place..).is_some_and(|rest| rest.starts_with(mark))
                || (offset == 0 && [Format::Vhdx, Format::Qcow2].contains(&format));
            if other == format || is_own || (offset == 0 && base.starts_with(b"conectix")) {
                continue;
            }
            let mut both = base.clone();
            both.resize(base.len().max(place + mark.len()), 0);
            put(&mut both, place, mark);
            let error = inspect(&mut Cursor::new(both)).unwrap_err();
            assert!(matches!(error, InspectError::Polyglot { .. }), "{format} and {other}: {error}");
        }
    }
    // A partition table makes a disk of a raw file and nothing else of a container.
    let mut gpt = disk.clone();
    put(&mut gpt, 510, &[0x55, 0xaa]);
    put(&mut gpt, 512, b"EFI PART");
    assert_eq!(inspect(&mut Cursor::new(&gpt)).unwrap().format, Format::Raw);
    put(&mut gpt, 0x8001, b"CD001");
    assert_eq!(inspect(&mut Cursor::new(&gpt)).unwrap().format, Format::Iso, "a hybrid image");
    put(&mut gpt, 0, b"vhdxfile");
    assert!(matches!(inspect(&mut Cursor::new(&gpt)), Err(InspectError::Polyglot { .. })));
}

proptest! {
    #![proptest_config(Config { cases: 400, rng_seed: RngSeed::Fixed(11), ..Config::default() })]

    /// Mostly valid input: a good container with a few numbers overwritten, in its headers and tables, or cut off.
    /// Whatever it is taken for, it is read within its bounds and without a panic.
    #[test]
    fn a_damaged_container_never_panics_nor_leads_beyond_its_disk(
        kind in 0_usize..6,
        changes in prop::collection::vec((0_usize..7, 0_usize..2048, any::<u64>(), 0_u32..64), 0..5),
        keep in prop::option::of(0_usize..5 * MIB),
    ) {
        let size = 2 * MIB + 512;
        let (format, mut file) = all(&disk(size)).swap_remove(kind);
        let places = [0, 512, 2 * KIB, MIB, 2 * MIB, 2 * MIB + 64 * KIB, file.len() - 2048];
        for (place, offset, value, shift) in changes {
            let at = (places[place] + offset).min(file.len() - 8);
            put64(&mut file, at, value >> shift);
        }
        if let Some(keep) = keep {
            file.truncate(keep.max(1));
        }
        let found = inspect(&mut Cursor::new(&file)).map(|found| found.format);
        if found.is_ok_and(|found| found == format) {
            let _ = unpacked(format, &file, size);
        }
    }
}
