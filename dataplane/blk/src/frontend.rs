//! The guest's side of a disk, without a guest: for tests and benches that drive a real backend.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use updraft_vhost::frontend::{Frontend, QueueEvents};
use updraft_vhost::{EventFd, Server};
use updraft_virtio::driver::{DriverQueue, GuestRam};
use updraft_virtio::features::{RING_EVENT_IDX, VERSION_1};

use crate::device::BlockDevice;
use crate::disk::{Disk, DiskState};
use crate::request::Status;

/// How long to wait for a backend that is starting, and for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the guest's memory begins.
const RAM_ADDRESS: u64 = 0x4000_0000;

/// What a frontend asks of a disk; the types are virtio 1.2, 5.2.6's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Read {
        sector: u64,
        len: u32,
    },
    /// Of the slot's buffer.
    Write {
        sector: u64,
        len: u32,
    },
    Flush,
    GetId,
    Discard {
        sector: u64,
        sectors: u32,
    },
    WriteZeroes {
        sector: u64,
        sectors: u32,
    },
}

impl Ask {
    fn kind(self) -> u32 {
        match self {
            Self::Read { .. } => 0,
            Self::Write { .. } => 1,
            Self::Flush => 4,
            Self::GetId => 8,
            Self::Discard { .. } => 11,
            Self::WriteZeroes { .. } => 13,
        }
    }

    fn sector(self) -> u64 {
        match self {
            Self::Read { sector, .. } | Self::Write { sector, .. } => sector,
            _ => 0,
        }
    }
}

/// How a guest drives its disk.
#[derive(Clone, Copy, Debug)]
pub struct GuestConfig {
    pub queues: u16,
    /// Descriptors of each queue.
    pub queue_size: u16,
    /// Requests that one queue may have under way.
    pub depth: usize,
    /// The most data of one request, in bytes.
    pub buffer_bytes: usize,
    pub event_idx: bool,
}

impl Default for GuestConfig {
    fn default() -> Self {
        Self { queues: 1, queue_size: 128, depth: 32, buffer_bytes: 1 << 20, event_idx: true }
    }
}

/// A guest's memory and queues, which outlive the backend that serves them.
#[derive(Debug)]
pub struct GuestDisk {
    socket: PathBuf,
    frontend: Frontend,
    ram: Arc<GuestRam>,
    event_idx: bool,
    pub queues: Vec<GuestQueue>,
}

impl GuestDisk {
    /// # Errors
    /// Nobody listens at `socket`, or the backend refuses.
    pub fn connect(socket: &Path, config: GuestConfig) -> io::Result<Self> {
        let queue_bytes =
            config.depth * (config.buffer_bytes + 4096) + usize::from(config.queue_size) * 64 + 65_536;
        let bytes = (usize::from(config.queues) * queue_bytes).next_multiple_of(2 << 20);
        let ram = GuestRam::new(RAM_ADDRESS, bytes)?;
        let queues = (0..config.queues).map(|_| GuestQueue::new(&ram, &config)).collect::<io::Result<_>>()?;
        let frontend = Frontend::connect(socket, PATIENCE)?;
        let mut disk =
            Self { socket: socket.to_path_buf(), frontend, ram, event_idx: config.event_idx, queues };
        disk.start()?;
        Ok(disk)
    }

    /// What QEMU does when its backend died: connects to the next one and restarts each ring from its used index,
    /// so that what was never acknowledged is done again.
    ///
    /// # Errors
    /// As [`GuestDisk::connect`].
    pub fn reconnect(&mut self) -> io::Result<()> {
        self.frontend = Frontend::connect(&self.socket, PATIENCE)?;
        self.start()
    }

    fn start(&mut self) -> io::Result<()> {
        let wanted = if self.event_idx { RING_EVENT_IDX } else { 0 };
        // Feature bits below 24 are the device's own.
        self.frontend.negotiate(VERSION_1 | wanted | 0xff_ffff)?;
        self.frontend.set_memory(&[&self.ram])?;
        for (index, queue) in self.queues.iter_mut().enumerate() {
            let base = queue.driver.used_index();
            queue.events = self.frontend.start_queue(index as u32, &queue.driver, base)?;
        }
        // The predecessor may have died with kicks that nobody saw.
        self.queues.iter().for_each(|queue| queue.events.kick.notify());
        Ok(())
    }

    /// The frontend, for tests that speak to the backend themselves.
    pub fn frontend(&mut self) -> &mut Frontend {
        &mut self.frontend
    }

    /// The disk's size as the configuration space says, in bytes.
    ///
    /// # Errors
    /// The backend breaks off.
    pub fn size_bytes(&mut self) -> io::Result<u64> {
        let bytes = self.frontend.read_config(0, 8)?;
        let sectors =
            <[u8; 8]>::try_from(bytes).map_err(|_| io::Error::other("a short configuration space"))?;
        Ok(u64::from_le_bytes(sectors) * 512)
    }

    /// One request on queue 0, waited for.
    ///
    /// # Errors
    /// The backend does not answer, or another status than OK comes back.
    pub fn run(&mut self, ask: Ask) -> io::Result<usize> {
        let queue = &mut self.queues[0];
        let slot = queue.submit(ask).ok_or_else(|| io::Error::other("no slot is free"))?;
        queue.kick();
        match queue.wait(PATIENCE)? {
            (done, Status::OK) if done == slot => Ok(slot),
            (_, status) => Err(io::Error::other(format!("{ask:?}: status {}", status.0))),
        }
    }

