//! A guest with two processors against its port: one sends, the other changes the frame, the header before it and the
//! descriptors while the device reads them. What arrives at a neighbour is always a frame that the policy lets
//! through, whole; a queue that was given up costs nothing.
//!
//! `UPDRAFT_HOSTILE_S` says for how many seconds (2); `make soak` runs it longer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod guest;
mod world;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use guest::{LINUX, Plugged};
use updraft_net::respond::ResponderConfig;
use updraft_net::{Network, NetworkSettings};
use updraft_vhost::EventFd;
use updraft_vhost::message::request::SET_VRING_ERR;
use updraft_virtio::driver::GuestRam;
use world::{ACK, ALICE, BOB, FRONT_ROUTER_MAC, Guest, SYN, arp, config, from};

/// How long taking a frame usually takes at most; later the queue is looked at more closely.
const USUAL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(60);
/// Frames of each prank before the next one's turn.
const FRAMES_A_TURN: usize = 50;
const HEADER_BYTES: u32 = 12;
/// virtio 1.2, 2.7.5.
const NEXT: u16 = 1;
const INDIRECT: u16 = 4;

/// Where the one frame lies: descriptors 0 (virtio header) and 1 (frame).
#[derive(Clone, Copy)]
struct Place {
    descriptors: u64,
    avail: u64,
    header: u64,
    frame: u64,
    frame_bytes: u32,
}

