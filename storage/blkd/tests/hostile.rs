//! A guest with two processors against a real daemon: one asks, the other changes what is asked while the daemon reads
//! it. The daemon may answer either version, with an error, or retire the queue; it never writes elsewhere, never
//! stops, and never burns a processor on a queue that it gave up.
//!
//! `UPDRAFT_HOSTILE_S` says for how many seconds (2); `make soak` runs it longer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use updraft_base::DiskId;
use updraft_blk::frontend::{GuestConfig, GuestDisk};
use updraft_dataplane_api::SocketRole;
use updraft_dataplane_api::blk::{BlkConfig, Disk};
use updraft_vhost::EventFd;
use updraft_vhost::message::request::SET_VRING_ERR;
use updraft_virtio::driver::GuestRam;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long an answer usually takes at most; later the queue is looked at more closely.
const USUAL: Duration = Duration::from_millis(100);
const SECTORS: u64 = 256;
const BLOCK: usize = 512;
/// What buffers hold before the device writes.
const UNTOUCHED: u8 = 0xee;
/// Memory around the buffers that nobody may write.
const GUARD_BYTES: usize = 64 << 10;
/// virtio 1.2, 2.7.5.
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
/// Requests of each prank before the next one's turn.
const REQUESTS_A_TURN: usize = 50;

/// Where the one request lies: descriptors 0 (header), 1 (data), 2 (status).
#[derive(Clone, Copy)]
struct Place {
    descriptors: u64,
    avail: u64,
    header: u64,
    /// Two buffers between which the racer changes.
    data: [u64; 2],
    status: u64,
    guard: u64,
}

/// What the second processor writes, over and over: some field's good value last.
type Prank = (&'static str, fn(&GuestRam, &Place));

fn write_data_descriptor(ram: &GuestRam, place: &Place, address: u64, len: u32, flags: u16, next: u16) {
    ram.write(place.descriptors + 16, &address.to_le_bytes());
    ram.write(place.descriptors + 24, &len.to_le_bytes());
    ram.write(place.descriptors + 28, &flags.to_le_bytes());
    ram.write(place.descriptors + 30, &next.to_le_bytes());
}

const PRANKS: [Prank; 7] = [
    ("sector", |ram, place| {
        ram.write(place.header + 8, &SECTORS.to_le_bytes());
        ram.write(place.header + 8, &u64::MAX.to_le_bytes());
        ram.write(place.header + 8, &0u64.to_le_bytes());
    }),
    ("type", |ram, place| {
        ram.write(place.header, &1u32.to_le_bytes());
        ram.write(place.header, &u32::MAX.to_le_bytes());
        ram.write(place.header, &0u32.to_le_bytes());
    }),
    ("address", |ram, place| {
        ram.write(place.descriptors + 16, &place.data[1].to_le_bytes());
        ram.write(place.descriptors + 16, &(u64::MAX - 100).to_le_bytes());
        ram.write(place.descriptors + 16, &place.data[0].to_le_bytes());
    }),
    ("length", |ram, place| {
        for len in [u32::MAX, 0, 513, BLOCK as u32] {
            ram.write(place.descriptors + 24, &len.to_le_bytes());
        }
    }),
    ("flags", |ram, place| {
        for flags in [NEXT, NEXT | WRITE | INDIRECT, NEXT | WRITE] {
            ram.write(place.descriptors + 28, &flags.to_le_bytes());
        }
    }),
    ("next", |ram, place| {
        for next in [1u16, 200, 0, 2] {
            ram.write(place.descriptors + 30, &next.to_le_bytes());
        }
    }),
    ("available index", |ram, place| {
        let mut now = [0; 2];
        ram.read(place.avail + 2, &mut now);
        ram.write(place.avail + 2, &u16::from_le_bytes(now).wrapping_add(20_000).to_le_bytes());
        ram.write(place.avail + 2, &now);
    }),
];

/// The second processor: plays the prank of this number, or rests and says so.
#[derive(Default)]
struct Racer {
    /// 0: rest; above: the prank's number and one.
    wanted: AtomicUsize,
    playing: AtomicUsize,
}

const END: usize = usize::MAX;

impl Racer {
    fn set(&self, wanted: usize) {
        self.wanted.store(wanted, Ordering::SeqCst);
        while self.playing.load(Ordering::SeqCst) != wanted {
            thread::yield_now();
        }
    }

    fn run(&self, ram: &GuestRam, place: &Place) {
        loop {
            let wanted = self.wanted.load(Ordering::SeqCst);
            self.playing.store(wanted, Ordering::SeqCst);
            match wanted {
                0 => thread::yield_now(),
                END => return,
                number => (PRANKS[number - 1].1)(ram, place),
            }
        }
    }
}

/// Ends the racer, also when the test fails: the scope waits for it.
struct End<'a>(&'a Racer);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.wanted.store(END, Ordering::SeqCst);
    }
}

