//! The control socket: the agent tells the desired network and asks what is.

use std::io::{self, BufReader};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use updraft_dataplane_api::net::{NetRequest, NetResponse};
use updraft_dataplane_api::socket::{read_document, write_document};
use updraft_net::Network;

use crate::saved;

/// Connections at a time. Further ones are closed at once.
const MAX_CONNECTIONS: usize = 32;
/// A peer that takes so long for one document is dropped.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

struct Shared {
    network: Arc<Mutex<Network>>,
    state_dir: PathBuf,
    connections: AtomicUsize,
    stopping: AtomicBool,
}

/// The listening socket. Dropping it stops listening; the file is removed.
pub struct Control {
    path: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Control {
    /// Listens at `path`, for this user only, in place of what a killed predecessor left there.
    ///
    /// # Errors
    /// The folder is missing, or something that is no socket is in the way.
    pub fn start(path: &Path, state_dir: PathBuf, network: Arc<Mutex<Network>>) -> io::Result<Self> {
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let stopping = AtomicBool::new(false);
        let shared = Arc::new(Shared { network, state_dir, connections: AtomicUsize::new(0), stopping });
        let serving = Arc::clone(&shared);
        let acceptor =
            thread::Builder::new().name("netd-control".into()).spawn(move || accept(&listener, &serving))?;
        Ok(Self { path: path.to_owned(), shared, acceptor: Some(acceptor) })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor; when nobody listens any more there is nothing to wake.
        let _ = UnixStream::connect(&self.path);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok((stream, _)) = accepted else {
            thread::sleep(ACCEPT_PAUSE);
            continue;
        };
        if shared.connections.fetch_add(1, Ordering::SeqCst) >= MAX_CONNECTIONS {
            shared.connections.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let of_connection = Arc::clone(shared);
        let spawned = thread::Builder::new().name("netd-request".into()).spawn(move || {
            if let Err(error) = serve(&stream, &of_connection) {
                tracing::debug!(%error, "control connection dropped");
            }
            of_connection.connections.fetch_sub(1, Ordering::SeqCst);
        });
        if spawned.is_err() {
            shared.connections.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn serve(stream: &UnixStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PEER_TIMEOUT))?;
    stream.set_write_timeout(Some(PEER_TIMEOUT))?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_document::<NetRequest>(&mut reader)? {
        write_document(&mut &*stream, &shared.answer(&request))?;
    }
    Ok(())
}

impl Shared {
    fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &NetRequest) -> NetResponse {
        match request {
            NetRequest::Status => NetResponse::Status { status: self.network().status() },
            NetRequest::Apply { config } => {
                let mut network = self.network();
                let outcome = network.apply(config);
                if network.generation() == config.generation
                    && let Err(error) = saved::save(&self.state_dir, config)
                {
                    // In force all the same; only a restart would not know it.
                    tracing::error!(%error, "the configuration cannot be saved");
                }
                match outcome {
                    Ok(generation) => NetResponse::Applied { generation },
                    Err(error) => NetResponse::Refused { reason: with_sources(&error) },
                }
            }
        }
    }
}

/// An error with all that caused it, in one line.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Transparent errors say the same as their source.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
