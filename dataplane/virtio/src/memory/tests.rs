use std::fs::File;
use std::os::fd::OwnedFd;

use super::{GuestMemory, RegionSpec};
use crate::driver::GuestRam;
use crate::error::MemoryError;

fn spec(guest_address: u64, size: u64, mmap_offset: u64, ram: &GuestRam) -> RegionSpec {
    RegionSpec {
        guest_address,
        size,
        mmap_offset,
        user_address: 0x7f00_0000_0000 + guest_address,
        ..ram.spec().unwrap()
    }
}

#[test]
fn translates_inside_regions_and_nowhere_else() {
    let ram = GuestRam::new(0, 0x10000).unwrap();
    let memory =
        GuestMemory::map(vec![spec(0x10_0000, 0x4000, 0x8000, &ram), spec(0, 0x2000, 0, &ram)]).unwrap();
    ram.write(0x8010, b"high");
    let mut four = [0; 4];
    assert!(memory.read(0x10_0010, &mut four));
    assert_eq!(&four, b"high");
    assert!(memory.write(0x1ffc, b"last"));
    for (address, len) in
        [(0x1ffd, 4), (0x2000, 1), (0xf_ffff, 1), (0x10_3ffd, 4), (u64::MAX, 1), (u64::MAX - 3, 4)]
    {
        assert!(!memory.read(address, &mut vec![0; len]), "{len} bytes at {address:#x}");
    }
    assert_eq!(memory.user_to_guest(0x7f00_0010_0020), Some(0x10_0020));
    assert_eq!(memory.user_to_guest(0x7f00_0010_4000), None);
}

#[test]
fn refuses_tables_that_lie() {
    let ram = GuestRam::new(0, 0x10000).unwrap();
    let refuse = |specs: Vec<RegionSpec>| GuestMemory::map(specs).unwrap_err();
    assert!(matches!(refuse(vec![]), MemoryError::RegionCount { count: 0, .. }));
    let many = (0..509).map(|i| spec(i * 4096, 4096, 0, &ram)).collect();
    assert!(matches!(refuse(many), MemoryError::RegionCount { count: 509, .. }));
    assert!(matches!(refuse(vec![spec(0, 0, 0, &ram)]), MemoryError::Extent { .. }));
    assert!(matches!(refuse(vec![spec(u64::MAX - 10, 4096, 0, &ram)]), MemoryError::Extent { .. }));
    assert!(matches!(
        refuse(vec![spec(0, u64::MAX, 0, &ram)]),
        MemoryError::Extent { .. } | MemoryError::ShortFile { .. }
    ));
    assert!(matches!(refuse(vec![spec(0, 4096, u64::MAX - 1, &ram)]), MemoryError::Extent { .. }));
    assert!(matches!(refuse(vec![spec(0, 0x10001, 0, &ram)]), MemoryError::ShortFile { .. }));
    assert!(matches!(refuse(vec![spec(0, 4096, 0xf001, &ram)]), MemoryError::ShortFile { .. }));
    let overlapping = vec![spec(0, 0x2000, 0, &ram), spec(0x1fff, 0x1000, 0, &ram)];
    assert!(matches!(refuse(overlapping), MemoryError::Overlap { .. }));
}

#[test]
fn refuses_files_that_their_owner_could_shrink() {
    let zero: OwnedFd = File::options().read(true).write(true).open("/dev/zero").unwrap().into();
    let ram = GuestRam::new(0, 4096).unwrap();
    let device = RegionSpec { file: zero, ..spec(0, 4096, 0, &ram) };
    assert!(GuestMemory::map(vec![device]).is_err());
    let path = std::env::temp_dir().join(format!("updraft-unsealed-{}", std::process::id()));
    let plain = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    plain.set_len(4096).unwrap();
    let unsealed = RegionSpec { file: plain.into(), ..spec(0, 4096, 0, &ram) };
    assert!(matches!(GuestMemory::map(vec![unsealed]), Err(MemoryError::NotSealed { index: 0 })));
}
