//! The data path's daemons killed without warning a thousand times each, under a guest that writes, reads back and
//! compares past its page cache, and keeps TCP connections open. Nothing may be lost; how long each kill was felt is
//! printed.
//!
//! `UPDRAFT_KILLS` says how often each (1000). Takes an hour: `make soak` runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use updraft_dataplane_api::blk::{BlkRequest, BlkResponse, BlkStatus};
use updraft_dataplane_api::socket;
use updraft_e2e::cloud::Cloud;
use updraft_e2e::guest::{self, Guest, Session};
use updraft_e2e::wait::{PROCESS, until};

/// The guest's own check, five seconds at a time: a line with what it found.
const CHECK: &str = "while true; do sudo blkcheck /var/blkcheck 1 5 | tail -n 1; done";
/// A line of a TCP connection twenty times a second.
const TICKS: &str = "while true; do echo tick; sleep 0.05; done";
/// Between two pings, in seconds: what a stall of the network is measured with.
const PING_PERIOD_S: &str = "0.02";
/// Answers that show that the network is back for good.
const ANSWERS_AFTER: usize = 5;
/// Between two kills: what is under way differs from one to the next. A daemon that lived shorter than a second is
/// restarted with a delay, on purpose.
const PAUSE_MS: std::ops::Range<u64> = 550..950;

/// When each line of something came.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<Instant>>>);

impl Arrivals {
    fn note(&self) {
        self.0.lock().unwrap().push(Instant::now());
    }

    /// The longest time without an arrival, from the last one before `start` on.
    fn longest_gap_since(&self, start: Instant) -> Duration {
        let times = self.0.lock().unwrap();
        let first = times.partition_point(|time| *time < start).saturating_sub(1);
        times[first..].windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    fn await_more(&self, what: &str, count: usize) {
        let goal = self.0.lock().unwrap().len() + count;
        until(what, PROCESS, || (self.0.lock().unwrap().len() >= goal).then_some(()));
    }
}

/// A process that ends with the test.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ping_for_ever(cloud: &Cloud, address: &str) -> (Background, Arrivals) {
    let mut ping = cloud.outside("ping");
    let mut child = ping.args(["-n", "-i", PING_PERIOD_S, address]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let arrivals = Arrivals::default();
    let noted = arrivals.clone();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains("bytes from") {
                noted.note();
            }
        }
    });
    (Background(child), arrivals)
}

/// Lines of a session, each handed to `see`. The session ends when what comes back is dropped.
fn follow(mut session: Session, see: impl Fn(&str) + Send + 'static) -> (Session, Arrivals) {
    let arrivals = Arrivals::default();
    let noted = arrivals.clone();
    let lines = session.take_lines();
    thread::spawn(move || {
        for line in lines {
            see(&line);
            noted.note();
        }
    });
    (session, arrivals)
}

fn blkd_status(control: &Path) -> Option<BlkStatus> {
    match socket::call(control, &BlkRequest::Status, Duration::from_secs(5)).ok()? {
        BlkResponse::Status { status } => Some(status),
        _ => None,
    }
}

/// Kills blkd; how long until its successor had done a request of the guest, which always has some under way.
fn kill_blkd(control: &Path) -> Duration {
    let before = blkd_status(control).expect("blkd answers").pid;
    let start = Instant::now();
    kill(Pid::from_raw(before as i32), Signal::SIGKILL).unwrap();
    loop {
        let serves = blkd_status(control).is_some_and(|now| {
            now.pid != before && now.disks.iter().any(|disk| disk.reads + disk.writes + disk.flushes > 0)
        });
        if serves {
            return start.elapsed();
        }
        assert!(start.elapsed() < PROCESS, "no successor of blkd serves the guest");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Kills netd; how long no packet got through.
fn kill_netd(cloud: &Cloud, answers: &Arrivals) -> (Instant, Duration) {
    let before = cloud.pid_of("netd");
    let start = Instant::now();
    kill(Pid::from_raw(before), Signal::SIGKILL).unwrap();
    until("a successor of netd", PROCESS, || (cloud.pid_of("netd") != before).then_some(()));
    answers.await_more("pings pass again", ANSWERS_AFTER);
    (start, answers.longest_gap_since(start))
}

fn print_distribution(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_millis();
    println!(
        "{what}: {} kills, felt for p50 {} ms, p90 {} ms, p99 {} ms, at most {} ms",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

#[test]
#[ignore = "an hour: make soak"]
fn kills_of_the_data_path_are_hardly_felt() {
    let kills: usize = std::env::var("UPDRAFT_KILLS").map_or(1000, |text| text.parse().unwrap());
    let cloud = Cloud::start("kills", 4);
    guest::prepare(&cloud);
    let guest = Guest::boot(&cloud, "survivor");
    let (boot_id, control) =
        (guest.boot_id(), cloud.state_dir.join("run").join(&guest.server_id).join("blkd"));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let found = Arc::clone(&failures);
    let (_checking, checks) = follow(guest.session(CHECK), move |line| {
        if !line.ends_with(" errors=0") {
            found.lock().unwrap().push(line.to_owned());
        }
    });
    let (_ticking, ticks) = follow(guest.session(TICKS), |_| ());
    let (_ping, answers) = ping_for_ever(&cloud, &guest.address);
    checks.await_more("the guest checks its disk", 1);

    let mut random = 0x5eed_u64;
    let mut pause = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let span = PAUSE_MS.end - PAUSE_MS.start;
        thread::sleep(Duration::from_millis(PAUSE_MS.start + (random >> 33) % span));
    };
    let (mut blkd, mut netd, mut tcp) = (Vec::new(), Vec::new(), Vec::new());
    for done in 1..=kills {
        pause();
        blkd.push(kill_blkd(&control));
        pause();
        let (start, stall) = kill_netd(&cloud, &answers);
        netd.push(stall);
        ticks.await_more("the TCP connection lives", 2);
        tcp.push(ticks.longest_gap_since(start));
        assert_eq!(*failures.lock().unwrap(), Vec::<String>::new(), "after {done} kills each");
        if done % 100 == 0 || done == kills {
            println!("--- {done} kills each, {} checks of the disk", checks.0.lock().unwrap().len());
            print_distribution("blkd, until it serves the guest again", &mut blkd.clone());
            print_distribution("netd, no packet", &mut netd.clone());
            print_distribution("netd, as a TCP connection feels it", &mut tcp.clone());
        }
    }
    checks.await_more("the guest checks its disk", 2);
    assert_eq!(*failures.lock().unwrap(), Vec::<String>::new());
    assert_eq!(guest.boot_id(), boot_id, "the guest was restarted");
    let errors = guest.run("sudo dmesg | grep -iE 'I/O error|EXT4-fs error|hung task' || true");
    assert_eq!(errors, "", "the guest's kernel complains");
    cloud.await_nothing_amiss();
}
