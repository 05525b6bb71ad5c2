//! A real guest on our disks while the daemon is killed again and again. Needs QEMU, genisoimage and the guest image
//! (`tests/guest/build.sh`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use updraft_base::DiskId;
use updraft_dataplane_api::SocketRole;
use updraft_dataplane_api::blk::{BlkConfig, Disk};
use updraft_volume::{Format, create_volume, import_image, verify};

/// An emulated guest on a busy machine takes this long at worst.
const PATIENCE: Duration = Duration::from_secs(600);
const ROOT_BYTES: u64 = 1 << 30;
const DATA_BYTES: u64 = 64 << 20;
/// How long the guest writes, reads back and compares, in seconds of its own.
const USER_DATA: &str = "#!/bin/sh
blkcheck /dev/disk/by-id/virtio-data 8 45 &
blkcheck /var/blkcheck 4 45
wait
echo io-errors=$(dmesg | grep -c 'I/O error')
echo over
";

fn image() -> Option<PathBuf> {
    let named = std::env::var_os("UPDRAFT_GUEST_IMAGE").map(PathBuf::from);
    let built =
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/updraft/guest/updraft-mini.qcow2"));
    named.or(built).filter(|path| path.is_file())
}

fn is_installed(program: &str) -> bool {
    let tried = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok()
}

/// A child that does not outlive the test.
struct Process(Child);

impl Process {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Bench {
    directory: tempfile::TempDir,
    config: BlkConfig,
}

impl Bench {
    fn new(image: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        import_image(image, Format::Qcow2, &at("base"), &mut |_| ()).unwrap();
        create_volume(&at("root"), Some(&at("base")), ROOT_BYTES).unwrap();
        create_volume(&at("data"), None, DATA_BYTES).unwrap();
        let latest = at("drive").join("openstack/latest");
        fs::create_dir_all(&latest).unwrap();
        fs::write(latest.join("meta_data.json"), r#"{"uuid": "1", "hostname": "killed", "name": "killed"}"#)
            .unwrap();
        fs::write(latest.join("user_data"), USER_DATA).unwrap();
        let made = Command::new("genisoimage")
            .args(["-quiet", "-V", "config-2", "-J", "-R", "-o"])
            .arg(at("config"))
            .arg(at("drive"))
            .status();
        assert!(made.unwrap().success());
        let disk = |name: &str, queues, raw| Disk {
            id: DiskId::random(),
            path: directory.path().join(name),
            raw,
            socket_path: directory.path().join(name).with_extension("sock"),
            socket_role: SocketRole::Connects,
            read_only: raw,
            queues,
            serial: name.into(),
        };
        let config = BlkConfig {
            disks: vec![disk("root", 2, false), disk("data", 1, false), disk("config", 1, true)],
        };
        Self { directory, config }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start_daemon(&self) -> Process {
        let config = self.at("config.json");
        fs::write(&config, serde_json::to_vec(&self.config).unwrap()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_updraft-blkd"));
        command.arg("--config").arg(config).arg("--control").arg(self.at("control"));
        Process(command.env("RUST_LOG", "warn").stdin(Stdio::null()).spawn().unwrap())
    }

    fn start_guest(&self) -> Process {
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-nodefaults", "-display", "none", "-accel", "tcg", "-cpu", "Nehalem", "-smp", "2"]);
        command.args(["-machine", "q35,memory-backend=ram", "-m", "256"]);
        command.args(["-object", "memory-backend-memfd,id=ram,size=256M,share=on"]);
        command.arg("-serial").arg(format!("file:{}", self.at("console").display()));
        for (index, disk) in self.config.disks.iter().enumerate() {
            let socket = format!("socket,id=c{index},path={},server=on,wait=off", disk.socket_path.display());
            let queues = disk.queues;
            let device = format!("vhost-user-blk-pci,chardev=c{index},num-queues={queues},bootindex={index}");
            command.args(["-chardev", &socket, "-device", &device]);
        }
        Process(command.stdin(Stdio::null()).spawn().unwrap())
    }

    fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.at("console")).unwrap_or_default()).into_owned()
    }

    fn await_console(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.console().contains(text) {
            assert!(Instant::now() < deadline, "no '{text}' on the console:\n{}", self.console());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_guest_does_not_notice_that_its_daemon_is_killed() {
    let image = image().expect("the guest image is built (tests/guest/build.sh)");
    for program in ["qemu-system-x86_64", "genisoimage"] {
        assert!(is_installed(program), "{program} is not installed (tests/setup.sh)");
    }
    let bench = Bench::new(&image);
    let mut daemon = bench.start_daemon();
    let guest = bench.start_guest();
    bench.await_console("user-data starts");
    let mut random = 0x5eed_u64;
    let mut kills = 0;
    while !bench.console().contains("user-data: over") {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_millis(200 + (random >> 33) % 3000));
        daemon.kill();
        daemon = bench.start_daemon();
        kills += 1;
        assert!(kills < 1000, "the guest does not come to an end:\n{}", bench.console());
    }
    let console = bench.console();
    println!(
        "{kills} kills; {:?}",
        console.lines().filter(|line| line.contains("blkcheck")).collect::<Vec<_>>()
    );
    assert!(kills >= 5, "{kills} kills prove little");
    assert_eq!(console.matches(" errors=0").count(), 2, "{console}");
    assert!(console.contains("io-errors=0"), "{console}");
    drop(guest);
    daemon.kill();
    for disk in bench.config.disks.iter().filter(|disk| !disk.raw) {
        assert_eq!(verify(&disk.path).unwrap(), []);
    }
}
