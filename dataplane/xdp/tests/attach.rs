//! The program on a real interface: a veth pair in a network namespace of the test's own, which is gone with it.
//!
//! Needs root: without it the test fails, it is never skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::{UnshareFlags, unshare_unsafe};
use updraft_flow::layout::FIRST_WORKER_SHARD;
use updraft_xdp::{Kind, Uplink, attachment, detach, remove};

/// For what the kernel does by itself; only a broken kernel takes that long.
const PATIENCE: Duration = Duration::from_secs(20);

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Pins of one test, removed with it.
struct Pins(PathBuf);

impl Pins {
    fn new(name: &str) -> Self {
        Self(PathBuf::from(format!("/sys/fs/bpf/updraft-test-{}-{name}", std::process::id())))
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            eprintln!("{error}");
        }
    }
}

/// Runs `test` on a thread with a network namespace of its own: `up0` is the uplink, `out0` the outside.
fn in_namespace(test: impl FnOnce(File) + Send) {
    std::thread::scope(|scope| {
        let body = || {
            // SAFETY: a new network namespace leaves the shared descriptor table as it is.
            #[allow(unsafe_code)]
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
                .expect("this test makes a network namespace: root");
            ip("link add up0 type veth peer name out0");
            ip("address add 203.0.113.1/24 dev out0");
            ip("link set up0 up");
            ip("link set out0 up");
            ip("neighbour add 203.0.113.100 lladdr fa:16:3e:00:00:10 dev out0");
            test(File::open("/proc/thread-self/ns/net").unwrap());
        };
        scope.spawn(body).join().unwrap();
    });
}

fn send_one() {
    let socket = UdpSocket::bind("203.0.113.1:0").unwrap();
    socket.send_to(b"x", "203.0.113.100:9").unwrap();
}

/// Packets that the program has seen.
fn seen(uplink: &Uplink) -> u64 {
    let view = uplink.tables().view(FIRST_WORKER_SHARD);
    view.kernel_events().find(|(name, _)| *name == "rx").unwrap().1
}

/// Packets that arrived at the interface, with or without a program.
fn arrived() -> u64 {
    let text = ip("-s -o link show up0");
    let mut words = text.split_whitespace().skip_while(|word| *word != "RX:");
    // "RX: bytes packets errors dropped missed mcast \ 1234 5 ..."
    let numbers: Vec<u64> = words.by_ref().filter_map(|word| word.parse().ok()).collect();
    numbers[1]
}

fn program_id(pins: &Path) -> u32 {
    attachment(pins).unwrap().unwrap().program_id
}

/// Pins of programs.
fn programs(pins: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(pins).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("program-")).collect()
}

/// Makes the pinned program one of another build.
fn rename_program(pins: &Path) {
    let pin = programs(pins).pop().unwrap();
    std::fs::rename(&pin, pin.with_file_name("program-of-another-build")).unwrap();
}

#[test]
fn the_program_stays_over_restarts_and_goes_when_told() {
    let pins = Pins::new("attach");
    in_namespace(|namespace| {
        let mut uplink = Uplink::open(&pins.0).unwrap();
        assert_eq!(attachment(&pins.0).unwrap(), None);
        uplink.attach(Some(namespace.as_fd()), "up0").unwrap();
        let first = attachment(&pins.0).unwrap().unwrap();
        assert_eq!(first.mode, "native");
        assert!(
            ip("-d link show up0").contains(&format!("prog/xdp id {}", first.program_id)),
            "the kernel agrees"
        );
        let before = seen(&uplink);
        send_one();
        wait_until("a packet through the program", || seen(&uplink) > before);

        drop(uplink); // netd dies
        assert_eq!(attachment(&pins.0).unwrap(), Some(first), "enforcement outlives it");
        let mut uplink = Uplink::open(&pins.0).unwrap();
        let before = seen(&uplink);
        send_one();
        wait_until("a packet through the old program", || seen(&uplink) > before);
        uplink.attach(Some(namespace.as_fd()), "up0").unwrap();
        assert_eq!(attachment(&pins.0).unwrap(), Some(first), "the same build needs no verifier");

        drop(uplink); // another build comes
        rename_program(&pins.0);
        let mut uplink = Uplink::open(&pins.0).unwrap();
        assert_eq!(attachment(&pins.0).unwrap(), Some(first), "not yet replaced");
        uplink.attach(Some(namespace.as_fd()), "up0").unwrap();
        assert_ne!(program_id(&pins.0), first.program_id, "replaced by the new one");
        assert_eq!(attachment(&pins.0).unwrap().unwrap().ifindex, first.ifindex);
        assert_eq!(programs(&pins.0).len(), 1, "the old one's pin is gone");

        detach(&pins.0).unwrap();
        assert_eq!(attachment(&pins.0).unwrap(), None);
        let (before, at_interface) = (seen(&uplink), arrived());
        send_one();
        wait_until("a packet at the bare interface", || arrived() > at_interface);
        assert_eq!(seen(&uplink), before, "no program, no count");
        detach(&pins.0).unwrap(); // again: nothing to do
    });
}

