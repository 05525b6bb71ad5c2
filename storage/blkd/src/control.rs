//! The control socket: the agent's configuration and questions, one connection at a time.

use std::fs;
use std::io::{self, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use updraft_dataplane_api::blk::{BlkRequest, BlkResponse};
use updraft_dataplane_api::socket::{read_document, write_document};

use crate::daemon::Daemon;

/// A client that is silent for so long, or takes no answer, is dropped: the next one is waiting.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after a failed accept (no descriptors left), so that it cannot become a spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Only the user that runs the daemon may change its disks.
const SOCKET_MODE: u32 = 0o600;

/// The listening socket; gone when this is dropped. Its thread ends with the process.
pub struct Control {
    path: PathBuf,
}

impl Control {
    /// Listens at `path`, in place of what a killed predecessor left there.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn start(path: &Path, daemon: Arc<Daemon>) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
        thread::Builder::new().name("control".into()).spawn(move || accept(&listener, &daemon))?;
        Ok(Self { path: path.to_path_buf() })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // A stale socket is replaced by the successor.
        let _ = fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, daemon: &Daemon) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                if let Err(error) = converse(&stream, daemon) {
                    tracing::warn!(%error, "control connection dropped");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

fn converse(stream: &UnixStream, daemon: &Daemon) -> io::Result<()> {
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_document(&mut reader)? {
        write_document(&mut &*stream, &answer(request, daemon))?;
    }
    Ok(())
}

fn answer(request: BlkRequest, daemon: &Daemon) -> BlkResponse {
    match request {
        BlkRequest::Status => BlkResponse::Status { status: daemon.status() },
        BlkRequest::Apply { config } => match daemon.apply(config) {
            Ok(()) => BlkResponse::Applied,
            Err(error) => {
                tracing::warn!(%error, "configuration refused");
                BlkResponse::Refused { reason: error.to_string() }
            }
        },
    }
}
