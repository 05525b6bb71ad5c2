//! The processes that are measured: ours and the peers, each behind its own socket.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use updraft_blk::Disk;
use updraft_blk::device::BlockDevice;
use updraft_blk::device::null::NullDevice;
use updraft_blk::device::raw::RawFile;
use updraft_vhost::{EventFd, Server};
use updraft_volume::Volume;

use crate::measure::Failure;

/// The size of the null device, in bytes; also of the peer's.
pub const NULL_BYTES: u64 = 1 << 30;

/// How long a process may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a backend serves.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Requests are answered and nothing else happens.
    Null,
    /// A plain file, read through the page cache.
    Raw(&'a Path),
    /// A layered volume.
    Volume(&'a Path),
}

/// Who runs where: two loops that look for work on the same core would wait for each other's time slices.
#[derive(Clone, Copy, Debug)]
pub enum Core {
    Frontend,
    Backend,
    /// All of them: the process chooses for itself.
    Any,
}

fn allowed() -> &'static CpuSet {
    ALLOWED.get_or_init(|| sched_getaffinity(Pid::from_raw(0)).unwrap_or_default())
}

/// The frontend's and the backend's core, where there are two.
pub fn cores() -> Option<(usize, usize)> {
    let mut cores = (0..CpuSet::count()).filter(|&core| allowed().is_set(core).unwrap_or(false));
    Some((cores.next()?, cores.next()?))
}

/// Moves the calling thread, and what it starts from now on, to a core.
///
/// # Errors
/// The kernel refuses.
pub fn pin(core: Core) -> Result<(), Failure> {
    let Some((frontend, backend)) = cores() else { return Ok(()) };
    let mut set = CpuSet::new();
    match core {
        Core::Frontend => set.set(frontend).map_err(io::Error::from)?,
        Core::Backend => set.set(backend).map_err(io::Error::from)?,
        Core::Any => set = *allowed(),
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set).map_err(io::Error::from)?)
}

/// The cores that this process was given, before it chose among them.
static ALLOWED: OnceLock<CpuSet> = OnceLock::new();

/// A child process that serves a vhost-user socket; ended when dropped.
#[derive(Debug)]
pub struct Backend {
    child: Child,
    pub socket: PathBuf,
}

impl Backend {
    /// Our own block backend: this program again, in its `serve` mode.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn ours(content: Content<'_>, socket: &Path) -> Result<Self, Failure> {
        let (kind, path) = match content {
            Content::Null => ("null", Path::new("-")),
            Content::Raw(path) => ("raw", path),
            Content::Volume(path) => ("volume", path),
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", kind]).arg(path).arg(socket);
        Self::spawn(command, socket)
    }

    /// QEMU's storage daemon with an I/O thread, exporting the same content.
    ///
    /// # Errors
    /// It is not installed (package qemu-system-common).
    pub fn storage_daemon(content: Content<'_>, socket: &Path) -> Result<Self, Failure> {
        let node = match content {
            Content::Null => format!("driver=null-co,size={NULL_BYTES},read-zeroes=off"),
            Content::Raw(path) | Content::Volume(path) => {
                format!("driver=file,filename={},cache.direct=off,aio=io_uring,read-only=on", path.display())
            }
        };
        let export = format!(
            "type=vhost-user-blk,id=disk,node-name=disk,addr.type=unix,addr.path={},num-queues=1,iothread=thread",
            socket.display()
        );
        let mut command = Command::new("qemu-storage-daemon");
        command.args(["--object", "iothread,id=thread"]);
        command.args(["--blockdev", &format!("{node},node-name=disk"), "--export", &export]);
        Self::spawn(command, socket)
    }

    /// Starts the process on a core of its own, where there are two: it inherits that from this thread.
    fn spawn(mut command: Command, socket: &Path) -> Result<Self, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self::spawn_on(command, socket, Core::Backend)
    }

    fn spawn_on(mut command: Command, socket: &Path, core: Core) -> Result<Self, Failure> {
        pin(core)?;
        let child = command.spawn();
        pin(Core::Frontend)?;
        let child = child.map_err(|error| Failure::new(format!("cannot start {command:?}: {error}")))?;
        Ok(Self { child, socket: socket.to_path_buf() })
    }

    /// Starts any process and waits until `socket` is there.
    ///
    /// # Errors
    /// It cannot be started, or ends, or takes longer than [`PATIENCE`].
    pub fn start(command: Command, socket: &Path, core: Core) -> Result<Self, Failure> {
        let name = format!("{command:?}");
        let mut backend = Self::spawn_on(command, socket, core)?;
        let deadline = Instant::now() + PATIENCE;
        while !socket.exists() {
            if let Some(status) = backend.child.try_wait()? {
                return Err(Failure::new(format!("{name} ended: {status}; is it installed?")));
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("{name} does not listen")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(backend)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // Not asked nicely: the storage daemon waits for ever while a frontend is connected.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.socket);
    }
}

/// The `serve` mode: one disk with one queue, until killed.
///
/// # Errors
/// The content cannot be opened, or the socket not made.
pub fn serve(kind: &str, path: &Path, socket: &Path) -> Result<(), Failure> {
    let device: Arc<dyn BlockDevice> = match kind {
        "null" => Arc::new(NullDevice::new(NULL_BYTES)),
        "raw" => Arc::new(RawFile::open(path, true)?),
        "volume" => Volume::open(path, false).map_err(io::Error::other)?,
        _ => return Err(Failure::new(format!("nothing of kind {kind} can be served"))),
    };
    let server = Server::bind(socket)?;
    let stop = EventFd::new()?;
    Ok(server.run(&mut Disk::new(device, 1, "bench"), &stop)?)
}
