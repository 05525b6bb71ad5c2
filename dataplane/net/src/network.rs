//! The whole: threads, ports and uplink of this host, and the configuration in force.

mod serve;
mod status;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use arc_swap::ArcSwap;
use updraft_base::PortId;
use updraft_dataplane_api::net::NetConfig;
use updraft_flow::PortIndex;
use updraft_xdp::{TableMemory, Uplink, xsk};

use crate::plane::{LocalDrops, Plane, PortTable, UplinkPlane};
use crate::program;
use crate::respond::state::ResponderState;
use crate::respond::{Inbox, ResponderConfig, Responders};
use crate::worker::WorkerHandle;
use serve::ServedPort;

/// Workers; each may have a core of its own.
pub const MAX_WORKERS: usize = 16;

/// How a [`Network`] is started.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// `None`: local ports only.
    pub uplink: Option<UplinkSettings>,
    pub responders: ResponderConfig,
    /// 1 to [`MAX_WORKERS`].
    pub workers: usize,
}

/// The external interface.
#[derive(Clone, Debug)]
pub struct UplinkSettings {
    pub interface: String,
    /// Where the interface's network namespace is mounted; `None`: this one.
    pub netns: Option<PathBuf>,
    /// Receive queues of the interface.
    pub queues: u32,
    /// The directory in bpffs that keeps tables and program over restarts.
    pub bpffs_dir: PathBuf,
}

