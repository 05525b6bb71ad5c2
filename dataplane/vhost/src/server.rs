//! The listening socket: one frontend at a time, for ever.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::device::Device;
use crate::error::SessionError;
use crate::event::EventFd;
use crate::session::Session;
use crate::socket;

/// A frontend that does not take our answers for so long is dropped.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after a failed accept (no descriptors left), so that it cannot become a spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A unix socket that frontends connect to. The file is removed on drop.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
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
        Ok(Self { listener, path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves one frontend after the other until `stop` is notified. All queues are stopped on return.
    ///
    /// # Errors
    /// The listening socket itself fails. What goes wrong on a connection is logged and ends that connection only.
    pub fn run(&self, device: &mut dyn Device, stop: &EventFd) -> io::Result<()> {
        while wait(self.listener.as_raw_fd(), stop)? {
            match self.listener.accept() {
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
        // Nothing is lost when this fails: a stale socket is replaced by the next `bind`.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn converse(stream: &UnixStream, session: &mut Session<'_>, stop: &EventFd) -> Result<(), SessionError> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(SEND_TIMEOUT))?;
    stream.set_read_timeout(Some(SEND_TIMEOUT))?;
    while wait(stream.as_raw_fd(), stop)? {
        let Some(message) = socket::receive(stream)? else { return Ok(()) };
        if let Some((header, payload)) = session.handle(message)? {
            socket::send(stream, header, &payload, &[])?;
        }
    }
    Ok(())
}

/// Waits until `socket` can be read; false when `stop` was notified.
fn wait(socket: RawFd, stop: &EventFd) -> io::Result<bool> {
    let mut polled =
        [socket, stop.as_fd().as_raw_fd()].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    loop {
        // SAFETY: two valid pollfds.
        let ready = unsafe { libc::poll(polled.as_mut_ptr(), 2, -1) };
        if ready >= 0 {
            return Ok(polled[1].revents == 0);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
