//! A disk through a real socket: what is answered to good, bad and hostile requests.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::device::BlockDevice;
use crate::device::fault::{Faults, FaultyDevice};
use crate::device::raw::RawFile;
use crate::frontend::{Ask, GuestConfig, GuestDisk, Served};
use crate::request::Status;

const SECTORS: u64 = 256;
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    directory: tempfile::TempDir,
    served: Served,
    guest: GuestDisk,
}

fn content() -> Vec<u8> {
    (0..SECTORS as usize * 512).map(|at| (at / 512 + at) as u8).collect()
}

impl Bench {
    fn new(read_only: bool, queues: u16) -> Self {
        Self::wrapped(read_only, queues, |device| device)
    }

    fn wrapped(
        read_only: bool,
        queues: u16,
        wrap: impl FnOnce(Arc<dyn BlockDevice>) -> Arc<dyn BlockDevice>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        fs::write(&path, content()).unwrap();
        let device = wrap(Arc::new(RawFile::open(&path, read_only).unwrap()));
        let socket = directory.path().join("socket");
        let served = Served::start(device, &socket, queues, "disk-0123456789").unwrap();
        let config = GuestConfig { queues, ..GuestConfig::default() };
        let guest = GuestDisk::connect(&socket, config).unwrap();
        Self { directory, served, guest }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    /// A request made of these bytes and of writable buffers of these lengths: the status, and what was written.
    fn raw(&mut self, readable: &[&[u8]], writable: &[u32]) -> (Status, Vec<u8>) {
        let queue = &mut self.guest.queues[0];
        let ram = Arc::clone(queue.driver.ram());
        let readable: Vec<_> = readable
            .iter()
            .map(|bytes| {
                let at = ram.take(bytes.len(), 1);
                ram.write(at, bytes);
                (at, bytes.len() as u32)
            })
            .collect();
        let writable: Vec<_> = writable.iter().map(|&len| (ram.take(len as usize, 1), len)).collect();
        let head = queue.driver.add(&readable, &writable).unwrap();
        queue.kick();
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some((done, _)) = queue.driver.poll() {
                assert_eq!(done, head);
                break;
            }
            assert!(std::time::Instant::now() < deadline, "no answer");
            thread::yield_now();
        }
        let mut bytes = Vec::new();
        for (at, len) in writable {
            let mut part = vec![0; len as usize];
            ram.read(at, &mut part);
            bytes.extend(part);
        }
        (Status(bytes.pop().unwrap()), bytes)
    }
}

fn header(kind: u32, sector: u64) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat()
}

fn range(sector: u64, sectors: u32, flags: u32) -> Vec<u8> {
    [&sector.to_le_bytes()[..], &sectors.to_le_bytes(), &flags.to_le_bytes()].concat()
}

#[test]
fn reads_writes_and_the_rest_do_what_they_say() {
    let mut bench = Bench::new(false, 1);
    let mut model = content();
    assert_eq!(bench.guest.size_bytes().unwrap(), SECTORS * 512);
    assert_eq!(bench.guest.read(0, model.len()).unwrap(), model);
    bench.guest.write(7, &[9; 1024]).unwrap();
    model[7 * 512..9 * 512].fill(9);
    bench.guest.run(Ask::Flush).unwrap();
    assert_eq!(fs::read(bench.file()).unwrap(), model);
    bench.guest.run(Ask::Discard { sector: 16, sectors: 8 }).unwrap();
    bench.guest.run(Ask::WriteZeroes { sector: 101, sectors: 3 }).unwrap();
    model[16 * 512..24 * 512].fill(0);
    model[101 * 512..104 * 512].fill(0);
    assert_eq!(bench.guest.read(0, model.len()).unwrap(), model);
    let slot = bench.guest.run(Ask::GetId).unwrap();
    assert_eq!(bench.guest.queues[0].data(slot, 20), b"disk-0123456789\0\0\0\0\0");

    let totals = bench.served.state.totals();
    assert!(bench.served.state.is_connected());
    assert_eq!((totals.reads, totals.writes, totals.flushes, totals.discards), (2, 1, 1, 2));
    assert_eq!((totals.read_bytes, totals.written_bytes, totals.errors), (2 * SECTORS * 512, 1024, 0));
}