/// What the second processor writes, over and over: some field's good value last.
type Prank = (&'static str, fn(&GuestRam, &Place));

/// Writes a bad and then the good value at an offset of the frame.
fn flip<const N: usize>(ram: &GuestRam, place: &Place, offset: u64, bad: [u8; N], good: [u8; N]) {
    ram.write(place.frame + offset, &bad);
    ram.write(place.frame + offset, &good);
}

const PRANKS: [Prank; 9] = [
    ("hardware address", |ram, place| flip(ram, place, 6, BOB.mac, ALICE.mac)),
    ("address", |ram, place| flip(ram, place, 26, [10, 0, 1, 77], ALICE.address)),
    ("port", |ram, place| flip(ram, place, 36, 81u16.to_be_bytes(), 22u16.to_be_bytes())),
    ("protocol", |ram, place| flip(ram, place, 23, [47], [6])),
    ("virtio header", |ram, place| {
        // Needs a checksum, to be cut into segments of one byte, from headers beyond the frame's end.
        ram.write(place.header, &[1, 1, 0xff, 0xff, 1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        ram.write(place.header, &[0; HEADER_BYTES as usize]);
    }),
    ("length", |ram, place| {
        for len in [u32::MAX, 0, 13, place.frame_bytes] {
            ram.write(place.descriptors + 24, &len.to_le_bytes());
        }
    }),
    ("place", |ram, place| {
        for address in [u64::MAX - 20, 0, place.frame] {
            ram.write(place.descriptors + 16, &address.to_le_bytes());
        }
    }),
    ("chain", |ram, place| {
        for (flags, next) in [(NEXT, 0u16), (NEXT, 1), (INDIRECT, 0), (NEXT, 9_999), (0, 0)] {
            ram.write(place.descriptors + 28, &flags.to_le_bytes());
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

/// Alice's card, with one frame at a time written into its ring by hand.
struct Attacker {
    card: Plugged,
    socket: std::path::PathBuf,
    place: Place,
    good_frame: Vec<u8>,
    broken: EventFd,
    taken: u16,
    retired: usize,
}

impl Attacker {
    fn new(card: Plugged, socket: std::path::PathBuf, good_frame: Vec<u8>) -> Self {
        let (descriptors, avail, _) = card.tx.addresses();
        let place = Place {
            descriptors,
            avail,
            header: card.ram.take(64, 64),
            frame: card.ram.take(2048, 64),
            frame_bytes: good_frame.len() as u32,
        };
        let (broken, taken) = (EventFd::new().unwrap(), card.tx.used_index());
        let mut attacker = Self { card, socket, place, good_frame, broken, taken, retired: 0 };
        attacker.watch();
        attacker
    }

    /// Asks to be told when the sending queue is retired.
    fn watch(&mut self) {
        self.broken = EventFd::new().unwrap();
        let queue = 1u64.to_ne_bytes();
        self.card.frontend.send(SET_VRING_ERR, &queue, &[self.broken.as_fd()]).unwrap();
    }

    fn write_frame(&self) {
        let (ram, place) = (&self.card.ram, &self.place);
        ram.write(place.header, &[0; HEADER_BYTES as usize]);
        ram.write(place.frame, &self.good_frame);
        self.card.tx.write_descriptor(0, place.header, HEADER_BYTES, NEXT, 1);
        self.card.tx.write_descriptor(1, place.frame, place.frame_bytes, 0, 0);
    }

    fn taken_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.card.tx.used_index() != self.taken {
                self.taken = self.taken.wrapping_add(1);
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

    /// One frame while the racer plays prank `number`.
    fn send(&mut self, racer: &Racer, number: usize) {
        self.write_frame();
        racer.set(number + 1);
        self.card.tx.push_head(0);
        self.card.kick();
        let taken = self.taken_within(USUAL);
        racer.set(0);
        if !taken {
            // Lost to the racer, or the queue is given up: the guest resets its device and sends properly.
            self.write_frame();
            self.card.tx.publish();
            self.card.reconnect(&self.socket, LINUX);
            self.watch();
            self.card.tx_events.kick.notify();
            assert!(self.taken_within(PATIENCE), "{}: a fresh queue takes nothing", PRANKS[number].0);
        }
    }
}

/// Whether what came after the frame is nothing but whole buffers of the sender's own two, again: links that change
/// while they are followed may well make a longer chain, which begins with the frame that was judged.
fn is_made_of_its_own_buffers(mut rest: &[u8], good_frame: &[u8]) -> bool {
    let header = [0; HEADER_BYTES as usize];
    while let Some(shorter) = rest.strip_prefix(good_frame).or_else(|| rest.strip_prefix(&header[..])) {
        rest = shorter;
    }
    rest.is_empty()
}

/// Everything that came: exactly the frame that the policy allows.
fn check_received(bob: &mut Plugged, good_frame: &[u8], prank: &str) -> usize {
    let mut count = 0;
    while let Some(received) = bob.try_receive() {
        if prank == "chain" {
            let rest = received.frame.strip_prefix(good_frame);
            let is_good = rest.is_some_and(|rest| is_made_of_its_own_buffers(rest, good_frame));
            assert!(is_good, "{prank}: a frame that was never allowed came through: {:?}", received.frame);
        } else {
            assert_eq!(received.frame, good_frame, "{prank}: a frame that was never allowed came through");
        }
        assert_eq!(received.header[1], 0, "{prank}: a segment size came through: {:?}", received.header);
        count += 1;
    }
    count
}

fn probe(guest: Guest) -> Vec<u8> {
    arp(guest.mac, 1, (guest.mac, guest.address), [10, 0, 1, 1]).bytes
}

fn is_router_reply(frame: &[u8]) -> bool {
    frame[12..14] == [8, 6] && frame[21] == 2 && frame[22..28] == FRONT_ROUTER_MAC
}

/// Processor time of the workers of this process so far, in ticks of 10 ms.
fn worker_ticks() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let of_workers = stats.filter(|stat| stat.contains("(netd-worker"));
    let ticks = of_workers.map(|stat| {
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    });
    ticks.sum()
}

#[test]
fn a_second_processor_that_changes_frames_gains_nothing() {
    let seconds = std::env::var("UPDRAFT_HOSTILE_S").map_or(2, |text| text.parse().unwrap());
    let responders = ResponderConfig::default();
    let mut network = Network::start(NetworkSettings { uplink: None, responders, workers: 2 }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    for port in &mut config.ports {
        port.socket_path = folder.path().join(port.id.to_string());
    }
    network.apply(&config).unwrap();
    let socket =
        |guest: Guest| folder.path().join(updraft_base::PortId(uuid::Uuid::from_u128(guest.id)).to_string());
    let (mut alice, mut bob) = (Plugged::plug(&socket(ALICE)), Plugged::plug(&socket(BOB)));
    alice.send(&from(ALICE, BOB.mac, BOB.address).tcp((40_000, 22), SYN).bytes);
    bob.receive();
    bob.send(&from(BOB, ALICE.mac, ALICE.address).tcp((22, 40_000), "SA").bytes);
    alice.receive();
    alice.wait_sent();

    let good_frame = from(ALICE, BOB.mac, BOB.address).tcp((40_000, 22), ACK).bytes;
    let mut attacker = Attacker::new(alice, socket(ALICE), good_frame.clone());
    let racer = Racer::default();
    let (ram, place) = (Arc::clone(&attacker.card.ram), attacker.place);
    let (mut turn, mut sent, mut came) = (0, 0, 0);
    thread::scope(|scope| {
        scope.spawn(|| racer.run(&ram, &place));
        let _end = End(&racer);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        // Every prank has its turn, however slow the machine.
        while turn < PRANKS.len() || Instant::now() < deadline {
            let number = turn % PRANKS.len();
            for _ in 0..FRAMES_A_TURN {
                attacker.send(&racer, number);
                came += check_received(&mut bob, &good_frame, PRANKS[number].0);
            }
            (turn, sent) = (turn + 1, sent + FRAMES_A_TURN);
        }
    });
    assert!(came > 0, "no frame came at all");
    // The neighbour goes on.
    bob.send(&probe(BOB));
    let answered = std::iter::repeat_with(|| bob.receive()).take(2).any(|got| is_router_reply(&got.frame));
    assert!(answered);

    // A queue that is given up costs nothing.
    attacker.card.tx.set_avail_index(attacker.taken.wrapping_add(20_000));
    attacker.card.tx_events.kick.notify();
    assert!(attacker.broken.wait(60_000), "a jump of the index retires the queue");
    // The last round may end late on a busy machine; a worker that looks for work for ever is never this quiet.
    let quietest = (0..5).map(|_| {
        let before = worker_ticks();
        thread::sleep(Duration::from_secs(2));
        worker_ticks() - before
    });
    let ticks = quietest.into_iter().find(|&ticks| ticks < 2).unwrap_or(u64::MAX);
    println!(
        "{sent} frames sent, {came} came, {} queues retired, {ticks} ticks of 10 ms in 2 s after",
        attacker.retired
    );
    assert!(ticks < 2, "a retired queue costs {ticks} ticks of 10 ms in 2 s");
}
