//! A real frontend, a real backend, a unix socket between them, and a device that turns bytes round.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use updraft_vhost::frontend::{Frontend, QueueEvents};
use updraft_vhost::message::{F_PROTOCOL_FEATURES, request};
use updraft_vhost::{Device, EventFd, QueueHandle, Server};
use updraft_virtio::driver::{DriverQueue, GuestRam};
use updraft_virtio::{Chain, features};

const PATIENCE: Duration = Duration::from_secs(20);
const PATIENCE_MS: i32 = 20_000;
const QUEUES: usize = 2;

/// What stops a queue's thread: the flag, the kick that wakes it, and its end.
type Worker = (Arc<AtomicBool>, Arc<EventFd>, JoinHandle<u16>);

/// Answers each request with its bytes in reverse, on a thread per queue.
struct Reverser {
    workers: Vec<Option<Worker>>,
    started: Arc<AtomicUsize>,
}

impl Device for Reverser {
    fn features(&self) -> u64 {
        1 << 5
    }

    fn queue_count(&self) -> usize {
        QUEUES
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> bool {
        let config = b"0123456789";
        config.get(offset..offset + bytes.len()).map(|part| bytes.copy_from_slice(part)).is_some()
    }

    fn start_queue(&mut self, mut queue: QueueHandle) {
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, kick, index) = (Arc::clone(&stop), Arc::clone(&queue.kick), queue.index);
        self.started.fetch_add(1, Ordering::SeqCst);
        let worker = thread::spawn(move || {
            let mut chain = Chain::new();
            while !flag.load(Ordering::SeqCst) {
                while queue.queue.pop(&mut chain).unwrap_or(false) {
                    let mut bytes = vec![0; chain.readable_len()];
                    chain.read(0, &mut bytes);
                    bytes.reverse();
                    let written = chain.write(0, &bytes);
                    queue.queue.complete(chain.ticket(), written as u32);
                }
                queue.publish();
                match queue.queue.enable_kicks() {
                    Ok(true) => {}
                    Ok(false) => drop(queue.kick.wait(PATIENCE_MS)),
                    Err(_) => {
                        queue.report_broken();
                        while !flag.load(Ordering::SeqCst) {
                            queue.kick.wait(PATIENCE_MS);
                        }
                    }
                }
            }
            queue.queue.base()
        });
        self.workers[index] = Some((stop, kick, worker));
    }

    fn stop_queue(&mut self, index: usize) -> u16 {
        let (stop, kick, worker) = self.workers[index].take().unwrap();
        stop.store(true, Ordering::SeqCst);
        kick.notify();
        worker.join().unwrap()
    }
}

/// A backend on a thread.
struct Backend {
    path: PathBuf,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
    started: Arc<AtomicUsize>,
    dials: bool,
}

impl Backend {
    fn start(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("updraft-vhost-{name}-{}.sock", std::process::id()));
        Self::run(Server::bind(&path).unwrap())
    }

    fn run(server: Server) -> Self {
        let path = server.path().to_owned();
        let stop = Arc::new(EventFd::new().unwrap());
        let started = Arc::new(AtomicUsize::new(0));
        let mut device = Reverser { workers: vec![None, None], started: Arc::clone(&started) };
        let signal = Arc::clone(&stop);
        let thread = thread::spawn(move || server.run(&mut device, &signal).unwrap());
        Self { path, stop, thread: Some(thread), started, dials: false }
    }

    /// A backend that connects to whoever listens at `path`.
    fn dial(path: &Path) -> Self {
        let mut backend = Self::run(Server::dial(path));
        backend.dials = true;
        backend
    }

    fn connect(&self) -> Frontend {
        Frontend::connect(&self.path, PATIENCE).unwrap()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.notify();
        self.thread.take().unwrap().join().unwrap();
        assert!(!self.path.exists() || self.dials, "the socket file is removed");
    }
}

const FEATURES: u64 = features::VERSION_1 | features::RING_EVENT_IDX | features::RING_INDIRECT_DESC;

/// Sends `text` through the queue and waits for the answer.
fn ask(driver: &mut DriverQueue, events: &QueueEvents, text: &[u8]) -> Vec<u8> {
    let ram = Arc::clone(driver.ram());
    let (question, answer) = (ram.take(text.len(), 1), ram.take(text.len(), 1));
    ram.write(question, text);
    driver.enable_calls();
    driver.add(&[(question, text.len() as u32)], &[(answer, text.len() as u32)]).unwrap();
    if driver.publish() {
        events.kick.notify();
    }
    wait_for_answer(driver, events);
    let mut bytes = vec![0; text.len()];
    ram.read(answer, &mut bytes);
    bytes
}

fn wait_for_answer(driver: &mut DriverQueue, events: &QueueEvents) {
    loop {
        if let Some((_, written)) = driver.poll() {
            assert!(written > 0);
            return;
        }
        if !driver.enable_calls() {
            assert!(events.call.wait(PATIENCE_MS), "the backend never called");
        }
    }
}