/// Why a network cannot be started, or a configuration not be put in force.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("{workers} workers (1 to {MAX_WORKERS} are possible)")]
    Workers { workers: usize },
    #[error("cannot {action}")]
    System { action: &'static str, source: io::Error },
    #[error("the flow tables or the XDP program")]
    Xdp(#[from] updraft_xdp::Error),
    #[error(transparent)]
    Socket(#[from] xsk::XskError),
    #[error(transparent)]
    TooMany(#[from] program::TooMany),
    #[error("port {port} cannot listen at {path}", path = path.display())]
    Listen { port: PortId, path: PathBuf, source: io::Error },
    #[error("port {port} wants {queue_pairs} queue pairs (1 to {limit} are possible)", limit = crate::port::MAX_QUEUE_PAIRS)]
    QueuePairs { port: PortId, queue_pairs: u16 },
}

/// The uplink as it is configured, with the program that serves it.
struct AttachedUplink {
    settings: UplinkSettings,
    program: Uplink,
}

/// See the module's text. Dropping it stops all threads; the XDP program stays on the interface.
pub struct Network {
    plane: Arc<Plane>,
    uplink: Option<AttachedUplink>,
    state: Arc<ArcSwap<ResponderState>>,
    /// Declared before the workers: ports are stopped first, and stopping needs the workers.
    ports: HashMap<PortId, ServedPort>,
    workers: Arc<[WorkerHandle]>,
    responders: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    generation: u64,
    started: Instant,
}

fn system(action: &'static str) -> impl FnOnce(io::Error) -> NetworkError {
    move |source| NetworkError::System { action, source }
}

impl Network {
    /// Opens the tables and the uplink and starts the threads. Flows and policy of a predecessor are in force at once;
    /// ports are served from the first [`Network::apply`] on.
    ///
    /// # Errors
    /// The kernel refuses the XDP program, a socket, a thread.
    pub fn start(settings: NetworkSettings) -> Result<Self, NetworkError> {
        let NetworkSettings { uplink, responders: responder_config, workers } = settings;
        if workers == 0 || workers > MAX_WORKERS {
            return Err(NetworkError::Workers { workers });
        }
        let (tables, uplink, receivers, senders) = match uplink {
            None => (Arc::new(TableMemory::anonymous()?), None, Vec::new(), None),
            Some(settings) => {
                let (attached, receivers, senders) = open_uplink(settings)?;
                (Arc::clone(attached.program.tables()), Some(attached), receivers, Some(senders))
            }
        };
        let (inbox, outbox) = Inbox::new().map_err(system("make the responders' inbox"))?;
        let plane = Arc::new(Plane {
            tables,
            flows: 0.into(),
            ports: ArcSwap::default(),
            uplink: senders,
            drops: LocalDrops::default(),
            inbox,
        });
        let handles = spawn_workers(&plane, workers, receivers)?;
        let state = Arc::new(ArcSwap::from_pointee(ResponderState::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, known, ended) = (Arc::clone(&plane), Arc::clone(&state), Arc::clone(&stop));
        let responders = thread::Builder::new().name("netd-responders".into()).spawn(move || {
            let _guard = crate::worker::AbortOnPanic;
            match Responders::new(&shared, workers, outbox, responder_config) {
                Ok(responders) => responders.run(&known, &ended),
                Err(error) => tracing::error!(%error, "no responders"),
            }
        });
        let responders = Some(responders.map_err(system("start the responders"))?);
        let (ports, started) = (HashMap::new(), Instant::now());
        Ok(Self { plane, uplink, state, ports, workers: handles, responders, stop, generation: 0, started })
    }

    /// The generation in force.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Puts a configuration in force; what it does not mention any more is gone. A generation lower than the one in
    /// force is ignored. Answers the generation in force.
    ///
    /// # Errors
    /// The configuration breaks a limit (nothing was changed), or a port cannot listen (the rest is in force).
    pub fn apply(&mut self, config: &NetConfig) -> Result<u64, NetworkError> {
        if config.generation < self.generation {
            return Ok(self.generation);
        }
        for port in &config.ports {
            if !(1..=crate::port::MAX_QUEUE_PAIRS).contains(&usize::from(port.queue_pairs)) {
                return Err(NetworkError::QueuePairs { port: port.id, queue_pairs: port.queue_pairs });
            }
        }
        // Policy first: a port that begins to be served finds its rules there.
        let program::Applied { ports: indexes, ignored, .. } =
            program::apply(&self.plane.view(self.workers.len()), config)?;
        for reason in ignored {
            tracing::warn!(generation = config.generation, reason, "part of the configuration is ignored");
        }
        if config.generation > self.generation
            && let Err(error) = self.attach_uplink()
        {
            // Local ports go on; status says that the uplink does not.
            tracing::error!(%error, "the XDP program is not on the uplink");
        }
        self.stop_ports(config, &indexes);
        let served = self.serve_ports(config, &indexes);
        self.state.store(Arc::new(ResponderState::new(config, &indexes)));
        self.plane.inbox.wake();
        self.generation = config.generation;
        served.map(|()| self.generation)
    }

    /// Attaches the program where it is not: taken off by someone else, it comes back with the next configuration.
    fn attach_uplink(&mut self) -> Result<(), NetworkError> {
        let Some(uplink) = &mut self.uplink else { return Ok(()) };
        if updraft_xdp::attachment(&uplink.settings.bpffs_dir)?.is_none() {
            let netns = open_netns(&uplink.settings)?;
            uplink.program.attach(netns.as_ref().map(AsFd::as_fd), &uplink.settings.interface)?;
        }
        Ok(())
    }

    /// Stops the ports that are gone or changed.
    fn stop_ports(&mut self, config: &NetConfig, indexes: &BTreeMap<PortId, PortIndex>) {
        let wanted: HashMap<PortId, _> = config.ports.iter().map(|port| (port.id, port)).collect();
        self.ports.retain(|id, served| {
            wanted.get(id).is_some_and(|port| served.fits(port, indexes.get(id).copied()))
        });
    }

    fn serve_ports(
        &mut self,
        config: &NetConfig,
        indexes: &BTreeMap<PortId, PortIndex>,
    ) -> Result<(), NetworkError> {
        let mut failed = Ok(());
        for port in &config.ports {
            let Some(index) = indexes.get(&port.id) else { continue };
            if !self.ports.contains_key(&port.id) {
                match ServedPort::start(port, *index, &self.workers) {
                    Ok(served) => drop(self.ports.insert(port.id, served)),
                    Err(error) => failed = Err(error),
                }
            }
        }
        let mut table = PortTable::default();
        for served in self.ports.values() {
            let place = served.port.index.0 as usize;
            if table.0.len() <= place {
                table.0.resize(place + 1, None);
            }
            table.0[place] = Some(Arc::clone(&served.port));
        }
        self.plane.ports.store(Arc::new(table));
        failed
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.ports.clear();
        self.stop.store(true, Ordering::Relaxed);
        self.plane.inbox.wake();
        if let Some(responders) = self.responders.take() {
            let _ = responders.join();
        }
    }
}

fn open_netns(settings: &UplinkSettings) -> Result<Option<std::os::fd::OwnedFd>, NetworkError> {
    let netns = settings.netns.as_deref().map(xsk::open_namespace).transpose();
    netns.map_err(system("open the uplink's network namespace"))
}

fn open_uplink(
    settings: UplinkSettings,
) -> Result<(AttachedUplink, Vec<xsk::Receiver>, UplinkPlane), NetworkError> {
    let netns = open_netns(&settings)?;
    let netns = netns.as_ref().map(AsFd::as_fd);
    let mut program = Uplink::open(&settings.bpffs_dir)?;
    program.attach(netns, &settings.interface)?;
    let (mut receivers, mut senders) = (Vec::new(), Vec::new());
    for queue in 0..settings.queues.max(1) {
        let (receiver, sender) = xsk::open(netns, &settings.interface, queue)?;
        program.register_socket(queue, std::os::fd::AsRawFd::as_raw_fd(&receiver.as_fd()))?;
        receivers.push(receiver);
        senders.push(Mutex::new(sender));
    }
    let plane = UplinkPlane { senders, tx_packets: 0.into(), rx_packets: 0.into() };
    Ok((AttachedUplink { settings, program }, receivers, plane))
}

fn spawn_workers(
    plane: &Arc<Plane>,
    count: usize,
    receivers: Vec<xsk::Receiver>,
) -> Result<Arc<[WorkerHandle]>, NetworkError> {
    let mut receivers = Some(receivers);
    let workers = (0..count).map(|number| {
        // The first worker reads the uplink.
        WorkerHandle::spawn(number, Arc::clone(plane), receivers.take().unwrap_or_default())
    });
    workers.collect::<io::Result<Vec<_>>>().map(Into::into).map_err(system("start a worker"))
}
