use std::io::{self, Cursor, Read, Seek, SeekFrom};

use proptest::prelude::{any, prop, proptest};

use super::{Format, InspectError, Inspection, MAX_VIRTUAL_SIZE_BYTES, PartitionTable, inspect};

const CLUSTER: usize = 65_536;

/// A valid, empty version 3 image of 1 GiB: header, reference-count table and first-level table.
fn qcow2() -> Vec<u8> {
    let mut file = vec![0; 3 * CLUSTER + 16];
    put(&mut file, 0, b"QFI\xfb");
    put32(&mut file, 4, 3);
    put32(&mut file, 20, 16);
    put64(&mut file, 24, 1 << 30);
    put32(&mut file, 36, 2);
    put64(&mut file, 40, 3 * CLUSTER as u64);
    put64(&mut file, 48, CLUSTER as u64);
    put32(&mut file, 56, 1);
    put32(&mut file, 96, 4);
    put32(&mut file, 100, 104);
    file
}

fn put(file: &mut [u8], offset: usize, bytes: &[u8]) {
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn put32(file: &mut [u8], offset: usize, value: u32) {
    put(file, offset, &value.to_be_bytes());
}

fn put64(file: &mut [u8], offset: usize, value: u64) {
    put(file, offset, &value.to_be_bytes());
}

fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Result<Inspection, InspectError> {
    let mut file = qcow2();
    change(&mut file);
    inspect(&mut Cursor::new(file))
}

fn refusal(change: impl FnOnce(&mut Vec<u8>)) -> String {
    changed(change).unwrap_err().to_string()
}

#[test]
fn a_plain_qcow2_is_accepted_with_the_size_of_its_disk() {
    let found = changed(|_| ()).unwrap();
    assert_eq!((found.format, found.virtual_size_bytes), (Format::Qcow2, 1 << 30));
    let version_2 = changed(|file| put32(file, 4, 2)).unwrap();
    assert_eq!(version_2.format, Format::Qcow2);
}

/// A change to a good image, and what the refusal must say.
type Case = (&'static str, fn(&mut Vec<u8>), &'static str);

const REFUSED: &[Case] = &[
    ("backing file", |f| put64(f, 8, 0x200), "backing file"),
    ("backing file by size alone", |f| put32(f, 16, 11), "backing file"),
    ("external data file by feature bit", |f| put64(f, 72, 1 << 2), "another file"),
    ("external data file by extension", |f| put32(f, 104, 0x4441_5441), "another file"),
    ("legacy encryption", |f| put32(f, 32, 1), "encrypted"),
    ("LUKS by extension", |f| put32(f, 104, 0x0537_be77), "encrypted"),
    ("unknown feature", |f| put64(f, 72, 1 << 40), "0x10000000000"),
    ("extended second level", |f| put64(f, 72, 1 << 4), "extended"),
    ("marked corrupt", |f| put64(f, 72, 1 << 1), "marked as corrupt"),
    (
        "zstd",
        |f| {
            put64(f, 72, 1 << 3);
            f[104] = 1;
            put32(f, 100, 112);
        },
        "zlib",
    ),
    ("version 1", |f| put32(f, 4, 1), "version"),
    ("clusters of 4 GiB", |f| put32(f, 20, 32), "cluster size"),
    ("a petabyte", |f| put64(f, 24, 1 << 50), "virtual size"),
    ("first-level table of 64 MiB", |f| put32(f, 36, 8 << 20), "first-level table in bytes"),
    ("first-level table too short", |f| put32(f, 36, 1), "does not cover"),
    ("first-level table over the header", |f| put64(f, 40, 0), "boundary"),
    ("first-level table unaligned", |f| put64(f, 40, 1000), "boundary"),
    ("first-level table far away", |f| put64(f, 40, 1 << 40), "truncated"),
    ("first-level table overflowing", |f| put64(f, 40, u64::MAX << 16), "truncated"),
    ("second-level table far away", |f| put64(f, 3 * CLUSTER, 1 << 40), "second-level table"),
    ("huge reference-count table", |f| put32(f, 56, u32::MAX), "reference-count table"),
    ("too many snapshots", |f| put32(f, 60, 100_000), "snapshots"),
    ("cut off", |f| f.truncate(2 * CLUSTER), "truncated"),
    ("cut off in the header", |f| f.truncate(50), "truncated"),
    ("header length beyond the cluster", |f| put32(f, 100, 100), "header length"),
    (
        "extension beyond the cluster",
        |f| {
            put32(f, 104, 0x1234);
            put32(f, 108, u32::MAX);
        },
        "extension",
    ),
    ("also an ISO", |f| put(f, 0x8001, b"CD001"), "qcow2 and as iso"),
    ("also a VDI", |f| put(f, 0x40, &[0x7f, 0x10, 0xda, 0xbe]), "qcow2 and as vdi"),
    ("also a fixed VHD", |f| f.extend([b"conectix".as_slice(), &[0; 504]].concat()), "qcow2 and as vhd"),
];

#[test]
fn every_bad_qcow2_is_refused_for_its_reason() {
    for (name, change, reason) in REFUSED {
        let message = refusal(change);
        assert!(message.contains(reason), "{name}: {message}");
    }
}

#[test]
fn endless_extensions_are_refused() {
    let message = refusal(|file| {
        for index in 0..100 {
            put32(file, 104 + index * 8, 0x1111);
        }
    });
    assert!(message.contains("header extensions"), "{message}");
}

#[test]
fn an_empty_file_is_no_image() {
    assert!(matches!(inspect(&mut Cursor::new(Vec::new())), Err(InspectError::Empty)));
}

#[test]
fn what_no_container_claims_is_raw_with_its_partition_table() {
    let mut disk = vec![0; 4096];
    let found = |disk: &[u8]| inspect(&mut Cursor::new(disk)).unwrap();
    assert_eq!(found(&disk).partition_table, PartitionTable::None);
    put(&mut disk, 510, &[0x55, 0xaa]);
    assert_eq!(found(&disk).partition_table, PartitionTable::Mbr);
    put(&mut disk, 512, b"EFI PART");
    assert_eq!(
        found(&disk),
        Inspection { format: Format::Raw, virtual_size_bytes: 4096, partition_table: PartitionTable::Gpt }
    );
    assert_eq!(found(b"x").virtual_size_bytes, 1);
}

#[test]
fn other_containers_are_told_apart() {
    let with = |offset: usize, mark: &[u8]| {
        let mut file = vec![0; 40_960];
        put(&mut file, offset, mark);
        inspect(&mut Cursor::new(file)).map(|found| found.format)
    };
    assert_eq!(with(0, b"vhdxfile").unwrap(), Format::Vhdx);
    assert_eq!(with(0, b"conectix").unwrap(), Format::Vhd);
    assert_eq!(with(40_960 - 512, b"conectix").unwrap(), Format::Vhd);
    assert_eq!(with(0x40, &[0x7f, 0x10, 0xda, 0xbe]).unwrap(), Format::Vdi);
    assert_eq!(with(0x8001, b"CD001").unwrap(), Format::Iso);
    assert_eq!(with(0, b"QED\0").unwrap(), Format::Qed);
    assert!(matches!(with(0, b"LUKS\xba\xbe"), Err(InspectError::Encrypted { format: Format::Luks })));
}

#[test]
fn a_vmdk_that_names_other_files_is_refused() {
    let descriptor = b"# Disk DescriptorFile\nversion=1\nRW 4192256 FLAT \"/etc/shadow\" 0\n";
    let refused = inspect(&mut Cursor::new(descriptor.to_vec()));
    assert!(matches!(refused, Err(InspectError::ExternalDataFile { format: Format::Vmdk })));

    let mut sparse = vec![0; 4096];
    put(&mut sparse, 0, b"KDMV");
    put(&mut sparse, 12, &8_u64.to_le_bytes());
    put(&mut sparse, 28, &1_u64.to_le_bytes());
    put(&mut sparse, 36, &2_u64.to_le_bytes());
    put(&mut sparse, 512, b"# Disk DescriptorFile\ncreateType=\"monolithicFlat\"\n");
    let refused = inspect(&mut Cursor::new(sparse.clone()));
    assert!(matches!(refused, Err(InspectError::ExternalDataFile { format: Format::Vmdk })));
    put(&mut sparse, 512, b"# Disk DescriptorFile\ncreateType=\"streamOptimized\"\n");
    let accepted = inspect(&mut Cursor::new(sparse)).unwrap();
    assert_eq!((accepted.format, accepted.virtual_size_bytes), (Format::Vmdk, 4096));
}

/// Counts what is read, so that a test can hold the scanner to its bound.
struct Counting {
    file: Cursor<Vec<u8>>,
    bytes: u64,
}

impl Read for Counting {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(into)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

impl Seek for Counting {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

proptest! {
    /// Mostly valid input: a good image with a few fields overwritten. Any verdict is fine, but it comes from
    /// bounded reading, without a panic, and an accepted disk is within the limit.
    #[test]
    fn a_damaged_header_never_panics_nor_reads_without_bound(
        changes in prop::collection::vec((0_usize..128, any::<u64>(), 0_u32..64), 0..6),
        l1 in prop::collection::vec(any::<u64>(), 0..2),
        keep in 0_usize..4 * CLUSTER,
    ) {
        let mut bytes = qcow2();
        for (offset, value, shift) in changes {
            put64(&mut bytes, offset, value >> shift);
        }
        for (index, entry) in l1.iter().enumerate() {
            put64(&mut bytes, 3 * CLUSTER + index * 8, *entry);
        }
        bytes.truncate(keep.max(8));
        let mut counting = Counting { file: Cursor::new(bytes), bytes: 0 };
        if let Ok(found) = inspect(&mut counting) {
            assert!(found.virtual_size_bytes <= MAX_VIRTUAL_SIZE_BYTES);
        }
        assert!(counting.bytes <= (4 * CLUSTER + 42_000) as u64);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048), mark in 0_usize..8) {
        let marks: [&[u8]; 8] =
            [b"", b"QFI\xfb\0\0\0\x03", b"KDMV", b"conectix", b"vhdxfile", b"QED\0", b"LUKS", b"# Disk Descriptor"];
        let _ = inspect(&mut Cursor::new([marks[mark], &bytes].concat()));
    }
}
