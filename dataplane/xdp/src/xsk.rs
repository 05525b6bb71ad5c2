//! AF_XDP sockets (kernel Documentation/networking/af_xdp.rst): frames between an interface and our own memory.
//!
//! [`open`] binds a socket to one queue of an interface and splits it: [`Receiver`] for the one worker that reads the
//! queue, [`Sender`] for whoever transmits. Each side has its own half of the socket's memory (UMEM), so neither
//! needs the other. Works in copy mode on any interface with native XDP, and in zero-copy mode where the driver can.

mod ring;
mod umem;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ring::{DescriptorRing, Offsets};
use umem::Umem;

pub use umem::FRAME_BYTES;

/// Frames in each direction. 4 KiB each: 16 MiB a socket.
pub const FRAMES: u32 = 2048;

/// How long to wait for a killed predecessor's socket to leave the queue.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// What AF_XDP setup may fail at.
#[derive(Debug, thiserror::Error)]
#[error("AF_XDP on {interface}, queue {queue}: cannot {action}")]
pub struct XskError {
    pub interface: String,
    pub queue: u32,
    pub action: &'static str,
    pub source: io::Error,
}

/// The socket itself: shared by both sides, closed when both are gone.
#[derive(Debug)]
struct Socket(OwnedFd);

/// Opens a socket on `queue` of `interface` in the network namespace `netns` (`None`: this one's), split in two.
///
/// # Errors
/// No such interface or queue, no XDP support, another socket on the queue for longer than ten seconds, or too
/// little locked memory allowed.
pub fn open(
    netns: Option<BorrowedFd<'_>>,
    interface: &str,
    queue: u32,
) -> Result<(Receiver, Sender), XskError> {
    let fail = |action| {
        let interface = interface.to_owned();
        move |source| XskError { interface, queue, action, source }
    };
    let netns = netns.map(|fd| fd.try_clone_to_owned()).transpose().map_err(fail("keep its namespace"))?;
    let name = interface.to_owned();
    // A thread of its own, because a thread that entered another namespace cannot be trusted with anything else.
    let opener = thread::Builder::new().name("xsk-open".into()).spawn(move || {
        if let Some(netns) = netns {
            enter(&netns).map_err(|error| ("enter its namespace", error))?;
        }
        open_here(&name, queue)
    });
    let opened = opener.map_err(fail("start a thread"))?.join();
    match opened {
        Ok(Ok(pair)) => Ok(pair),
        Ok(Err((action, error))) => Err(fail(action)(error)),
        Err(_) => Err(fail("start a thread")(io::ErrorKind::Other.into())),
    }
}

type Step<T> = Result<T, (&'static str, io::Error)>;

fn enter(netns: &OwnedFd) -> io::Result<()> {
    // SAFETY: only this thread changes, and it ends soon.
    check(unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) })
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn open_here(interface: &str, queue: u32) -> Step<(Receiver, Sender)> {
    let name = CString::new(interface).map_err(|error| ("use its name", io::Error::other(error)))?;
    // SAFETY: a terminated string.
    let ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if ifindex == 0 {
        return Err(("find it", io::Error::last_os_error()));
    }
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    check(fd).map_err(|error| ("open a socket", error))?;
    // SAFETY: a fresh descriptor that nobody else owns.
    let socket = Arc::new(Socket(unsafe { OwnedFd::from_raw_fd(fd) }));
    let umem = Arc::new(Umem::register(&socket.0, 2 * FRAMES).map_err(|error| ("register memory", error))?);
    let rings =
        [libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING, libc::XDP_RX_RING, libc::XDP_TX_RING];
    for ring in rings {
        set_option(&socket.0, ring, &FRAMES).map_err(|error| ("make its rings", error))?;
    }
    let map = |error| ("map its rings", error);
    let offsets = Offsets::of(&socket.0).map_err(map)?;
    let fill = ring::fill(&socket.0, &offsets, FRAMES).map_err(map)?;
    let completion = ring::completion(&socket.0, &offsets, FRAMES).map_err(map)?;
    let rx = ring::rx(&socket.0, &offsets, FRAMES).map_err(map)?;
    let tx = ring::tx(&socket.0, &offsets, FRAMES).map_err(map)?;
    bind(&socket.0, ifindex, queue).map_err(|error| ("bind (is there XDP, and the queue free?)", error))?;
    let mut receiver = Receiver { socket: Arc::clone(&socket), umem: Arc::clone(&umem), fill, rx };
    (0..FRAMES).for_each(|frame| receiver.fill.push(u64::from(frame) * FRAME_BYTES as u64));
    receiver.fill.submit();
    let free = (FRAMES..2 * FRAMES).map(|frame| u64::from(frame) * FRAME_BYTES as u64).collect();
    let queued = Vec::with_capacity(FRAMES as usize);
    Ok((receiver, Sender { socket, umem, completion, tx, free, queued }))
}

