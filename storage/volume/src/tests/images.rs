//! Imports: what is in the image is on the disk, and what is no image leaves nothing.

use std::fs;

use miniz_oxide::deflate::compress_to_vec;

use super::{Running, numbered};
use crate::containers::tests::{all, disk, vdi_file};
use crate::{Format, InspectError, Progress, Volume, VolumeError, create_volume, import_image};

const CLUSTER: usize = 65_536;

/// A qcow2 of 3 MiB and a bit: one plain cluster, one compressed, one zero cluster, the rest holes.
fn qcow2(compressed: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let size = 48 * CLUSTER + 1024;
    let mut disk = vec![0; size];
    let plain = numbered(CLUSTER, 1);
    let packed = [numbered(CLUSTER / 2, 2), vec![7; CLUSTER / 2]].concat();
    let last = numbered(1024, 3);
    disk[..CLUSTER].copy_from_slice(&plain);
    disk[5 * CLUSTER..6 * CLUSTER].copy_from_slice(&packed);
    disk[48 * CLUSTER..].copy_from_slice(&last);

    let compressed = if compressed.is_empty() { compress_to_vec(&packed, 6) } else { compressed.to_vec() };
    let mut file = vec![0; 7 * CLUSTER];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb\0\0\0\x03");
    put(20, &16_u32.to_be_bytes());
    put(24, &(size as u64).to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &(2 * CLUSTER as u64).to_be_bytes());
    put(48, &(CLUSTER as u64).to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    put(96, &4_u32.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    put(2 * CLUSTER, &((3 * CLUSTER as u64) | (1 << 63)).to_be_bytes());
    let l2 = |index: usize| 3 * CLUSTER + index * 8;
    put(l2(0), &((4 * CLUSTER as u64) | (1 << 63)).to_be_bytes());
    put(l2(3), &((4 * CLUSTER as u64) | (1 << 63) | 1).to_be_bytes());
    put(l2(48), &((5 * CLUSTER as u64) | (1 << 63)).to_be_bytes());
    let at = 6 * CLUSTER + 100;
    let sectors = ((100 + compressed.len() - 1) / 512) as u64;
    put(l2(5), &(at as u64 | sectors << (62 - 8) | 1 << 62).to_be_bytes());
    put(4 * CLUSTER, &plain);
    put(5 * CLUSTER, &last);
    put(at, &compressed);
    file.truncate(at + compressed.len());
    (file, disk)
}

#[test]
fn a_qcow2_becomes_a_disk_with_its_content_and_its_holes() {
    let directory = tempfile::tempdir().unwrap();
    let (source, base) = (directory.path().join("image"), directory.path().join("base"));
    let (file, disk) = qcow2(&[]);
    fs::write(&source, file).unwrap();
    let mut reports: Vec<Progress> = Vec::new();
    let made = import_image(&source, Format::Qcow2, &base, &mut |progress| reports.push(progress)).unwrap();
    assert!(made.sealed);
    assert_eq!(made.size_bytes as usize, disk.len());
    assert!(made.allocated_bytes < 5 * CLUSTER as u64, "holes stay holes: {made:?}");
    let last = *reports.last().unwrap();
    assert_eq!((last.done_bytes, last.total_bytes), (made.size_bytes, made.size_bytes));
    assert_eq!(Running::new(Volume::open(&base, true).unwrap()).all(), disk);

    let clone = directory.path().join("clone");
    create_volume(&clone, Some(&base), 4 << 20).unwrap();
    assert_eq!(&Running::open(&clone).all()[..disk.len()], disk);
}

#[test]
fn other_peoples_containers_become_disks_too() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("image");
    let disk = disk((3 << 20) + 512);
    for (index, (format, file)) in all(&disk).into_iter().enumerate() {
        fs::write(&source, file).unwrap();
        let base = directory.path().join(format!("base-{index}"));
        let mut last = 0;
        let made = import_image(&source, format, &base, &mut |progress| last = progress.done_bytes).unwrap();
        assert_eq!((made.size_bytes as usize, last as usize), (disk.len(), disk.len()), "{format}");
        assert!(made.allocated_bytes < 1 << 20, "holes stay holes: {made:?}");
        assert!(Running::new(Volume::open(&base, true).unwrap()).all() == disk, "{format} {index}");
    }
}

#[test]
fn a_bad_image_is_refused_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (source, base) = (directory.path().join("image"), directory.path().join("base"));
    let refused = |bytes: &[u8], declared| {
        fs::write(&source, bytes).unwrap();
        let error = import_image(&source, declared, &base, &mut |_| ()).unwrap_err();
        assert!(!base.exists() && !directory.path().join("base.partial").exists());
        error
    };
    let (good, _) = qcow2(&[]);
    let mismatch = refused(&good, Format::Raw);
    assert!(matches!(mismatch, VolumeError::Mismatch { declared: Format::Raw, found: Format::Qcow2 }));
    assert!(matches!(refused(b"not a qcow2 at all", Format::Qcow2), VolumeError::Mismatch { .. }));
    assert!(matches!(refused(b"", Format::Raw), VolumeError::Refused(_)));
    assert!(refused(&good[..5 * CLUSTER + 10], Format::Qcow2).to_string().contains("truncated"));
    let mut backed = good.clone();
    backed[8..16].copy_from_slice(&512_u64.to_be_bytes());
    backed[16..20].copy_from_slice(&11_u32.to_be_bytes());
    backed[512..523].copy_from_slice(b"/etc/shadow");
    let named = refused(&backed, Format::Qcow2);
    assert!(matches!(named, VolumeError::Refused(InspectError::BackingFile)), "{named}");
    let (bomb, _) = qcow2(&compress_to_vec(&vec![0; 64 << 20], 6)[..40_000.min(CLUSTER - 200)]);
    assert!(refused(&bomb, Format::Qcow2).to_string().contains("unpacked"));
    let (noise, _) = qcow2(&numbered(4096, 9));
    assert!(refused(&noise, Format::Qcow2).to_string().contains("unpacked"));
    let qed = [b"QED\0".to_vec(), vec![0; 4096]].concat();
    assert!(matches!(refused(&qed, Format::Qed), VolumeError::NotImportable { format: Format::Qed }));
    let vdi = vdi_file(&disk(3 << 20));
    assert!(refused(&vdi[..vdi.len() - 512], Format::Vdi).to_string().contains("truncated"));
}

#[test]
fn a_full_file_system_is_its_own_error() {
    // A file system of 1 MiB, mounted for the length of the import.
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("image");
    fs::write(&source, numbered(4 << 20, 1)).unwrap();
    let mount = directory.path().join("small");
    fs::create_dir(&mount).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&mount)
        .status()
        .unwrap();
    assert!(mounted.success(), "this test mounts a small tmpfs");
    let imported = import_image(&source, Format::Raw, &mount.join("base"), &mut |_| ());
    let left = fs::read_dir(&mount).unwrap().count();
    assert!(std::process::Command::new("umount").arg(&mount).status().unwrap().success());
    assert!(matches!(imported, Err(VolumeError::NoSpace { .. })), "{imported:?}");
    assert_eq!(left, 0);
}
