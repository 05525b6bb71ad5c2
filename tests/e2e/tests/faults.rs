//! A running guest while every process around it is killed without warning: it stays up, its disk loses nothing,
//! and its TCP connections live on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use updraft_e2e::cloud::Cloud;
use updraft_e2e::guest::{self, Guest, Session};
use updraft_e2e::wait::{PROCESS, until};

/// Writes numbered blocks of a megabyte past the page cache, reads each back past it, compares, and says so, for ever.
const WRITE_AND_VERIFY: &str = r#"
i=0
while true; do
    i=$((i + 1))
    dd if=/dev/urandom of=/tmp/block bs=64k count=16 2>/dev/null || { echo "broken: random"; exit 1; }
    want=$(md5sum < /tmp/block)
    dd if=/tmp/block of=/var/verify.$((i % 8)) bs=64k conv=fsync 2>/dev/null || { echo "broken: write $i"; exit 1; }
    sync
    echo 3 | sudo tee /proc/sys/vm/drop_caches >/dev/null
    got=$(md5sum < /var/verify.$((i % 8))) || { echo "broken: read $i"; exit 1; }
    [ "$want" = "$got" ] || { echo "broken: block $i differs"; exit 1; }
    echo "verified $i"
done
"#;

fn await_more_verified_blocks(session: &mut Session, blocks: u32) {
    for _ in 0..blocks {
        let line = session.next_line();
        assert!(line.starts_with("verified "), "in the guest: {line}");
    }
}

fn kill_block_daemon(cloud: &Cloud) {
    let before = cloud.processes("updraft-blkd");
    assert_eq!(before.len(), 1, "one block daemon for one server");
    kill(Pid::from_raw(before[0]), Signal::SIGKILL).unwrap();
    until("a successor of blkd", PROCESS, || {
        let now = cloud.processes("updraft-blkd");
        (now.len() == 1 && now != before).then_some(())
    });
}

/// The program is what carries the traffic: taken off the interface, nothing passes; netd's successor puts it back.
fn take_the_program_off_and_back(cloud: &Cloud, guest: &Guest) {
    let before = floating_ip_packets(cloud);
    let pings = |count: &str| {
        let mut ping = cloud.outside("ping");
        ping.args(["-c", count, "-W", "2", &guest.address]).output().unwrap().status.success()
    };
    assert!(pings("3"));
    assert!(floating_ip_packets(cloud) >= before + 3, "the program did not count the pings");
    let link = "/sys/fs/bpf/faults/link";
    let detached = Command::new("bpftool").args(["link", "detach", "pinned", link]).status().unwrap();
    assert!(detached.success());
    assert!(!pings("2"), "a ping passed without the program");
    let status = String::from_utf8(cloud.try_updraft(&["status"]).stdout).unwrap();
    assert!(status.contains("NOT ATTACHED"), "status does not say so: {status}");
    assert!(!cloud.try_updraft(&["doctor"]).status.success(), "doctor does not say so");
    cloud.kill_and_await_successor("netd");
    until("pings pass again", PROCESS, || pings("1").then_some(()));
}

/// What the program itself counted.
fn floating_ip_packets(cloud: &Cloud) -> u64 {
    let status = cloud.updraft(&["status"]);
    let counter = status.split_whitespace().find_map(|word| word.strip_prefix("floating_ip="));
    counter.expect("status shows the counter").parse().unwrap()
}

#[test]
fn a_guest_outlives_every_process_around_it() {
    let cloud = Cloud::start("faults", 0);
    guest::prepare(&cloud);
    let guest = Guest::boot(&cloud, "survivor");
    let boot_id = guest.boot_id();
    guest.run("sudo mkdir -p /var && sudo touch /var/verify.0 && sudo chmod 777 /var /var/verify.0");
    let mut session = guest.session(WRITE_AND_VERIFY);
    await_more_verified_blocks(&mut session, 2);

    for daemon in ["controller", "agent", "netd"] {
        cloud.kill_and_await_successor(daemon);
        await_more_verified_blocks(&mut session, 3);
    }
    for _ in 0..3 {
        kill_block_daemon(&cloud);
        await_more_verified_blocks(&mut session, 3);
    }

    take_the_program_off_and_back(&cloud, &guest);
    await_more_verified_blocks(&mut session, 3);

    assert_eq!(guest.boot_id(), boot_id, "the guest was restarted");
    let errors = guest.run("sudo dmesg | grep -iE 'I/O error|EXT4-fs error|hung task' || true");
    assert_eq!(errors, "", "the guest's kernel complains");
    cloud.await_nothing_amiss();

    cloud.openstack("server delete --wait survivor");
    cloud.await_nothing_amiss();
    assert_eq!(cloud.processes("updraft-blkd"), Vec::<i32>::new());
    assert_eq!(cloud.processes("qemu-system-x86_64"), Vec::<i32>::new());
}