/// A real daemon with the attacked disk and a neighbour's.
struct Daemon {
    process: Child,
    directory: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disks = ["victim", "neighbour"].map(|name| {
            let path = directory.path().join(name);
            fs::write(&path, content()).unwrap();
            Disk {
                id: DiskId::random(),
                socket_path: path.with_extension("sock"),
                socket_role: SocketRole::Listens,
                path,
                raw: true,
                read_only: false,
                queues: 1,
                serial: name.into(),
            }
        });
        let config = directory.path().join("config");
        fs::write(&config, serde_json::to_vec(&BlkConfig { disks: disks.into() }).unwrap()).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_updraft-blkd"))
            .arg("--config")
            .arg(config)
            .arg("--control")
            .arg(directory.path().join("control"))
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .spawn();
        Self { process: process.unwrap(), directory }
    }

    fn plug(&self, name: &str) -> GuestDisk {
        let socket = self.directory.path().join(name).with_extension("sock");
        GuestDisk::connect(&socket, GuestConfig { depth: 4, ..GuestConfig::default() }).unwrap()
    }

    /// Processor time so far, in ticks of 10 ms.
    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(Path::new("/proc").join(self.process.id().to_string()).join("stat"));
        let stat = stat.unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn content() -> Vec<u8> {
    (0..SECTORS as usize * BLOCK).map(|at| (at / BLOCK + at) as u8 & 0x7f).collect()
}

/// The attacker: one request at a time, written into the ring by hand.
struct Attacker {
    disk: GuestDisk,
    ram: Arc<GuestRam>,
    place: Place,
    broken: EventFd,
    retired: usize,
    answered: usize,
}

impl Attacker {
    fn new(disk: GuestDisk) -> Self {
        let driver = &disk.queues[0].driver;
        let ram = Arc::clone(driver.ram());
        let (descriptors, avail, _) = driver.addresses();
        let guard = ram.take(GUARD_BYTES, 4096);
        let place = Place {
            descriptors,
            avail,
            header: ram.take(16, 16),
            data: [ram.take(BLOCK, BLOCK), ram.take(BLOCK, BLOCK)],
            status: ram.take(1, 64),
            guard,
        };
        ram.write(guard, &[UNTOUCHED; GUARD_BYTES]);
        let mut attacker =
            Self { disk, ram, place, broken: EventFd::new().unwrap(), retired: 0, answered: 0 };
        attacker.watch();
        attacker
    }

    /// Asks to be told when the queue is retired.
    fn watch(&mut self) {
        self.broken = EventFd::new().unwrap();
        let queue = 0u64.to_ne_bytes();
        self.disk.frontend().send(SET_VRING_ERR, &queue, &[self.broken.as_fd()]).unwrap();
    }

    /// A good read of sector 0.
    fn write_request(&self) {
        let (ram, place) = (&self.ram, &self.place);
        ram.write(place.header, &[0; 16]);
        let driver = &self.disk.queues[0].driver;
        driver.write_descriptor(0, place.header, 16, NEXT, 1);
        write_data_descriptor(ram, place, place.data[0], BLOCK as u32, NEXT | WRITE, 2);
        driver.write_descriptor(2, place.status, 1, WRITE, 0);
    }