#[test]
fn a_backend_that_dials_comes_to_whoever_listens() {
    let folder = std::env::temp_dir().join(format!("updraft-vhost-dial-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let backend = Backend::dial(&path);
    let ram = GuestRam::new(0, 1 << 20).unwrap();
    let mut driver = DriverQueue::new(Arc::clone(&ram), 16, true);
    // Nobody listens at first; later one frontend after the other does, each in place of a socket left behind.
    for round in 0..3 {
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        for _ in 0..2 {
            let mut frontend = Frontend::accept(&listener).unwrap();
            frontend.negotiate(FEATURES).unwrap();
            frontend.set_memory(&[&ram]).unwrap();
            let events = frontend.start_queue(0, &driver, driver.used_index()).unwrap();
            assert_eq!(ask(&mut driver, &events, b"abc"), b"cba", "round {round}");
        }
    }
    // The socket is the frontend's, not ours.
    drop(backend);
    assert!(path.exists());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn requests_flow_and_queues_stop_and_go_on() {
    let backend = Backend::start("flow");
    let ram = GuestRam::new(0, 1 << 20).unwrap();
    let mut drivers =
        [DriverQueue::new(Arc::clone(&ram), 8, true), DriverQueue::new(Arc::clone(&ram), 16, true)];
    let mut frontend = backend.connect();
    assert_eq!(frontend.negotiate(u64::MAX).unwrap(), FEATURES | 1 << 5);
    assert_eq!(frontend.queue_num().unwrap(), QUEUES as u64);
    assert_eq!(frontend.read_config(2, 4).unwrap(), b"2345");
    assert!(frontend.read_config(8, 4).is_err());
    frontend.set_memory(&[&ram]).unwrap();
    for (index, driver) in drivers.iter_mut().enumerate() {
        let events = frontend.start_queue(index as u32, driver, 0).unwrap();
        for _ in 0..20 {
            assert_eq!(ask(driver, &events, b"stressed"), b"desserts");
        }
        assert_eq!(frontend.stop_queue(index as u32).unwrap(), 20);
        // Made available while nobody serves: answered when the queue goes on, without another kick.
        let text = ram.take(4, 1);
        driver.add(&[(text, 4)], &[(text, 4)]).unwrap();
        driver.publish();
        let events = frontend.start_queue(index as u32, driver, 20).unwrap();
        wait_for_answer(driver, &events);
    }
}

#[test]
fn a_memory_table_changes_under_running_queues() {
    let backend = Backend::start("memory");
    let (ram, more) = (GuestRam::new(0, 1 << 20).unwrap(), GuestRam::new(1 << 30, 1 << 20).unwrap());
    let mut driver = DriverQueue::new(Arc::clone(&ram), 8, true);
    let mut frontend = backend.connect();
    frontend.negotiate(FEATURES).unwrap();
    frontend.set_memory(&[&ram]).unwrap();
    let events = frontend.start_queue(0, &driver, 0).unwrap();
    assert_eq!(ask(&mut driver, &events, b"abc"), b"cba");
    frontend.set_memory(&[&ram, &more]).unwrap();
    let (question, answer) = (more.take(3, 1), more.take(3, 1));
    more.write(question, b"xyz");
    driver.add(&[(question, 3)], &[(answer, 3)]).unwrap();
    driver.publish();
    events.kick.notify();
    wait_for_answer(&mut driver, &events);
    let mut bytes = [0; 3];
    more.read(answer, &mut bytes);
    assert_eq!(&bytes, b"zyx");
    assert_eq!(backend.started.load(Ordering::SeqCst), 2);
}

#[test]
fn frontends_come_and_go() {
    let backend = Backend::start("again");
    let ram = GuestRam::new(0, 1 << 20).unwrap();
    let mut driver = DriverQueue::new(Arc::clone(&ram), 8, true);
    for _ in 0..5 {
        let mut frontend = backend.connect();
        frontend.negotiate(FEATURES).unwrap();
        frontend.set_memory(&[&ram]).unwrap();
        let base = driver.used_index();
        let events = frontend.start_queue(0, &driver, base).unwrap();
        assert_eq!(ask(&mut driver, &events, b"ab"), b"ba");
    }
}

#[test]
fn calls_follow_the_frontend_to_another_eventfd() {
    let backend = Backend::start("call");
    let ram = GuestRam::new(0, 1 << 20).unwrap();
    let mut driver = DriverQueue::new(Arc::clone(&ram), 8, false);
    let mut frontend = backend.connect();
    frontend.negotiate(features::VERSION_1).unwrap();
    frontend.set_memory(&[&ram]).unwrap();
    let mut events = frontend.start_queue(0, &driver, 0).unwrap();
    assert_eq!(ask(&mut driver, &events, b"ab"), b"ba");
    let fresh = EventFd::new().unwrap();
    frontend.send(request::SET_VRING_CALL, &0u64.to_ne_bytes(), &[fresh.as_fd()]).unwrap();
    assert!(fresh.wait(PATIENCE_MS), "a call may have been lost in between, so there is one at once");
    events.call = fresh;
    assert_eq!(ask(&mut driver, &events, b"cd"), b"dc");
    assert_eq!(backend.started.load(Ordering::SeqCst), 1, "the queue kept running");
}

#[test]
fn a_broken_queue_is_reported_and_the_other_lives() {
    let backend = Backend::start("broken");
    let ram = GuestRam::new(0, 1 << 20).unwrap();
    let mut villain = DriverQueue::new(Arc::clone(&ram), 8, true);
    let mut driver = DriverQueue::new(Arc::clone(&ram), 8, true);
    let mut frontend = backend.connect();
    frontend.negotiate(FEATURES).unwrap();
    frontend.set_memory(&[&ram]).unwrap();
    let error = EventFd::new().unwrap();
    frontend.send(request::SET_VRING_ERR, &0u64.to_ne_bytes(), &[error.as_fd()]).unwrap();
    let events = frontend.start_queue(0, &villain, 0).unwrap();
    villain.set_avail_index(4000);
    events.kick.notify();
    assert!(error.wait(PATIENCE_MS), "the frontend hears of it");
    let events = frontend.start_queue(1, &driver, 0).unwrap();
    assert_eq!(ask(&mut driver, &events, b"ab"), b"ba");
    assert_eq!(frontend.stop_queue(0).unwrap(), 0);
}

/// A message that breaks the protocol: type, payload, and whether an eventfd comes along.
const BAD: &[(&str, u32, &[u8], usize)] = &[
    ("an unknown request", 99, &[], 0),
    ("a request of a feature that was not offered", request::NET_SET_MTU, &[0; 8], 0),
    ("features that were not offered", request::SET_FEATURES, &[0xff; 8], 0),
    ("a short payload", request::SET_VRING_NUM, &[0; 4], 0),
    ("a queue that does not exist", request::SET_VRING_NUM, &[9, 0, 0, 0, 8, 0, 0, 0], 0),
    ("a queue index of 2^32-1", request::GET_VRING_BASE, &[0xff; 8], 0),
    ("a queue size that is no power of two", request::SET_VRING_NUM, &[0, 0, 0, 0, 7, 0, 0, 0], 0),
    ("a queue size of zero", request::SET_VRING_NUM, &[0; 8], 0),
    ("a base beyond 16 bits", request::SET_VRING_BASE, &[0, 0, 0, 0, 0, 0, 1, 0], 0),
    ("a kick without a descriptor", request::SET_VRING_KICK, &[0; 8], 0),
    ("two calls at once", request::SET_VRING_CALL, &[0; 8], 2),
    ("a memory table without files", request::SET_MEM_TABLE, &[1, 0, 0, 0, 0, 0, 0, 0], 0),
    ("a memory table that says more than it has", request::SET_MEM_TABLE, &[8, 0, 0, 0, 0, 0, 0, 0], 8),
    ("a memory table of 2^32-1 regions", request::SET_MEM_TABLE, &[0xff; 8], 0),
    ("more descriptors than any message has", request::SET_OWNER, &[], 20),
    ("a configuration of 4 GiB", request::GET_CONFIG, &[0xff; 12], 0),
];

#[test]
fn bad_messages_close_the_connection_and_nothing_else() {
    let backend = Backend::start("bad");
    for (name, request, payload, descriptors) in BAD {
        let mut frontend = backend.connect();
        let events: Vec<_> = (0..*descriptors).map(|_| EventFd::new().unwrap()).collect();
        let files: Vec<_> = events.iter().map(AsFd::as_fd).collect();
        frontend.send(*request, payload, &files).unwrap();
        assert!(frontend.closed_by_backend(), "{name}");
    }
    for (name, bytes) in [
        ("another version", [1u32, 2, 0].map(u32::to_ne_bytes).concat()),
        ("a payload of 4 GiB", [1u32, 1, u32::MAX].map(u32::to_ne_bytes).concat()),
    ] {
        let mut frontend = backend.connect();
        frontend.send_raw(&bytes).unwrap();
        assert!(frontend.closed_by_backend(), "{name}");
    }
    let mut frontend = backend.connect();
    assert_ne!(frontend.negotiate(FEATURES | F_PROTOCOL_FEATURES).unwrap(), 0, "still serving");
}

#[test]
fn a_kick_must_be_an_eventfd() {
    let backend = Backend::start("pipe");
    let mut frontend = backend.connect();
    let file = std::fs::File::open("/dev/null").unwrap();
    frontend.send(request::SET_VRING_KICK, &0u64.to_ne_bytes(), &[file.as_fd()]).unwrap();
    assert!(frontend.closed_by_backend());
}

#[test]
fn stop_ends_a_live_session() {
    let backend = Backend::start("stop");
    let ram = GuestRam::new(0, 1 << 20).unwrap();
    let driver = DriverQueue::new(Arc::clone(&ram), 8, true);
    let mut frontend = backend.connect();
    frontend.negotiate(FEATURES).unwrap();
    frontend.set_memory(&[&ram]).unwrap();
    frontend.start_queue(0, &driver, 0).unwrap();
    let (done, finished) = mpsc::channel();
    let watcher = thread::spawn(move || {
        drop(backend);
        done.send(()).unwrap();
    });
    finished.recv_timeout(PATIENCE).expect("the backend stops although a frontend is connected");
    watcher.join().unwrap();
}
