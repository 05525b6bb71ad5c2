use std::fs::File;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use updraft_virtio::driver::{DriverQueue, GuestRam};
use updraft_virtio::queue::QueueConfig;
use updraft_virtio::{Chain, SplitQueue};

use crate::{Failure, FileIndex, Ring, RingConfig, RingError};

const CONFIG: RingConfig = RingConfig { entries: 8, requests: 4 };

/// A chain over fresh guest memory: readable buffers with `contents`, then writable ones of these sizes.
struct Guest {
    ram: Arc<GuestRam>,
    queue: SplitQueue,
    driver: DriverQueue,
}

impl Guest {
    fn new() -> Self {
        let ram = GuestRam::new(0x10_0000, 4 << 20).unwrap();
        let driver = DriverQueue::new(Arc::clone(&ram), 64, false);
        let (descriptors, avail, used) = driver.addresses();
        let config =
            QueueConfig { size: 64, descriptors, avail, used, base: 0, event_idx: false, indirect: false };
        let queue = SplitQueue::new(ram.map().unwrap(), &config).unwrap();
        Self { ram, queue, driver }
    }

    /// The chain, and where its writable buffers lie.
    fn chain(&mut self, contents: &[&[u8]], writable: &[u32]) -> (Chain, Vec<(u64, u32)>) {
        let readable: Vec<_> = contents
            .iter()
            .map(|bytes| {
                let at = self.ram.take(bytes.len(), 1);
                self.ram.write(at, bytes);
                (at, bytes.len() as u32)
            })
            .collect();
        let writable: Vec<_> = writable.iter().map(|&len| (self.ram.take(len as usize, 1), len)).collect();
        self.driver.add(&readable, &writable).unwrap();
        self.driver.publish();
        let mut chain = Chain::new();
        assert!(self.queue.pop(&mut chain).unwrap());
        (chain, writable)
    }

    fn bytes(&self, buffers: &[(u64, u32)]) -> Vec<u8> {
        let mut all = Vec::new();
        for &(at, len) in buffers {
            let mut bytes = vec![0; len as usize];
            self.ram.read(at, &mut bytes);
            all.extend(bytes);
        }
        all
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 + index / 256) as u8).collect()
}

fn file_with(contents: &[u8]) -> Arc<File> {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(contents, 0).unwrap();
    Arc::new(file)
}

fn finish<T>(ring: &mut Ring<T>) -> crate::Finished {
    loop {
        if let Some(finished) = ring.next_finished() {
            return finished;
        }
        ring.wait(Some(Duration::from_secs(30))).unwrap();
    }
}

const FILE: FileIndex = FileIndex(0);

#[test]
fn bytes_go_from_scattered_guest_memory_to_the_file_and_back() {
    for fixed in [false, true] {
        let mut guest = Guest::new();
        let file = file_with(&[]);
        let mut ring = Ring::new(CONFIG, vec![Arc::clone(&file)]).unwrap();
        if fixed {
            ring.register_memory(guest.queue.memory()).unwrap();
        }
        let data = pattern(10_000);
        let (chain, _) = guest.chain(&[&data[..1], &data[1..5000], &data[5000..]], &[]);
        let id = ring.start(chain, ()).unwrap();
        ring.write(id, FILE, 4096, 0..10_000).unwrap();
        assert!(ring.take(id).is_none(), "the chain is in the kernel");
        assert_eq!(finish(&mut ring).result, Ok(()));
        ring.take(id).unwrap();

        let (chain, buffers) = guest.chain(&[], &[3000, 1, 6999]);
        let id = ring.start(chain, ()).unwrap();
        // In two operations that meet inside a buffer: the request ends once.
        ring.read(id, FILE, 4096, 0..4000).unwrap();
        ring.read(id, FILE, 8096, 4000..10_000).unwrap();
        assert_eq!(finish(&mut ring).result, Ok(()));
        assert!(ring.next_finished().is_none());
        assert_eq!(guest.bytes(&buffers), data);
    }
}

#[test]
fn the_end_of_the_file_is_a_failure_and_not_a_shorter_success() {
    let mut guest = Guest::new();
    let mut ring = Ring::new(CONFIG, vec![file_with(&pattern(1000))]).unwrap();
    let (chain, _) = guest.chain(&[], &[4096]);
    let id = ring.start(chain, ()).unwrap();
    ring.read(id, FILE, 0, 0..4096).unwrap();
    assert_eq!(finish(&mut ring).result, Err(Failure::Short { moved: 1000, wanted: 4096 }));
}