/// Readable bytes, lengths of writable buffers, and the status that must come back.
type Case = (&'static str, Vec<Vec<u8>>, Vec<u32>, Status);

fn refused() -> Vec<Case> {
    let io = Status::IO_ERROR;
    let data = vec![5; 512];
    let one = |kind, sector| vec![header(kind, sector)];
    vec![
        ("a read of nothing", one(0, 0), vec![1], io),
        ("a read of part of a sector", one(0, 0), vec![100, 1], io),
        ("a read beyond the end", one(0, SECTORS), vec![512, 1], io),
        ("a read across the end", one(0, SECTORS - 1), vec![1024, 1], io),
        ("a read at a sector whose byte offset overflows", one(0, u64::MAX / 512 + 1), vec![512, 1], io),
        ("a read at the last possible sector", one(0, u64::MAX), vec![512, 1], io),
        ("a write of nothing", one(1, 0), vec![1], io),
        ("a write of part of a sector", vec![header(1, 0), vec![1; 511]], vec![1], io),
        ("a write across the end", vec![header(1, SECTORS - 1), data.clone(), data], vec![1], io),
        ("a discard without a range", one(11, 0), vec![1], io),
        ("a discard of nothing", vec![header(11, 0), range(0, 0, 0)], vec![1], io),
        ("a discard across the end", vec![header(11, 0), range(SECTORS - 1, 2, 0)], vec![1], io),
        ("a discard that overflows", vec![header(11, 0), range(u64::MAX / 512, u32::MAX, 0)], vec![1], io),
        ("a discard of two ranges", vec![header(11, 0), range(0, 1, 0), range(2, 1, 0)], vec![1], io),
        ("a discard with the unmap flag", vec![header(11, 0), range(0, 1, 1)], vec![1], Status::UNSUPPORTED),
        (
            "write-zeroes with unknown flags",
            vec![header(13, 0), range(0, 1, 2)],
            vec![1],
            Status::UNSUPPORTED,
        ),
        ("an unknown type", one(99, 0), vec![1], Status::UNSUPPORTED),
        ("the type of another era (SCSI)", one(2, 0), vec![512, 1], Status::UNSUPPORTED),
    ]
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut bench = Bench::new(false, 1);
    let cases = refused();
    for (name, readable, writable, status) in &cases {
        let parts: Vec<&[u8]> = readable.iter().map(Vec::as_slice).collect();
        assert_eq!(bench.raw(&parts, writable).0, *status, "{name}");
    }
    assert_eq!(bench.served.state.totals().errors, cases.len() as u64);
    assert_eq!(fs::read(bench.file()).unwrap(), content());
    assert_eq!(bench.guest.read(3, 512).unwrap(), content()[3 * 512..4 * 512]);
}

#[test]
fn header_data_and_status_may_be_cut_anywhere() {
    let mut bench = Bench::new(false, 1);
    let read = header(0, 2);
    let (status, bytes) = bench.raw(&[&read[..3], &read[3..9], &read[9..]], &[1, 500, 524]);
    assert_eq!((status, bytes.as_slice()), (Status::OK, &content()[1024..2048]));
    let write = [header(1, 5), vec![0xaa; 512]].concat();
    assert_eq!(bench.raw(&[&write[..20], &write[20..]], &[1]).0, Status::OK);
    assert_eq!(fs::read(bench.file()).unwrap()[5 * 512..6 * 512], [0xaa; 512]);
    let (status, id) = bench.raw(&[&header(8, 0)], &[4, 1]);
    assert_eq!((status, id.as_slice()), (Status::OK, &b"disk"[..]));
}

#[test]
fn a_read_only_disk_is_not_written() {
    let mut bench = Bench::new(true, 1);
    assert_eq!(bench.raw(&[&header(1, 0), &[1; 512]], &[1]).0, Status::IO_ERROR);
    assert_eq!(bench.raw(&[&header(11, 0), &range(0, 1, 0)], &[1]).0, Status::IO_ERROR);
    assert_eq!(bench.raw(&[&header(13, 0), &range(0, 1, 0)], &[1]).0, Status::IO_ERROR);
    bench.guest.run(Ask::Flush).unwrap();
    assert_eq!(bench.guest.read(0, 512).unwrap(), content()[..512]);
}

#[test]
fn an_idle_queue_sleeps_and_a_malformed_request_retires_its_queue_alone() {
    let mut bench = Bench::new(false, 2);
    bench.guest.read(0, 512).unwrap();
    // A thread that was put off in its last round ends it late; one that polls for ever never has a quiet while.
    let quiet = || {
        let before = bench.served.state.totals().turns;
        thread::sleep(Duration::from_millis(300));
        bench.served.state.totals().turns == before
    };
    assert!((0..20).any(|_| quiet()), "idle queues look for work");

    // A header of eight bytes, then a good request: the first cannot be answered, the second must not overtake it.
    let ram = Arc::clone(bench.guest.queues[0].driver.ram());
    let at = ram.take(16, 16);
    bench.guest.queues[0].driver.add(&[(at, 8)], &[(ram.take(1, 1), 1)]).unwrap();
    bench.guest.queues[0].submit(Ask::Read { sector: 0, len: 512 }).unwrap();
    bench.guest.queues[0].kick();
    // The other queue works.
    bench.guest.queues[1].submit(Ask::Read { sector: 0, len: 512 }).unwrap();
    bench.guest.queues[1].kick();
    assert_eq!(bench.guest.queues[1].wait(PATIENCE).unwrap().1, Status::OK);
    thread::sleep(Duration::from_millis(50));
    let before = bench.served.state.totals().turns;
    for _ in 0..10 {
        bench.guest.queues[0].kick();
        thread::sleep(Duration::from_millis(5));
    }
    let turns = bench.served.state.totals().turns - before;
    // At most one look for each kick, and a few that were under way.
    assert!(turns < 30, "a retired queue looked for work {turns} times");
    assert_eq!(bench.guest.queues[0].driver.poll(), None);
}

#[test]
fn a_chain_that_loops_retires_the_queue_and_a_fresh_start_serves_again() {
    let mut bench = Bench::new(false, 1);
    let driver = &mut bench.guest.queues[0].driver;
    let at = driver.ram().take(16, 16);
    driver.write_descriptor(100, at, 16, 1, 100);
    driver.push_head(100);
    bench.guest.queues[0].kick();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(bench.guest.queues[0].driver.poll(), None);
    // The guest resets the device and begins anew.
    let socket = bench.directory.path().join("socket");
    drop(bench.guest);
    bench.guest = GuestDisk::connect(&socket, GuestConfig::default()).unwrap();
    assert_eq!(bench.guest.read(1, 512).unwrap(), content()[512..1024]);
}

#[test]
fn a_header_that_changes_while_it_is_read_is_one_or_the_other() {
    let mut bench = Bench::new(false, 1);
    let ram = Arc::clone(bench.guest.queues[0].driver.ram());
    let (head, data, status) = (ram.take(16, 16), ram.take(512, 512), ram.take(1, 1));
    ram.write(head, &header(0, 0));
    let done = Arc::new(AtomicBool::new(false));
    let racer = thread::spawn({
        let (ram, done) = (Arc::clone(&ram), Arc::clone(&done));
        move || {
            while !done.load(Ordering::Relaxed) {
                ram.write(head + 8, &SECTORS.to_le_bytes());
                ram.write(head + 8, &0_u64.to_le_bytes());
            }
        }
    });
    let expected = &content()[..512];
    let queue = &mut bench.guest.queues[0];
    for _ in 0..5_000 {
        ram.write(status, &[0xff]);
        ram.write(data, &[0; 512]);
        queue.driver.add(&[(head, 16)], &[(data, 512), (status, 1)]).unwrap();
        queue.kick();
        while queue.driver.poll().is_none() {
            thread::yield_now();
        }
        let (mut code, mut bytes) = ([0], [0; 512]);
        ram.read(status, &mut code);
        ram.read(data, &mut bytes);
        match Status(code[0]) {
            Status::OK => assert_eq!(bytes, expected),
            other => assert_eq!(other, Status::IO_ERROR),
        }
    }
    done.store(true, Ordering::Relaxed);
    racer.join().unwrap();
}

#[test]
fn a_full_disk_is_an_error_that_passes() {
    let faults = Arc::new(Faults::default());
    let shared = Arc::clone(&faults);
    let mut bench = Bench::wrapped(false, 1, |device| Arc::new(FaultyDevice::new(device, shared)));
    faults.writes_find_no_space.store(true, Ordering::Relaxed);
    assert!(bench.guest.write(0, &[1; 512]).is_err());
    assert_eq!(bench.guest.read(9, 512).unwrap(), content()[9 * 512..10 * 512]);
    faults.writes_find_no_space.store(false, Ordering::Relaxed);
    bench.guest.write(0, &[2; 512]).unwrap();
    bench.guest.run(Ask::Flush).unwrap();
    assert_eq!(bench.guest.read(0, 512).unwrap(), [2; 512]);
}

#[test]
fn a_flush_that_failed_is_never_followed_by_one_that_works() {
    let faults = Arc::new(Faults::default());
    let shared = Arc::clone(&faults);
    let mut bench = Bench::wrapped(false, 1, |device| Arc::new(FaultyDevice::new(device, shared)));
    bench.guest.write(0, &[1; 512]).unwrap();
    faults.flushes_fail.store(true, Ordering::Relaxed);
    assert!(bench.guest.run(Ask::Flush).is_err());
    faults.flushes_fail.store(false, Ordering::Relaxed);
    assert!(bench.guest.run(Ask::Flush).is_err(), "the kernel may say yes to lost pages");
    assert!(bench.guest.write(0, &[2; 512]).is_err());
    assert_eq!(bench.guest.read(9, 512).unwrap(), content()[9 * 512..10 * 512]);
}

#[test]
fn many_requests_under_way_are_answered_in_order_and_rightly() {
    let mut bench = Bench::new(false, 2);
    for round in 0..200_u64 {
        for (number, queue) in bench.guest.queues.iter_mut().enumerate() {
            let mut asked = Vec::new();
            for at in 0..16 {
                let sector = (round * 7 + at * 13 + number as u64) % (SECTORS - 8);
                asked.push((queue.submit(Ask::Read { sector, len: 4096 }).unwrap(), sector));
            }
            queue.kick();
            for (slot, sector) in asked {
                assert_eq!(queue.wait(PATIENCE).unwrap(), (slot, Status::OK));
                let start = sector as usize * 512;
                assert_eq!(queue.data(slot, 4096), content()[start..start + 4096]);
            }
        }
    }
    assert_eq!(bench.served.state.totals().reads, 2 * 200 * 16);
}