fn bind(socket: &OwnedFd, ifindex: u32, queue: u32) -> io::Result<()> {
    let deadline = Instant::now() + BUSY_PATIENCE;
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: libc::XDP_USE_NEED_WAKEUP,
        sxdp_ifindex: ifindex,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: 0,
    };
    loop {
        let len = size_of_val(&address) as u32;
        // SAFETY: a whole sockaddr_xdp of the length that is passed.
        match check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) }) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                thread::sleep(BUSY_PAUSE);
            }
            other => return other,
        }
    }
}

fn set_option<T>(socket: &OwnedFd, option: i32, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as u32;
    // SAFETY: `value` is readable for its size, and the kernel checks that the size fits the option.
    check(unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_XDP, option, (&raw const *value).cast(), len)
    })
}

/// The receiving side.
#[derive(Debug)]
pub struct Receiver {
    socket: Arc<Socket>,
    umem: Arc<Umem>,
    fill: DescriptorRing<u64>,
    rx: DescriptorRing<libc::xdp_desc>,
}

impl Receiver {
    /// Shows up to `limit` received frames to `take`, each with `META` bytes that the XDP program wrote immediately
    /// before it, and gives their memory back to the kernel. How many there were.
    pub fn receive<const META: usize>(
        &mut self,
        limit: u32,
        mut take: impl FnMut([u8; META], &mut [u8]),
    ) -> u32 {
        let count = self.rx.readable().min(limit);
        for _ in 0..count {
            let descriptor = self.rx.pop();
            // What the kernel gives is ours alone until it goes back through the fill ring.
            if let Some((meta, frame)) = self.umem.received(descriptor.addr, descriptor.len) {
                take(meta, frame);
            }
            self.fill.push(descriptor.addr - descriptor.addr % FRAME_BYTES as u64);
        }
        if count > 0 {
            self.rx.release();
            self.fill.submit();
        }
        if self.fill.wants_wakeup() {
            // SAFETY: no memory is passed.
            unsafe {
                libc::recvfrom(
                    self.socket.0.as_raw_fd(),
                    std::ptr::null_mut(),
                    0,
                    libc::MSG_DONTWAIT,
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                );
            }
        }
        count
    }

    /// Frames wait.
    pub fn pending(&mut self) -> bool {
        self.rx.readable() > 0
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.0.as_fd()
    }
}

/// The transmitting side.
#[derive(Debug)]
pub struct Sender {
    socket: Arc<Socket>,
    umem: Arc<Umem>,
    completion: DescriptorRing<u64>,
    tx: DescriptorRing<libc::xdp_desc>,
    /// Frames that nobody uses.
    free: Vec<u64>,
    /// Frames filled and not handed to the kernel yet.
    queued: Vec<libc::xdp_desc>,
}

impl Sender {
    /// Has `fill` write a frame into memory of [`FRAME_BYTES`] bytes and queues as many bytes as it says. False when
    /// all frames are on their way, or `fill` wrote nothing.
    pub fn queue(&mut self, fill: impl FnOnce(&mut [u8]) -> usize) -> bool {
        if self.free.is_empty() {
            self.flush();
        }
        let Some(address) = self.free.pop() else { return false };
        let len = self.umem.unused(address).map_or(0, |frame| fill(frame).min(FRAME_BYTES));
        if len == 0 {
            self.free.push(address);
            return false;
        }
        self.queued.push(libc::xdp_desc { addr: address, len: len as u32, options: 0 });
        true
    }

    /// Hands everything queued to the kernel: one system call for up to 32 frames in copy mode.
    pub fn flush(&mut self) {
        self.reclaim();
        if self.queued.is_empty() && self.tx.drained() {
            return;
        }
        // Also what an earlier call had to leave there.
        for descriptor in self.queued.drain(..) {
            self.tx.push(descriptor);
        }
        self.tx.submit();
        for _ in 0..=FRAMES / 32 {
            if !self.tx.wants_wakeup() || self.tx.drained() {
                break;
            }
            // SAFETY: no memory is passed.
            let sent = unsafe {
                libc::sendto(
                    self.socket.0.as_raw_fd(),
                    std::ptr::null(),
                    0,
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                    std::ptr::null(),
                    0,
                )
            };
            // EAGAIN: more remains than one call may send. Anything else (the interface is down) waits.
            if sent < 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EAGAIN) {
                break;
            }
        }
        self.reclaim();
    }

    fn reclaim(&mut self) {
        let count = self.completion.readable();
        for _ in 0..count {
            let address = self.completion.pop();
            self.free.push(address);
        }
        if count > 0 {
            self.completion.release();
        }
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.0.as_fd()
    }
}

/// Opens the network namespace mounted at `path` (as `ip netns` does), for [`open`].
///
/// # Errors
/// There is none at `path`.
pub fn open_namespace(path: &std::path::Path) -> io::Result<OwnedFd> {
    File::open(path).map(Into::into)
}
