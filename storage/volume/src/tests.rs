//! Volumes against a model: through a real ring, a real queue and a real socket.

mod crash;
mod images;
mod model;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use updraft_blk::frontend::{Ask, GuestConfig, GuestDisk, Served};
use uuid::Uuid;

use crate::format::{BootId, CHUNK_BYTES};
use crate::{Volume, VolumeError, create_volume, delete, import_image, info, verify};

pub(crate) const SECTOR: usize = 512;

/// Files of a test, and a base image whose every sector tells its number.
pub(crate) struct Bench {
    pub directory: TempDir,
    pub base: PathBuf,
    pub content: Vec<u8>,
}

impl Bench {
    pub fn new(base_chunks: u64, odd_sectors: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let raw = directory.path().join("image.raw");
        let len = (base_chunks * CHUNK_BYTES + odd_sectors * 512) as usize;
        let mut content = numbered(len, 1);
        // A hole in the middle, as images have.
        let hole = CHUNK_BYTES as usize..(2 * CHUNK_BYTES as usize).min(len);
        content[hole].fill(0);
        std::fs::write(&raw, &content).unwrap();
        let base = directory.path().join("base");
        import_image(&raw, crate::Format::Raw, &base, &mut |_| ()).unwrap();
        Self { directory, base, content }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Every 8 bytes tell where they are and who wrote them.
pub(crate) fn numbered(len: usize, writer: u32) -> Vec<u8> {
    (0..len / 8).flat_map(|at| (at as u64 | u64::from(writer) << 32 | 1 << 63).to_le_bytes()).collect()
}

/// A volume that is being served to a guestless frontend.
pub(crate) struct Running {
    pub guest: GuestDisk,
    _served: Served,
}

impl Running {
    pub fn new(volume: Arc<Volume>) -> Self {
        let socket = std::env::temp_dir().join(format!("updraft-volume-{}.sock", Uuid::new_v4()));
        let served = Served::start(volume, &socket, 1, "serial").unwrap();
        let config = GuestConfig { depth: 4, buffer_bytes: 4 << 20, ..GuestConfig::default() };
        Self { guest: GuestDisk::connect(&socket, config).unwrap(), _served: served }
    }

    pub fn open(path: &Path) -> Self {
        Self::new(Volume::open(path, false).unwrap())
    }

    /// Reads the whole disk.
    pub fn all(&mut self) -> Vec<u8> {
        let size = self.guest.size_bytes().unwrap() as usize;
        let piece = 1 << 20;
        (0..size)
            .step_by(piece)
            .flat_map(|at| self.guest.read((at / SECTOR) as u64, piece.min(size - at)).unwrap())
            .collect()
    }
}

#[test]
fn two_clones_of_an_image_do_not_see_each_other() {
    let bench = Bench::new(4, 3);
    let size = 8 * CHUNK_BYTES;
    let (one, two) = (bench.path("one"), bench.path("two"));
    create_volume(&one, Some(&bench.base), size).unwrap();
    create_volume(&two, Some(&bench.base), size).unwrap();
    let mut expected = bench.content.clone();
    expected.resize(size as usize, 0);
    let (mut first, mut second) = (Running::open(&one), Running::open(&two));
    assert_eq!(first.all(), expected);

    let written = numbered(SECTOR, 7);
    first.guest.write(5, &written).unwrap();
    let mut changed = expected.clone();
    changed[5 * SECTOR..6 * SECTOR].copy_from_slice(&written);
    assert_eq!(first.all(), changed);
    assert_eq!(second.all(), expected);
    drop((first, second));

    // What was acknowledged is there again, flushed or not, as long as the machine lives.
    assert_eq!(Running::open(&one).all(), changed);
    assert_eq!(Running::open(&two).all(), expected);
    assert_eq!(verify(&one).unwrap(), []);
    assert_eq!(verify(&two).unwrap(), []);
}

#[test]
fn a_clone_takes_no_space_and_little_time_whatever_its_size() {
    let bench = Bench::new(64, 0);
    let path = bench.path("huge");
    let made = create_volume(&path, Some(&bench.base), 1 << 40).unwrap();
    assert_eq!((made.size_bytes, made.owned_bytes), (1 << 40, 0));
    // Two maps of one bit for each of 2^24 chunks, reserved, and the header.
    assert!(made.allocated_bytes <= 5 << 20, "{made:?}");
    let small = create_volume(&bench.path("small"), Some(&bench.base), 2 << 30).unwrap();
    assert!(small.allocated_bytes < 128 << 10, "{small:?}");
    let mut running = Running::open(&path);
    assert_eq!(running.guest.read((1 << 31) - 1, SECTOR).unwrap(), [0; SECTOR]);
    running.guest.write((1 << 31) - 1, &[9; SECTOR]).unwrap();
    assert_eq!(running.guest.read((1 << 31) - 1, SECTOR).unwrap(), [9; SECTOR]);
}

#[test]
fn a_snapshot_freezes_and_its_child_goes_on() {
    let bench = Bench::new(3, 0);
    let size = 3 * CHUNK_BYTES;
    let (low, high) = (bench.path("low"), bench.path("high"));
    create_volume(&low, Some(&bench.base), size).unwrap();
    let mut running = Running::open(&low);
    running.guest.write(0, &numbered(SECTOR, 2)).unwrap();
    running.guest.run(Ask::Flush).unwrap();
    let frozen = running.all();
    drop(running);

    create_volume(&high, Some(&low), size + CHUNK_BYTES).unwrap();
    let mut running = Running::open(&high);
    let all = running.all();
    assert_eq!(&all[..frozen.len()], frozen);
    assert!(all[frozen.len()..].iter().all(|&byte| byte == 0));
    running.guest.write(1, &numbered(SECTOR, 3)).unwrap();
    let changed = running.all();
    assert_eq!(changed[..SECTOR], numbered(SECTOR, 2));
    assert_eq!(changed[SECTOR..2 * SECTOR], numbered(SECTOR, 3));
    drop(running);
    let mut frozen_again = Running::new(Volume::open(&low, true).unwrap());
    assert_eq!(frozen_again.all(), frozen);
    assert!(frozen_again.guest.write(0, &[1; SECTOR]).is_err(), "read-only");
    drop(frozen_again);
    assert_eq!(verify(&high).unwrap(), []);
}

/// The first sector of a qcow2 of 1 TiB that names a file of the host.
fn foreign_header() -> Vec<u8> {
    let mut sector = vec![0; SECTOR];
    let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb\0\0\0\x03");
    put(8, &400_u64.to_be_bytes());
    put(16, &11_u32.to_be_bytes());
    put(20, &16_u32.to_be_bytes());
    put(24, &(1_u64 << 40).to_be_bytes());
    put(400, b"/etc/shadow");
    sector
}

#[test]
fn row_12_an_images_header_that_a_guest_writes_is_data() {
    let bench = Bench::new(2, 0);
    let (header, size) = (foreign_header(), 4 * CHUNK_BYTES);
    for (name, parent) in [("clone", Some(bench.base.as_path())), ("empty", None)] {
        let path = bench.path(name);
        let made = create_volume(&path, parent, size).unwrap();
        let mut running = Running::open(&path);
        running.guest.write(0, &header).unwrap();
        running.guest.run(Ask::Flush).unwrap();
        let written = running.all();
        assert_eq!(written[..SECTOR], header, "{name}");
        drop(running);

        let mut again = Running::open(&path);
        assert_eq!(again.guest.size_bytes().unwrap(), size, "{name}");
        assert!(again.all() == written, "{name}");
        drop(again);
        let found = info(&path).unwrap();
        assert_eq!((found.size_bytes, found.parent), (size, made.parent), "{name}");
        let child = bench.path(&format!("{name}-child"));
        create_volume(&child, Some(&path), size).unwrap();
        assert!(Running::open(&child).all() == written, "{name}");
    }
}

#[test]
fn what_cannot_be_made_is_refused_and_leaves_nothing() {
    let bench = Bench::new(2, 0);
    let path = bench.path("new");
    let refused = |size, parent: Option<&Path>| create_volume(&path, parent, size).unwrap_err();
    assert!(matches!(refused(CHUNK_BYTES, Some(&bench.base)), VolumeError::TooSmall { .. }));
    assert!(matches!(refused(1000, None), VolumeError::BadSize { .. }));
    assert!(matches!(refused(0, None), VolumeError::BadSize { .. }));
    assert!(matches!(refused(1 << 60, None), VolumeError::BadSize { .. }));
    assert!(matches!(refused(1 << 20, Some(&bench.path("gone"))), VolumeError::NotFound { .. }));
    let raw = bench.path("image.raw");
    assert!(matches!(refused(1 << 20, Some(&raw)), VolumeError::BadFormat { .. }));
    assert!(!path.exists() && !bench.path("new.partial").exists());
    create_volume(&path, None, 1 << 20).unwrap();
    assert!(matches!(refused(1 << 20, None), VolumeError::Exists { .. }));
    assert!(matches!(delete(&raw), Err(VolumeError::BadFormat { .. })), "only volumes are deleted");
    assert!(matches!(Volume::open(&bench.base, false), Err(VolumeError::Sealed { .. })));
}

#[test]
fn a_volume_in_use_is_neither_opened_twice_nor_deleted() {
    let bench = Bench::new(1, 0);
    let path = bench.path("volume");
    create_volume(&path, Some(&bench.base), CHUNK_BYTES).unwrap();
    let open = Volume::open(&path, false).unwrap();
    let boot = crate::layer::current_boot().unwrap();
    let again = Volume::open_in(&path, false, boot, Duration::ZERO);
    assert!(matches!(again, Err(VolumeError::InUse { .. })));
    assert!(matches!(delete(&path), Err(VolumeError::InUse { .. })));
    assert!(matches!(delete(&bench.base), Err(VolumeError::InUse { .. })), "its child is open");
    drop(open);
    delete(&path).unwrap();
    delete(&path).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_damaged_or_exchanged_layer_is_noticed() {
    let bench = Bench::new(1, 0);
    let path = bench.path("volume");
    create_volume(&path, Some(&bench.base), CHUNK_BYTES).unwrap();
    std::fs::remove_file(&bench.base).unwrap();
    assert!(matches!(Volume::open(&path, false), Err(VolumeError::NotFound { .. })));
    import_image(&bench.path("image.raw"), crate::Format::Raw, &bench.base, &mut |_| ()).unwrap();
    assert!(matches!(Volume::open(&path, false), Err(VolumeError::WrongParent { .. })));
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"x", 33).unwrap();
    assert!(matches!(Volume::open(&path, false), Err(VolumeError::BadFormat { .. })));
    assert!(matches!(info(&path), Err(VolumeError::BadFormat { .. })));
}

/// A boot that is not this one.
pub(crate) fn other_boot() -> BootId {
    BootId(Uuid::new_v4())
}
