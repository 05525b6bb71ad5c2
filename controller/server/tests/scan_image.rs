//! `updraft-controller scan-image`: the scanner in its jail, as the controller starts it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Far more than the scanner takes to start.
const PATIENCE: Duration = Duration::from_secs(30);

fn scanner(bytes: &[u8]) -> Command {
    let image = tempfile::NamedTempFile::new().unwrap();
    fs::write(image.path(), bytes).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_updraft-controller"));
    command.arg("scan-image").env_clear().stdin(File::open(image.path()).unwrap());
    command
}

fn scan(bytes: &[u8]) -> Value {
    let output = scanner(bytes).output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn rows_10_and_11_what_names_other_files_is_refused() {
    assert_eq!(scan(&[7; 4096]), json!({"accepted": {"format": "raw", "virtual_size_bytes": 4096}}));
    let mut backed = vec![0; 65_536];
    backed[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    backed[8..16].copy_from_slice(&512_u64.to_be_bytes());
    backed[16..20].copy_from_slice(&11_u32.to_be_bytes());
    backed[512..523].copy_from_slice(b"/etc/shadow");
    let refused = scan(&backed);
    let reason = refused["refused"]["reason"].as_str().unwrap();
    assert!(reason.contains("backing file") && !reason.contains("shadow"), "{refused}");
    let flat = b"# Disk DescriptorFile\nversion=1\nRW 4192256 FLAT \"/etc/shadow\" 0\n";
    assert!(scan(flat)["refused"]["reason"].as_str().unwrap().contains("another file"));
}

/// A scanner that cannot give its answer before somebody reads.
struct Waiting {
    process: Child,
    output: UnixStream,
    /// What lies before the answer.
    filled_bytes: usize,
}

impl Waiting {
    fn start(bytes: &[u8]) -> Self {
        let (output, mut full) = UnixStream::pair().unwrap();
        full.set_nonblocking(true).unwrap();
        let mut filled_bytes = 0;
        while let Ok(count) = full.write(&[0; 4096]) {
            filled_bytes += count;
        }
        full.set_nonblocking(false).unwrap();
        let process = scanner(bytes).stdout(OwnedFd::from(full)).spawn().unwrap();
        Self { process, output, filled_bytes }
    }

    fn told(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap()
    }

    /// What the kernel says of it once it is in its jail.
    fn status_in_jail(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.told("status");
            if status.contains("\nSeccomp:\t2\n") {
                return status;
            }
            assert!(Instant::now() < deadline, "it is in no jail:\n{status}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn answer(mut self) -> Value {
        let mut output = Vec::new();
        self.output.read_to_end(&mut output).unwrap();
        assert!(self.process.wait().unwrap().success());
        serde_json::from_slice(&output[self.filled_bytes..]).unwrap()
    }
}

#[test]
fn row_13_the_scanner_that_the_controller_starts_is_in_its_jail() {
    let scanner = Waiting::start(&[7; 4096]);
    let status = scanner.status_in_jail();
    assert!(status.contains("\nNoNewPrivs:\t1\n"), "{status}");
    assert!(status.contains("\nThreads:\t1\n"), "the jail is of one thread:\n{status}");
    let limits = scanner.told("limits");
    for (name, limit) in [
        ("Max cpu time", "30"),
        ("Max address space", "268435456"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let soft_and_hard: Vec<&str> = line.split_whitespace().take(2).collect();
        assert_eq!(soft_and_hard, [limit, limit], "{name}");
    }
    assert_eq!(scanner.answer(), json!({"accepted": {"format": "raw", "virtual_size_bytes": 4096}}));
}