    fn answer_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.disk.queues[0].driver.poll().is_some() {
                return true;
            }
            if self.broken.take() {
                self.retired += 1;
                return false;
            }
            thread::yield_now();
        }
        false
    }

    /// One request while the racer plays prank `number`.
    fn ask(&mut self, racer: &Racer, number: usize) {
        self.write_request();
        for buffer in self.place.data {
            self.ram.write(buffer, &[UNTOUCHED; BLOCK]);
        }
        racer.set(number + 1);
        self.disk.queues[0].driver.push_head(0);
        self.disk.queues[0].kick();
        let mut answered = self.answer_within(USUAL);
        racer.set(0);
        if !answered {
            // Lost to the racer, or the queue is given up: the guest resets its device and asks properly.
            self.write_request();
            self.disk.queues[0].kick();
            self.disk.reconnect().unwrap();
            self.watch();
            answered = self.answer_within(PATIENCE);
        }
        assert!(answered, "{}: a good request on a fresh queue is not answered", PRANKS[number].0);
        self.answered += 1;
        self.check(PRANKS[number].0);
    }

    /// Whatever was answered: each buffer holds the beginning of sector 0, and nothing else. Of a later sector where
    /// the data descriptor may have led to itself: then the same buffer was read into more than once.
    fn check(&self, prank: &str) {
        let content = content();
        let sectors = if prank == "next" { SECTORS as usize } else { 1 };
        for buffer in self.place.data {
            let mut bytes = [0; BLOCK];
            self.ram.read(buffer, &mut bytes);
            let written = bytes.iter().position(|byte| *byte == UNTOUCHED).unwrap_or(BLOCK);
            let whole =
                content.chunks(BLOCK).take(sectors).any(|sector| sector[..written] == bytes[..written]);
            assert!(whole, "{prank}: a mixture was read: {bytes:?}");
            assert!(bytes[written..].iter().all(|byte| *byte == UNTOUCHED), "{prank}: written in parts");
        }
        let mut status = [0];
        self.ram.read(self.place.status, &mut status);
        assert!(status[0] <= 2, "{prank}: status {}", status[0]);
    }
}

#[test]
fn a_second_processor_that_changes_requests_gains_nothing() {
    let seconds = std::env::var("UPDRAFT_HOSTILE_S").map_or(2, |text| text.parse().unwrap());
    let daemon = Daemon::start();
    let mut attacker = Attacker::new(daemon.plug("victim"));
    let mut neighbour = daemon.plug("neighbour");
    let racer = Racer::default();
    let (ram, place) = (Arc::clone(&attacker.ram), attacker.place);
    thread::scope(|scope| {
        scope.spawn(|| racer.run(&ram, &place));
        let _end = End(&racer);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut turn = 0;
        // Every prank has its turn, however slow the machine.
        while turn < PRANKS.len() || Instant::now() < deadline {
            for _ in 0..REQUESTS_A_TURN {
                attacker.ask(&racer, turn % PRANKS.len());
            }
            assert_eq!(neighbour.read(1, BLOCK).unwrap(), content()[BLOCK..2 * BLOCK]);
            turn += 1;
        }
    });
    let mut guard = vec![0; GUARD_BYTES];
    attacker.ram.read(place.guard, &mut guard);
    assert!(guard.iter().all(|byte| *byte == UNTOUCHED), "memory beside the buffers was written");
    assert_eq!(fs::read(daemon.directory.path().join("victim")).unwrap(), content(), "reads wrote the disk");

    // A queue that is given up costs nothing.
    attacker.disk.queues[0].driver.push_head(9_999);
    attacker.disk.queues[0].kick();
    assert!(attacker.broken.wait(60_000), "a head outside the table retires the queue");
    let before = daemon.ticks();
    thread::sleep(Duration::from_secs(2));
    let ticks = daemon.ticks() - before;
    println!(
        "{} answers, {} queues retired, {ticks} ticks of 10 ms in 2 s after",
        attacker.answered, attacker.retired
    );
    assert!(ticks < 2, "a retired queue costs {ticks} ticks of 10 ms in 2 s");
    assert_eq!(neighbour.read(2, BLOCK).unwrap(), content()[2 * BLOCK..3 * BLOCK]);
}
