//! Where frontends are met: one at a time, for ever. Either the backend listens and frontends connect, or the other way
//! round. QEMU tries again only every full second when it connects, but takes a connection at once when it listens: so
//! a backend that was killed is back in a guest's service as soon as it runs again.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::device::Device;
use crate::error::SessionError;
use crate::event::EventFd;
use crate::session::Session;
use crate::socket;

/// A frontend that does not take our answers for so long is dropped.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after a failed accept (no descriptors left), so that it cannot become a spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Between attempts to reach a frontend that does not listen: doubled each time, from the first to the last. A backend
/// may have a thousand ports without a guest, so the last must not be short.
const FIRST_DIAL_PAUSE: Duration = Duration::from_millis(1);
const LAST_DIAL_PAUSE: Duration = Duration::from_millis(128);
/// A connection that lasted so long was no failure: the next attempt is the first again.
const LASTED: Duration = Duration::from_secs(1);

/// A unix socket at which frontends are met.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    /// `None`: frontends listen there. Otherwise the file is removed on drop.
    listener: Option<UnixListener>,
}

impl Server {
    /// Listens at `path`, in place of the socket that a killed predecessor may have left there.
    ///
    /// # Errors
    /// The path is too long, its folder is missing, or something that is no socket is in the way.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { path: path.to_owned(), listener: Some(listener) })
    }

    /// Will connect to whichever frontend listens at `path`, as often as one does.
    pub fn dial(path: &Path) -> Self {
        Self { path: path.to_owned(), listener: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves one frontend after the other until `stop` is notified. All queues are stopped on return.
    ///
    /// # Errors
    /// The listening socket itself fails. What goes wrong on a connection is logged and ends that connection only.
    pub fn run(&self, device: &mut dyn Device, stop: &EventFd) -> io::Result<()> {
        match &self.listener {
            Some(listener) => self.accept_all(listener, device, stop),
            None => self.dial_all(device, stop),
        }
    }

    fn accept_all(&self, listener: &UnixListener, device: &mut dyn Device, stop: &EventFd) -> io::Result<()> {
        while wait(Some(listener.as_raw_fd()), stop, None)? != Woken::Stopped {
            match listener.accept() {
                Ok((stream, _)) => self.serve(&stream, device, stop),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!(socket = %self.path.display(), %error, "cannot accept a frontend");
                    thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
        Ok(())
    }

    fn dial_all(&self, device: &mut dyn Device, stop: &EventFd) -> io::Result<()> {
        let mut pause = FIRST_DIAL_PAUSE;
        loop {
            let tried = Instant::now();
            // Whatever is wrong with the path may be mended: a frontend makes it when it starts.
            if let Ok(stream) = connect(&self.path) {
                self.serve(&stream, device, stop);
            }
            let lasted = tried.elapsed() >= LASTED;
            pause = if lasted { FIRST_DIAL_PAUSE } else { (pause * 2).min(LAST_DIAL_PAUSE) };
            if wait(None, stop, Some(pause))? == Woken::Stopped {
                return Ok(());
            }
        }
    }

    fn serve(&self, stream: &UnixStream, device: &mut dyn Device, stop: &EventFd) {
        tracing::debug!(socket = %self.path.display(), "frontend connected");
        device.connected();
        let mut session = Session::new(device);
        let outcome = converse(stream, &mut session, stop);
        session.stop_all();
        device.disconnected();
        match outcome {
            Ok(()) => tracing::debug!(socket = %self.path.display(), "frontend gone"),
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(socket = %self.path.display(), %error, source, "frontend dropped");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.listener.is_some() {
            // Nothing is lost when this fails: a stale socket is replaced by the next `bind`.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn converse(stream: &UnixStream, session: &mut Session<'_>, stop: &EventFd) -> Result<(), SessionError> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(SEND_TIMEOUT))?;
    stream.set_read_timeout(Some(SEND_TIMEOUT))?;
    while wait(Some(stream.as_raw_fd()), stop, None)? != Woken::Stopped {
        let Some(message) = socket::receive(stream)? else { return Ok(()) };
        if let Some((header, payload)) = session.handle(message)? {
            socket::send(stream, header, &payload, &[])?;
        }
    }
    Ok(())
}

/// Connects without waiting: a frontend whose queue of connections is full is tried again later.
fn connect(path: &Path) -> io::Result<UnixStream> {
    // SAFETY: all zeroes is a valid address, and ends its path with a zero byte.
    let mut address: libc::sockaddr_un = unsafe { MaybeUninit::zeroed().assume_init() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= address.sun_path.len() {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    // SAFETY: no memory is passed; the result is checked.
    let socket = unsafe {
        libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0)
    };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let size = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: an address of the size that is said.
    let result = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(socket.into()) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Readable,
    Stopped,
    Late,
}

/// Waits until `socket` can be read, `stop` was notified, or `limit` has passed.
fn wait(socket: Option<RawFd>, stop: &EventFd, limit: Option<Duration>) -> io::Result<Woken> {
    // poll(2) ignores negative descriptors, and takes a negative limit for none.
    let mut polled = [socket.unwrap_or(-1), stop.as_fd().as_raw_fd()].map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    let limit_ms = limit.map_or(-1, |limit| limit.as_millis() as i32);
    loop {
        // SAFETY: two valid pollfds.
        let ready = unsafe { libc::poll(polled.as_mut_ptr(), 2, limit_ms) };
        if ready >= 0 {
            return Ok(match (polled[1].revents, ready) {
                (0, 0) => Woken::Late,
                (0, _) => Woken::Readable,
                _ => Woken::Stopped,
            });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