#[test]
fn an_interface_that_goes_takes_the_attachment_with_it() {
    let pins = Pins::new("gone");
    in_namespace(|namespace| {
        let mut uplink = Uplink::open(&pins.0).unwrap();
        uplink.attach(Some(namespace.as_fd()), "up0").unwrap();
        ip("link delete up0");
        wait_until("the detachment", || attachment(&pins.0).unwrap().is_none());
        ip("link add up0 type veth peer name out0");
        uplink.attach(Some(namespace.as_fd()), "up0").unwrap();
        assert!(attachment(&pins.0).unwrap().is_some(), "the stale pin is in nobody's way");
    });
}

#[test]
fn a_missing_interface_is_named() {
    let pins = Pins::new("missing");
    in_namespace(|namespace| {
        let mut uplink = Uplink::open(&pins.0).unwrap();
        let error = uplink.attach(Some(namespace.as_fd()), "nosuch0").unwrap_err();
        assert_eq!(error.kind, Kind::Attach);
        assert!(error.to_string().contains("nosuch0"), "{error}");
    });
}

#[test]
fn tables_of_another_layout_are_made_anew() {
    let pins = Pins::new("layout");
    let version = |uplink: &Uplink| uplink.tables().view(FIRST_WORKER_SHARD).config.version.get();
    let uplink = Uplink::open(&pins.0).unwrap();
    let current = version(&uplink);
    uplink.tables().view(FIRST_WORKER_SHARD).config.generation.set(77);
    drop(uplink);
    let uplink = Uplink::open(&pins.0).unwrap();
    let view = uplink.tables().view(FIRST_WORKER_SHARD);
    assert_eq!((view.config.version.get(), view.config.generation.get()), (current, 77), "kept");
    view.config.version.set(current + 1);
    drop(uplink);
    let uplink = Uplink::open(&pins.0).unwrap();
    let view = uplink.tables().view(FIRST_WORKER_SHARD);
    assert_eq!((view.config.version.get(), view.config.generation.get()), (current, 0), "made anew");
}

#[test]
fn a_program_without_all_its_tables_is_not_used() {
    let pins = Pins::new("torn");
    let uplink = Uplink::open(&pins.0).unwrap();
    uplink.tables().view(FIRST_WORKER_SHARD).config.generation.set(77);
    drop(uplink);
    std::fs::remove_file(pins.0.join("FLOW_TABLE")).unwrap();
    let uplink = Uplink::open(&pins.0).unwrap();
    assert_eq!(uplink.tables().view(FIRST_WORKER_SHARD).config.generation.get(), 0, "all made anew");
    assert_eq!(programs(&pins.0).len(), 1);
}

#[test]
fn a_directory_outside_bpffs_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Uplink::open(dir.path()).err().unwrap();
    assert_eq!(error.kind, Kind::Pin);
    assert!(error.to_string().contains("bpffs"), "{error}");
}