    /// # Errors
    /// As [`GuestDisk::run`].
    pub fn read(&mut self, sector: u64, len: usize) -> io::Result<Vec<u8>> {
        let slot = self.run(Ask::Read { sector, len: len as u32 })?;
        Ok(self.queues[0].data(slot, len))
    }

    /// # Errors
    /// As [`GuestDisk::run`].
    pub fn write(&mut self, sector: u64, bytes: &[u8]) -> io::Result<()> {
        let next = self.queues[0].next_slot().ok_or_else(|| io::Error::other("no slot is free"))?;
        self.queues[0].set_data(next, bytes);
        self.run(Ask::Write { sector, len: bytes.len() as u32 }).map(drop)
    }
}

/// Where the parts of a request lie in guest memory.
#[derive(Clone, Copy, Debug)]
struct Slot {
    header: u64,
    status: u64,
    data: u64,
}

/// One queue of a guest, with as many request slots as it may have under way.
#[derive(Debug)]
pub struct GuestQueue {
    pub driver: DriverQueue,
    events: QueueEvents,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// By head.
    under_way: Vec<Option<usize>>,
}

impl GuestQueue {
    fn new(ram: &Arc<GuestRam>, config: &GuestConfig) -> io::Result<Self> {
        let driver = DriverQueue::new(Arc::clone(ram), config.queue_size, config.event_idx);
        let slots = (0..config.depth).map(|_| Slot {
            header: ram.take(32, 64),
            status: ram.take(1, 64),
            data: ram.take(config.buffer_bytes, 4096),
        });
        Ok(Self {
            slots: slots.collect(),
            free: (0..config.depth).rev().collect(),
            under_way: vec![None; usize::from(config.queue_size)],
            events: QueueEvents { kick: EventFd::new()?, call: EventFd::new()? },
            driver,
        })
    }

    /// The slot that the next request will use.
    pub fn next_slot(&self) -> Option<usize> {
        self.free.last().copied()
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Makes a request, not shown to the device before [`GuestQueue::kick`]; `None` when all slots are in use.
    #[inline]
    pub fn submit(&mut self, ask: Ask) -> Option<usize> {
        let index = self.free.pop()?;
        let slot = self.slots[index];
        let ram = self.driver.ram();
        let mut header = [0; 32];
        header[..4].copy_from_slice(&ask.kind().to_le_bytes());
        header[8..16].copy_from_slice(&ask.sector().to_le_bytes());
        let mut header_bytes = 16;
        if let Ask::Discard { sector, sectors } | Ask::WriteZeroes { sector, sectors } = ask {
            header[16..24].copy_from_slice(&sector.to_le_bytes());
            header[24..28].copy_from_slice(&sectors.to_le_bytes());
            header_bytes = 32;
        }
        ram.write(slot.header, &header[..header_bytes as usize]);
        ram.write(slot.status, &[0xff]);
        let (header, status) = ((slot.header, header_bytes), (slot.status, 1));
        let head = match ask {
            Ask::Read { len, .. } => self.driver.add(&[header], &[(slot.data, len), status]),
            Ask::Write { len, .. } => self.driver.add(&[header, (slot.data, len)], &[status]),
            Ask::GetId => self.driver.add(&[header], &[(slot.data, 20), status]),
            Ask::Flush | Ask::Discard { .. } | Ask::WriteZeroes { .. } => {
                self.driver.add(&[header], &[status])
            }
        };
        let Some(head) = head else {
            self.free.push(index);
            return None;
        };
        self.under_way[usize::from(head)] = Some(index);
        Some(index)
    }

    /// Shows all requests made to the device, and wakes it if it asked for that.
    #[inline]
    pub fn kick(&mut self) {
        if self.driver.publish() {
            self.events.kick.notify();
        }
    }

    /// The next answer: its slot and status.
    #[inline]
    pub fn poll(&mut self) -> Option<(usize, Status)> {
        let (head, _) = self.driver.poll()?;
        let index = self.under_way.get_mut(usize::from(head))?.take()?;
        let mut status = [0];
        self.driver.ram().read(self.slots[index].status, &mut status);
        self.free.push(index);
        Some((index, Status(status[0])))
    }

    /// Waits for the next answer, asleep.
    ///
    /// # Errors
    /// None came in time.
    pub fn wait(&mut self, patience: Duration) -> io::Result<(usize, Status)> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(answer) = self.poll() {
                return Ok(answer);
            }
            if self.driver.enable_calls() {
                continue;
            }
            if Instant::now() > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.events.call.wait(20);
        }
    }

    /// The first bytes of the slot's buffer.
    pub fn data(&self, slot: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.driver.ram().read(self.slots[slot].data, &mut bytes);
        bytes
    }

    /// Fills the slot's buffer from its start.
    pub fn set_data(&self, slot: usize, bytes: &[u8]) {
        self.driver.ram().write(self.slots[slot].data, bytes);
    }
}

/// A device served by threads of this process, until dropped.
#[derive(Debug)]
pub struct Served {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
    pub state: Arc<DiskState>,
}

impl Served {
    /// Serves `device` at `socket`.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn start(device: Arc<dyn BlockDevice>, socket: &Path, queues: u16, serial: &str) -> io::Result<Self> {
        let server = Server::bind(socket)?;
        let stop = Arc::new(EventFd::new()?);
        let mut disk = Disk::new(device, queues, serial);
        let state = disk.state();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            if let Err(error) = server.run(&mut disk, &stopped) {
                tracing::error!(%error, "the socket failed");
            }
        });
        Ok(Self { stop, thread: Some(thread), state })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.notify();
        if let Some(thread) = self.thread.take() {
            // A panic of the server was printed already.
            let _ = thread.join();
        }
    }
}
