//! One served port: its socket and the thread that talks with QEMU.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use updraft_dataplane_api::{SocketRole, net};
use updraft_flow::PortIndex;
use updraft_vhost::{EventFd, Server};

use super::NetworkError;
use crate::port::{Port, PortDevice};
use crate::worker::WorkerHandle;

/// See the module's text. Dropping it stops the port's queues and closes its socket.
pub(super) struct ServedPort {
    pub port: Arc<Port>,
    path: PathBuf,
    role: SocketRole,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl ServedPort {
    pub fn start(
        config: &net::Port,
        index: PortIndex,
        workers: &Arc<[WorkerHandle]>,
    ) -> Result<Self, NetworkError> {
        let fail =
            |source| NetworkError::Listen { port: config.id, path: config.socket_path.clone(), source };
        let port = Arc::new(Port::new(config.id, index, config.mac, usize::from(config.queue_pairs)));
        let server = match config.socket_role {
            SocketRole::Listens => Server::bind(&config.socket_path).map_err(fail)?,
            SocketRole::Connects => Server::dial(&config.socket_path),
        };
        let stop = Arc::new(EventFd::new().map_err(fail)?);
        let mut device = PortDevice::new(Arc::clone(&port), Arc::clone(workers));
        let (signal, id) = (Arc::clone(&stop), config.id);
        let thread = thread::Builder::new().name("netd-port".into()).spawn(move || {
            if let Err(error) = server.run(&mut device, &signal) {
                tracing::error!(port = %id, %error, "the port's socket failed");
            }
        });
        let thread = Some(thread.map_err(fail)?);
        Ok(Self { port, path: config.socket_path.clone(), role: config.socket_role, stop, thread })
    }

    /// Can it go on as it is under this configuration?
    pub fn fits(&self, config: &net::Port, index: Option<PortIndex>) -> bool {
        index == Some(self.port.index)
            && config.socket_path == self.path
            && config.socket_role == self.role
            && config.mac == self.port.mac
            && usize::from(config.queue_pairs) == self.port.queue_pairs()
    }
}

impl Drop for ServedPort {
    fn drop(&mut self) {
        self.stop.notify();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