#[test]
fn the_systems_error_reaches_the_request_after_its_other_operations() {
    let mut guest = Guest::new();
    let path = tempfile::NamedTempFile::new().unwrap();
    let read_only = Arc::new(File::open(path.path()).unwrap());
    let mut ring = Ring::new(CONFIG, vec![file_with(&[]), read_only]).unwrap();
    let (chain, _) = guest.chain(&[&pattern(512)], &[]);
    let id = ring.start(chain, ()).unwrap();
    ring.write(id, FileIndex(1), 0, 0..512).unwrap();
    ring.write(id, FILE, 0, 0..512).unwrap();
    assert_eq!(finish(&mut ring).result, Err(Failure::Os(libc::EBADF)));
    assert!(ring.take(id).is_some());
}

#[test]
fn what_does_not_fit_is_refused_and_handed_back() {
    let mut guest = Guest::new();
    let mut ring = Ring::new(CONFIG, vec![file_with(&[])]).unwrap();
    let mut ids = Vec::new();
    for number in 0..CONFIG.requests {
        let (chain, _) = guest.chain(&[b"x"], &[]);
        ids.push(ring.start(chain, number).unwrap());
    }
    let (chain, _) = guest.chain(&[b"last"], &[]);
    let (chain, number) = ring.start(chain, 99).unwrap_err();
    assert_eq!((chain.readable_len(), number), (4, 99));
    assert!(matches!(ring.write(ids[0], FILE, 0, 0..2), Err(RingError::Span { .. })));
    assert!(matches!(ring.read(ids[0], FILE, 0, 0..1), Err(RingError::Span { .. })));
    assert!(matches!(ring.write(ids[0], FileIndex(1), 0, 0..1), Err(RingError::NoSuchFile { index: 1 })));
    ring.take(ids[0]).unwrap();
    assert!(matches!(ring.write(ids[0], FILE, 0, 0..1), Err(RingError::NoSuchRequest)));
    assert!(ring.start(chain, 99).is_ok());
}

#[test]
fn more_operations_than_the_queue_has_entries_go_through() {
    let mut guest = Guest::new();
    let file = file_with(&[]);
    let mut ring = Ring::new(CONFIG, vec![Arc::clone(&file)]).unwrap();
    let data = pattern(4096);
    let (chain, _) = guest.chain(&[&data], &[]);
    let id = ring.start(chain, ()).unwrap();
    for byte in 0..4096 {
        assert!(ring.room() > 0);
        ring.write(id, FILE, byte as u64, byte..byte + 1).unwrap();
    }
    assert!(matches!(ring.write(id, FILE, 0, 0..1), Err(RingError::Full { .. })));
    assert_eq!(finish(&mut ring).result, Ok(()));
    let mut written = vec![0; 4096];
    file.read_exact_at(&mut written, 0).unwrap();
    assert_eq!(written, data);
}

#[test]
fn a_dropped_ring_has_finished_its_operations() {
    let mut guest = Guest::new();
    let file = file_with(&[]);
    let mut ring = Ring::new(CONFIG, vec![Arc::clone(&file)]).unwrap();
    let data = pattern(1 << 20);
    let (chain, _) = guest.chain(&[&data], &[]);
    let id = ring.start(chain, ()).unwrap();
    ring.write(id, FILE, 0, 0..1 << 20).unwrap();
    ring.datasync(id, FILE).unwrap();
    drop(ring);
    let mut written = vec![0; 1 << 20];
    file.read_exact_at(&mut written, 0).unwrap();
    assert_eq!(written, data);
}

#[test]
fn a_hole_reads_as_zeroes() {
    let mut guest = Guest::new();
    let file = file_with(&pattern(16_384));
    let mut ring = Ring::new(CONFIG, vec![Arc::clone(&file)]).unwrap();
    let (chain, _) = guest.chain(&[b"?"], &[]);
    let id = ring.start(chain, ()).unwrap();
    ring.punch(id, FILE, 100, 8000).unwrap();
    assert_eq!(finish(&mut ring).result, Ok(()));
    let mut expected = pattern(16_384);
    expected[100..8100].fill(0);
    let mut now = vec![0; 16_384];
    file.read_exact_at(&mut now, 0).unwrap();
    assert_eq!(now, expected);
}

#[test]
fn each_kick_of_a_watched_eventfd_wakes_without_being_read() {
    let mut ring = Ring::<()>::new(CONFIG, Vec::new()).unwrap();
    // SAFETY: no memory is passed; the result is checked below.
    let raw = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    assert!(raw >= 0);
    // SAFETY: a fresh descriptor that nobody else owns.
    let event = unsafe { OwnedFd::from_raw_fd(raw) };
    let mut writer = File::from(event.try_clone().unwrap());
    let number = ring.watch(event);
    ring.wait(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(ring.next_signal(), None);
    for _ in 0..3 {
        writer.write_all(&1_u64.to_ne_bytes()).unwrap();
        ring.wait(Some(Duration::from_secs(30))).unwrap();
        assert_eq!(ring.next_signal(), Some(number));
        assert_eq!(ring.next_signal(), None);
    }
}
