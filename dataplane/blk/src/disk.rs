//! A [`BlockDevice`] behind a vhost-user socket: one thread for each queue that the guest uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use updraft_vhost::message::protocol_feature;
use updraft_vhost::{Device, EventFd, QueueHandle};

use crate::config::{self, MAX_QUEUES};
use crate::device::BlockDevice;
use crate::queue::{Queue, QueueParts};
use crate::request::ID_BYTES;
use crate::stats::{QueueStats, Totals};

/// What others may know about a disk while its server has it.
#[derive(Debug, Default)]
pub struct DiskState {
    queues: Vec<Arc<QueueStats>>,
    running: AtomicUsize,
}

impl DiskState {
    /// The counters of all queues together.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.queues.iter().for_each(|queue| queue.add_to(&mut totals));
        totals
    }

    /// True when a guest's rings are running.
    pub fn is_connected(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }
}

/// A disk as the vhost-user handler drives it.
pub struct Disk {
    device: Arc<dyn BlockDevice>,
    id: [u8; ID_BYTES],
    state: Arc<DiskState>,
    workers: Vec<Option<Worker>>,
}

struct Worker {
    thread: JoinHandle<u16>,
    stop: Arc<EventFd>,
    /// Where the queue started, should its thread end in no good way.
    base: u16,
}

impl Disk {
    /// `queues` is cut to the range from one to [`MAX_QUEUES`], `serial` to 20 bytes.
    pub fn new(device: Arc<dyn BlockDevice>, queues: u16, serial: &str) -> Self {
        let queues = queues.clamp(1, MAX_QUEUES);
        let mut id = [0; ID_BYTES];
        for (to, from) in id.iter_mut().zip(serial.bytes()) {
            *to = from;
        }
        let stats = (0..queues).map(|_| Arc::default()).collect();
        let state = Arc::new(DiskState { queues: stats, running: AtomicUsize::new(0) });
        Self { device, id, state, workers: (0..queues).map(|_| None).collect() }
    }

    pub fn state(&self) -> Arc<DiskState> {
        Arc::clone(&self.state)
    }

    fn queues(&self) -> u16 {
        self.workers.len() as u16
    }

    fn spawn(&self, handle: QueueHandle) -> std::io::Result<Worker> {
        let (index, base) = (handle.index, handle.queue.base());
        let stop = Arc::new(EventFd::new()?);
        let parts = QueueParts {
            handle,
            device: Arc::clone(&self.device),
            id: self.id,
            stats: Arc::clone(&self.state.queues[index]),
        };
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name(format!("blk-queue-{index}"));
        let thread = thread.spawn(move || serve(parts, &stopped))?;
        Ok(Worker { thread, stop, base })
    }
}

/// The life of a queue thread; the index where a successor goes on.
fn serve(parts: QueueParts, stop: &EventFd) -> u16 {
    let (index, base) = (parts.handle.index, parts.handle.queue.base());
    let mut queue = match Queue::new(parts) {
        Ok(queue) => queue,
        Err(failure) => {
            tracing::error!(queue = index, error = ?failure, "queue cannot run");
            return base;
        }
    };
    queue.run(stop).unwrap_or_else(|failure| {
        tracing::error!(queue = index, error = ?failure, "queue thread ended");
        queue.base()
    })
}

impl Device for Disk {
    fn features(&self) -> u64 {
        config::features(&self.device.geometry(), self.queues())
    }

    fn protocol_features(&self) -> u64 {
        protocol_feature::CONFIG
    }

    fn queue_count(&self) -> usize {
        self.workers.len()
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> bool {
        config::read(&self.device.geometry(), self.queues(), offset, bytes)
    }

    fn start_queue(&mut self, queue: QueueHandle) {
        let index = queue.index;
        match self.spawn(queue) {
            Ok(worker) => {
                self.workers[index] = Some(worker);
                self.state.running.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => tracing::error!(queue = index, %error, "no thread for a queue"),
        }
    }

    fn stop_queue(&mut self, index: usize) -> u16 {
        let Some(worker) = self.workers[index].take() else { return 0 };
        worker.stop.notify();
        self.state.running.fetch_sub(1, Ordering::Relaxed);
        worker.thread.join().unwrap_or(worker.base)
    }
}
