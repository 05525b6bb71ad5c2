//! The daemon as the agent and a guest see it: started, changed, killed, ended.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use updraft_base::DiskId;
use updraft_blk::frontend::{Ask, GuestConfig, GuestDisk};
use updraft_blk::request::Status;
use updraft_dataplane_api::SocketRole;
use updraft_dataplane_api::blk::{BlkConfig, BlkRequest, BlkResponse, BlkStatus, Disk};
use updraft_dataplane_api::socket;
use updraft_volume::{Format, create_volume, import_image, verify};

const PATIENCE: Duration = Duration::from_secs(60);
const SECTOR: usize = 512;

/// A daemon with its files. Killed when dropped.
struct Bench {
    directory: tempfile::TempDir,
    daemon: Option<Child>,
    config: BlkConfig,
}

impl Bench {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), daemon: None, config: BlkConfig::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn control(&self) -> PathBuf {
        self.path("control")
    }

    /// A clone of a base image whose every sector is filled with its number.
    fn volume(&mut self, name: &str, directory: &Path, sectors: usize) -> Disk {
        let raw: Vec<u8> = (0..sectors).flat_map(|sector| [sector as u8; SECTOR]).collect();
        let (image, base) = (self.path(&format!("{name}.raw")), self.path(&format!("{name}.base")));
        fs::write(&image, raw).unwrap();
        import_image(&image, Format::Raw, &base, &mut |_| ()).unwrap();
        let path = directory.join(name);
        create_volume(&path, Some(&base), (sectors * SECTOR) as u64).unwrap();
        let socket_path = self.path(&format!("{name}.sock"));
        let id = DiskId::random();
        Disk {
            id,
            path,
            raw: false,
            socket_path,
            socket_role: SocketRole::Listens,
            read_only: false,
            queues: 2,
            serial: name.into(),
        }
    }

    fn start(&mut self) {
        let config = self.path("config.json");
        fs::write(&config, serde_json::to_vec(&self.config).unwrap()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_updraft-blkd"))
            .arg("--config")
            .arg(config)
            .arg("--control")
            .arg(self.control())
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .spawn();
        self.daemon = Some(child.unwrap());
    }

    fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// SIGTERM; true when the daemon ended well.
    fn end(&mut self) -> bool {
        let mut daemon = self.daemon.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(daemon.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        daemon.wait().unwrap().success()
    }

    fn ask(&self, request: &BlkRequest) -> BlkResponse {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match socket::call(&self.control(), request, Duration::from_secs(20)) {
                Ok(response) => return response,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn status(&self) -> BlkStatus {
        match self.ask(&BlkRequest::Status) {
            BlkResponse::Status { status } => status,
            other => panic!("{other:?}"),
        }
    }

    fn apply(&self, disks: &[&Disk]) -> BlkResponse {
        let config = BlkConfig { disks: disks.iter().map(|&disk| disk.clone()).collect() };
        self.ask(&BlkRequest::Apply { config })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn guest(disk: &Disk) -> GuestDisk {
    let config =
        GuestConfig { queues: disk.queues, depth: 8, buffer_bytes: 256 << 10, ..GuestConfig::default() };
    GuestDisk::connect(&disk.socket_path, config).unwrap()
}

#[test]
fn disks_come_and_go_while_others_are_served() {
    let mut bench = Bench::new();
    let directory = bench.directory.path().to_path_buf();
    let (root, data) = (bench.volume("root", &directory, 300), bench.volume("data", &directory, 100));
    bench.config.disks.push(root.clone());
    bench.start();
    let mut root_guest = guest(&root);
    root_guest.write(0, &[7; SECTOR]).unwrap();

    assert_eq!(bench.apply(&[&root, &data]), BlkResponse::Applied);
    let mut data_guest = guest(&data);
    assert_eq!(data_guest.read(5, SECTOR).unwrap(), [5; SECTOR]);
    let status = bench.status();
    assert_eq!(status.disks.len(), 2);
    let of_root = status.disks.iter().find(|disk| disk.id == root.id).unwrap();
    assert!(of_root.connected);
    assert_eq!((of_root.size_bytes, of_root.writes, of_root.written_bytes), (300 * 512, 1, 512));

    let changed = Disk { queues: 4, ..root.clone() };
    assert!(matches!(bench.apply(&[&changed, &data]), BlkResponse::Refused { .. }));
    let missing =
        Disk { id: DiskId::random(), path: "/nowhere".into(), socket_path: bench.path("x"), ..data.clone() };
    match bench.apply(&[&missing]) {
        BlkResponse::Refused { reason } => assert!(reason.contains(&missing.id.to_string()), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.status().disks.len(), 2, "a refusal changes nothing");
    assert_eq!(bench.apply(&[&root]), BlkResponse::Applied);
    assert!(!data.socket_path.exists());
    assert_eq!(verify(&data.path).unwrap(), [], "it was let go");
    assert_eq!(root_guest.read(0, SECTOR).unwrap(), [7; SECTOR], "the other disk went on");
    assert!(bench.end());
    assert!(!bench.control().exists() && !root.socket_path.exists());
    assert_eq!(verify(&root.path).unwrap(), []);
}

#[test]
fn a_daemon_that_cannot_serve_says_so_and_ends() {
    let mut bench = Bench::new();
    let directory = bench.directory.path().to_path_buf();
    let mut disk = bench.volume("disk", &directory, 10);
    disk.path = bench.path("disk.raw");
    bench.config.disks.push(disk);
    bench.start();
    assert!(!bench.daemon.take().unwrap().wait().unwrap().success());
    assert!(!bench.control().exists());
}

/// A generator that a seed decides (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What a guest has asked of its disk, and what it was told.
struct Oracle {
    /// By sector, what is there for sure.
    model: Vec<u8>,
    /// By queue and slot: a write under way.
    writes: BTreeMap<(usize, usize), (u64, Vec<u8>)>,
    next: u8,
}

impl Oracle {
    /// Starts as many writes as fit, none over another that is under way.
    fn submit(&mut self, guest: &mut GuestDisk, random: &mut Random) {
        let sectors = (self.model.len() / SECTOR) as u64;
        for (number, queue) in guest.queues.iter_mut().enumerate() {
            while let Some(slot) = queue.next_slot() {
                let (sector, count) = (random.below(sectors - 200), 1 + random.below(200));
                let overlaps = self
                    .writes
                    .values()
                    .any(|(at, bytes)| sector < at + (bytes.len() / SECTOR) as u64 && *at < sector + count);
                if overlaps {
                    break;
                }
                self.next = self.next.wrapping_add(1);
                let bytes = vec![self.next; count as usize * SECTOR];
                queue.set_data(slot, &bytes);
                queue.submit(Ask::Write { sector, len: bytes.len() as u32 }).unwrap();
                self.writes.insert((number, slot), (sector, bytes));
            }
            queue.kick();
        }
    }

    /// Takes what was answered into the model; false when nothing was.
    fn collect(&mut self, guest: &mut GuestDisk) -> bool {
        let mut any = false;
        for (number, queue) in guest.queues.iter_mut().enumerate() {
            while let Some((slot, status)) = queue.poll() {
                assert_eq!(status, Status::OK);
                let (sector, bytes) = self.writes.remove(&(number, slot)).expect("answered twice");
                self.model[sector as usize * SECTOR..][..bytes.len()].copy_from_slice(&bytes);
                any = true;
            }
        }
        any
    }

    fn settle(&mut self, guest: &mut GuestDisk) {
        let deadline = Instant::now() + PATIENCE;
        while !self.writes.is_empty() {
            self.collect(guest);
            assert!(Instant::now() < deadline, "{} writes were lost", self.writes.len());
        }
    }
}

#[test]
fn kills_lose_nothing_that_was_acknowledged_and_drop_nothing_that_was_asked() {
    let mut bench = Bench::new();
    let directory = bench.directory.path().to_path_buf();
    let sectors = 16_384;
    let disk = bench.volume("root", &directory, sectors);
    bench.config.disks.push(disk.clone());
    bench.start();
    let mut guest = guest(&disk);
    let model: Vec<u8> = (0..sectors).flat_map(|sector| [sector as u8; SECTOR]).collect();
    let mut oracle = Oracle { model, writes: BTreeMap::new(), next: 0 };
    let mut random = Random(0x5eed_0007);
    for kill in 0..25 {
        let rounds = random.below(40);
        for _ in 0..rounds {
            oracle.submit(&mut guest, &mut random);
            oracle.collect(&mut guest);
        }
        oracle.submit(&mut guest, &mut random);
        // Some kills hit a daemon in the middle of its work, some one that is just waking up.
        std::thread::sleep(Duration::from_micros(random.below(600)));
        bench.kill();
        // What it had published before it died counts.
        oracle.collect(&mut guest);
        bench.start();
        guest.reconnect().unwrap();
        if kill % 5 == 4 {
            oracle.settle(&mut guest);
            let size = oracle.model.len();
            for at in (0..size).step_by(256 << 10) {
                let piece = guest.read((at / SECTOR) as u64, (256 << 10).min(size - at)).unwrap();
                assert!(
                    piece == oracle.model[at..at + piece.len()],
                    "kill {kill}: bytes from {at} on are wrong"
                );
            }
        }
    }
    oracle.settle(&mut guest);
    guest.run(Ask::Flush).unwrap();
    assert!(bench.end());
    assert_eq!(verify(&disk.path).unwrap(), []);
}

#[test]
fn a_full_file_system_is_an_io_error_that_passes() {
    let mut bench = Bench::new();
    let mount = bench.path("small");
    fs::create_dir(&mount).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).arg(&mount).status().unwrap();
        assert!(status.success(), "{program} {arguments:?}");
    };
    run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
    // 4 MiB of image elsewhere; its clone has 1 MiB to grow in.
    let disk = bench.volume("root", &mount, 8192);
    bench.config.disks.push(disk.clone());
    bench.start();
    let mut guest = guest(&disk);
    let (mut written, mut refused) = (Vec::new(), Vec::new());
    for chunk in 0..64_u64 {
        match guest.write(chunk * 128, &[0xee; SECTOR]) {
            Ok(()) => written.push(chunk),
            Err(_) => refused.push(chunk),
        }
    }
    assert!(!written.is_empty() && !refused.is_empty(), "{written:?} {refused:?}");
    guest.run(Ask::Flush).unwrap();
    for chunk in 0..64_u64 {
        let expected = if written.contains(&chunk) { 0xee } else { (chunk * 128) as u8 };
        assert_eq!(guest.read(chunk * 128, SECTOR).unwrap(), [expected; SECTOR], "chunk {chunk}");
        assert_eq!(guest.read(chunk * 128 + 1, SECTOR).unwrap(), [(chunk * 128 + 1) as u8; SECTOR]);
    }
    run("mount", &["-o", "remount,size=16m"]);
    for chunk in refused {
        guest.write(chunk * 128, &[0xdd; SECTOR]).unwrap();
        assert_eq!(guest.read(chunk * 128, SECTOR).unwrap(), [0xdd; SECTOR]);
    }
    assert!(bench.end());
    let problems = verify(&disk.path).unwrap();
    run("umount", &[]);
    assert_eq!(problems, []);
}

#[test]
fn a_raw_file_is_served_as_it_is() {
    let mut bench = Bench::new();
    let path = bench.path("seed.iso");
    fs::write(&path, [3; 4 * SECTOR]).unwrap();
    let disk = Disk {
        id: DiskId::random(),
        path: path.clone(),
        raw: true,
        socket_path: bench.path("seed.sock"),
        socket_role: SocketRole::Listens,
        read_only: true,
        queues: 1,
        serial: "config-2".into(),
    };
    bench.config.disks.push(disk.clone());
    bench.start();
    let mut guest = guest(&disk);
    assert_eq!(guest.read(3, SECTOR).unwrap(), [3; SECTOR]);
    assert!(guest.write(0, &[4; SECTOR]).is_err());
    assert!(bench.end());
    let mut now = [0; SECTOR];
    fs::File::open(path).unwrap().read_exact_at(&mut now, 0).unwrap();
    assert_eq!(now, [3; SECTOR]);
}

#[test]
fn row_12_an_images_header_that_a_guest_writes_is_data() {
    let mut header = [0; SECTOR];
    header[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    header[8..16].copy_from_slice(&400_u64.to_be_bytes());
    header[16..20].copy_from_slice(&11_u32.to_be_bytes());
    header[24..32].copy_from_slice(&(1_u64 << 40).to_be_bytes());
    header[400..411].copy_from_slice(b"/etc/shadow");
    let mut bench = Bench::new();
    let directory = bench.directory.path().to_path_buf();
    let volume = bench.volume("root", &directory, 8);
    let raw = Disk {
        id: DiskId::random(),
        path: bench.path("plain"),
        raw: true,
        socket_path: bench.path("plain.sock"),
        serial: "plain".into(),
        ..volume.clone()
    };
    fs::write(&raw.path, [3; 8 * SECTOR]).unwrap();
    let disks = [volume, raw];
    bench.config.disks.extend(disks.clone());
    bench.start();
    for disk in &disks {
        guest(disk).write(0, &header).unwrap();
    }
    assert!(bench.end());
    bench.start();
    for disk in &disks {
        let mut guest = guest(disk);
        assert_eq!(guest.size_bytes().unwrap(), 8 * SECTOR as u64, "{}", disk.serial);
        assert_eq!(guest.read(0, SECTOR).unwrap(), header, "{}", disk.serial);
    }
    assert!(bench.end());
}
