//! The disks that are served, and how the set of them changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use updraft_base::DiskId;
use updraft_blk::config::MAX_QUEUES;
use updraft_blk::device::raw::RawFile;
use updraft_blk::device::{BlockDevice, DeviceError};
use updraft_blk::request::ID_BYTES;
use updraft_blk::{Disk as ServedDisk, DiskState};
use updraft_dataplane_api::SocketRole;
use updraft_dataplane_api::blk::{BlkConfig, BlkStatus, Disk, DiskStatus};
use updraft_vhost::{EventFd, Server};
use updraft_volume::{Volume, VolumeError};

/// The most disks of one server. A configuration with more is refused.
pub const MAX_DISKS: usize = 64;

/// Why a configuration is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("{count} disks, more than the limit of {MAX_DISKS}")]
    TooMany { count: usize },
    #[error("disk {id} is named twice, or its socket is")]
    Twice { id: DiskId },
    #[error("disk {id}: {queues} queues, outside 1 to {MAX_QUEUES}")]
    Queues { id: DiskId, queues: u16 },
    #[error("disk {id}: the serial is no ASCII of at most {ID_BYTES} bytes")]
    Serial { id: DiskId },
    #[error("disk {id} is being served with other settings: take it away first")]
    Changed { id: DiskId },
    #[error("disk {id}: {source}")]
    Volume { id: DiskId, source: VolumeError },
    #[error("disk {id}: cannot open {path}: {source}", path = .path.display())]
    Raw { id: DiskId, path: std::path::PathBuf, source: io::Error },
    #[error("disk {id}: cannot listen at {path}: {source}", path = .path.display())]
    Socket { id: DiskId, path: std::path::PathBuf, source: io::Error },
}

/// A disk whose data is not known to be durable after it was closed.
#[derive(Debug, thiserror::Error)]
#[error("disk {id} could not be flushed")]
pub struct CloseError {
    id: DiskId,
    source: DeviceError,
}

/// A disk with a thread that serves its socket.
struct Serving {
    disk: Disk,
    device: Arc<dyn BlockDevice>,
    state: Arc<DiskState>,
    stop: Arc<EventFd>,
    thread: JoinHandle<()>,
}

/// All disks of this process.
pub struct Daemon {
    disks: Mutex<BTreeMap<DiskId, Serving>>,
    started: Instant,
}

impl Daemon {
    pub fn new() -> Self {
        Self { disks: Mutex::default(), started: Instant::now() }
    }

    /// Serves exactly the disks of `config`: opens new ones, closes missing ones, leaves the others alone.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn apply(&self, config: BlkConfig) -> Result<(), ApplyError> {
        validate(&config)?;
        let mut disks = self.lock();
        let mut new = Vec::new();
        for disk in &config.disks {
            match disks.get(&disk.id) {
                None => new.push(disk),
                Some(serving) if serving.disk == *disk => {}
                Some(_) => return Err(ApplyError::Changed { id: disk.id }),
            }
        }
        let mut opened = Vec::new();
        for disk in new {
            match Serving::start(disk) {
                Ok(serving) => opened.push(serving),
                Err(error) => {
                    opened.into_iter().for_each(log_close);
                    return Err(error);
                }
            }
        }
        let wanted: BTreeSet<_> = config.disks.iter().map(|disk| disk.id).collect();
        let gone: Vec<_> = disks.keys().filter(|id| !wanted.contains(id)).copied().collect();
        gone.iter().filter_map(|id| disks.remove(id)).for_each(log_close);
        disks.extend(opened.into_iter().map(|serving| (serving.disk.id, serving)));
        Ok(())
    }

    pub fn status(&self) -> BlkStatus {
        BlkStatus {
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            disks: self.lock().values().map(Serving::status).collect(),
        }
    }

    /// Drains and flushes every disk.
    ///
    /// # Errors
    /// The first disk that could not be flushed; the others were.
    pub fn close(&self) -> Result<(), CloseError> {
        let disks = std::mem::take(&mut *self.lock());
        let failed: Vec<_> = disks.into_values().filter_map(|serving| serving.close().err()).collect();
        failed.into_iter().next().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DiskId, Serving>> {
        // Nothing that runs under the lock leaves the map half changed.
        self.disks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn validate(config: &BlkConfig) -> Result<(), ApplyError> {
    let count = config.disks.len();
    if count > MAX_DISKS {
        return Err(ApplyError::TooMany { count });
    }
    let (mut ids, mut sockets) = (BTreeSet::new(), BTreeSet::new());
    for disk in &config.disks {
        let (id, queues) = (disk.id, disk.queues);
        if !ids.insert(id) || !sockets.insert(&disk.socket_path) {
            return Err(ApplyError::Twice { id });
        }
        if !(1..=MAX_QUEUES).contains(&queues) {
            return Err(ApplyError::Queues { id, queues });
        }
        if disk.serial.len() > ID_BYTES || !disk.serial.is_ascii() {
            return Err(ApplyError::Serial { id });
        }
    }
    Ok(())
}

fn log_close(serving: Serving) {
    if let Err(error) = serving.close() {
        tracing::error!(?error, "closed without a flush");
    }
}

impl Serving {
    fn start(disk: &Disk) -> Result<Self, ApplyError> {
        let id = disk.id;
        let device: Arc<dyn BlockDevice> = if disk.raw {
            let opened = RawFile::open(&disk.path, disk.read_only);
            Arc::new(opened.map_err(|source| ApplyError::Raw { id, path: disk.path.clone(), source })?)
        } else {
            Volume::open(&disk.path, disk.read_only).map_err(|source| ApplyError::Volume { id, source })?
        };
        let socket = |source| ApplyError::Socket { id, path: disk.socket_path.clone(), source };
        let server = match disk.socket_role {
            SocketRole::Listens => Server::bind(&disk.socket_path).map_err(socket)?,
            SocketRole::Connects => Server::dial(&disk.socket_path),
        };
        let stop = Arc::new(EventFd::new().map_err(socket)?);
        let mut served = ServedDisk::new(Arc::clone(&device), disk.queues, &disk.serial);
        let state = served.state();
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("blk-socket".into()).spawn(move || {
            if let Err(error) = server.run(&mut served, &stopped) {
                tracing::error!(disk = %id, %error, "the socket failed");
            }
        });
        let thread = thread.map_err(socket)?;
        tracing::info!(disk = %id, path = %disk.path.display(), socket = %disk.socket_path.display(), "disk served");
        Ok(Self { disk: disk.clone(), device, state, stop, thread })
    }

    /// Lets the frontend go, waits for what is in flight, flushes.
    fn close(self) -> Result<(), CloseError> {
        self.stop.notify();
        // A panic of the thread was printed; its queues are gone with it.
        let _ = self.thread.join();
        tracing::info!(disk = %self.disk.id, "disk closed");
        self.device.close().map_err(|source| CloseError { id: self.disk.id, source })
    }

    fn status(&self) -> DiskStatus {
        let totals = self.state.totals();
        DiskStatus {
            id: self.disk.id,
            connected: self.state.is_connected(),
            size_bytes: self.device.geometry().size_bytes,
            reads: totals.reads,
            writes: totals.writes,
            flushes: totals.flushes,
            read_bytes: totals.read_bytes,
            written_bytes: totals.written_bytes,
            errors: totals.errors,
        }
    }
}
