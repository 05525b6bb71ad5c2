//! The agent as a whole: what all parts share ([`Host`]), and the loops that run for ever ([`Agent`]).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use updraft_base::{HostId, PortId};
use updraft_compute_api::plan::HostPlan;

use crate::board::Board;
use crate::config::{Config, ConfigError, Credentials};
use crate::controller::{Controller, ControllerError};
use crate::host::cgroup::Cgroups;
use crate::http::tls::{TlsError, TlsListener};
use crate::images::Images;
use crate::layout::{Layout, create_private_dir, write_durably};
use crate::metadata::service::PlanWatch;
use crate::netd::NetState;
use crate::qemu::probe::{Probed, probe};
use crate::{http, metadata, netd, observe, plan, supervisor};

/// What every part of the agent may read.
#[derive(Debug)]
pub struct Host {
    pub id: HostId,
    pub config: Config,
    pub credentials: Credentials,
    pub layout: Layout,
    pub images: Images,
    pub cgroups: Cgroups,
    pub probed: Probed,
    /// The agent's own program, by which others are started.
    pub jail_binary: PathBuf,
    pub board: Board,
    pub plan: PlanWatch,
    pub net: watch::Receiver<NetState>,
}

impl Host {
    /// True when netd has taken all of these ports.
    pub fn serves_ports(&self, ports: &[PortId]) -> bool {
        let net = self.net.borrow();
        ports.iter().all(|port| net.applied_ports.contains(port))
    }
}

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
}

/// A running agent. Dropping it stops every loop and touches no guest.
#[derive(Debug)]
pub struct Agent {
    pub host: Arc<Host>,
    loops: JoinSet<()>,
}

impl Agent {
    /// Starts everything. `jail_binary` is the agent's own program (see [`jail`](crate::host::jail)).
    ///
    /// # Errors
    /// The configuration is of no use, a folder cannot be made, or an address is taken.
    pub async fn start(config: Config, jail_binary: PathBuf) -> Result<Self, AgentError> {
        let layout = Layout::new(&config.state_dir, &config.run_dir);
        layout.create().map_err(io(&config.state_dir.display()))?;
        if let Some(dir) = config.metadata_socket.parent() {
            create_private_dir(dir).map_err(io(&dir.display()))?;
        }
        let id = layout.host_id(config.host_id).map_err(io(&"host id"))?;
        let authority = config.authority()?;
        let credentials = credentials(&config, authority.as_deref()).await?;
        let controller =
            Controller::new(&config.controller_url, authority.as_deref(), credentials.own.clone())?;
        let (cgroups, without) = Cgroups::open(config.cgroup_parent.as_deref(), id);
        if let Some(reason) = without {
            tracing::warn!("guests get no cgroups of their own: {reason}");
        }
        let probed = probe(&config.qemu_binary, config.accelerator, layout.state_dir()).await;
        tracing::info!(version = probed.version, accelerator = ?probed.accelerator, "{}", probed.reason);
        let stored = plan::load(&layout.plan_file(), id).map_err(io(&layout.plan_file().display()))?;
        let (plan_sender, plan) = watch::channel(stored.map(Arc::new));
        let (net_sender, net) = watch::channel(NetState::default());
        let (confirmed_sender, confirmed) = watch::channel(false);
        let images = Images::new(layout.clone(), controller.clone(), config.disk_reserve_gib);
        let board = Board::default();
        let host = Arc::new(Host {
            id,
            config,
            credentials,
            layout,
            images,
            cgroups,
            probed,
            jail_binary,
            board,
            plan,
            net,
        });
        let listen = host.config.listen;
        let listener = TcpListener::bind(listen).await.map_err(io(&listen))?;
        let mut loops = JoinSet::new();
        loops.spawn(plan::pull(controller.clone(), Arc::clone(&host), plan_sender, confirmed_sender));
        loops.spawn(observe::push(controller, Arc::clone(&host)));
        let (netd_socket, layout) = (host.config.netd_socket.clone(), host.layout.clone());
        loops.spawn(netd::keep(netd_socket, layout, host.plan.clone(), net_sender));
        loops.spawn(supervisor::run(Arc::clone(&host), confirmed.clone()));
        loops.spawn(supervisor::keep_house(Arc::clone(&host), confirmed));
        loops.spawn(serve_metadata(Arc::clone(&host)));
        match host.config.tls.clone() {
            Some(files) => loops.spawn(http::serve(TlsListener::new(listener, &files)?, Arc::clone(&host))),
            None => loops.spawn(http::serve(listener, Arc::clone(&host))),
        };
        Ok(Self { host, loops })
    }

    /// Runs until a loop ends, which none does of its own will.
    pub async fn run(mut self) {
        if let Some(Err(error)) = self.loops.join_next().await {
            tracing::error!(%error, "a part of the agent has died");
        }
    }
}

/// This host's credentials; got from the controller at the first start, where the operator let the host enrol.
async fn credentials(config: &Config, authority: Option<&[u8]>) -> Result<Credentials, AgentError> {
    let Some(secret) = config.enrolment()? else { return Ok(config.credentials()?) };
    let given = crate::controller::enrol(&config.controller_url, authority, secret).await?;
    keep(&config.credential_file, &given)?;
    tracing::info!("this host has enrolled");
    Ok(given)
}

/// Has the controller replace this host's credential. A running agent shows the old one, which is good for ten more
/// minutes, until it is started again.
///
/// # Errors
/// The controller refuses, or the new credential cannot be written.
pub async fn rotate_credential(config: &Config) -> Result<(), AgentError> {
    let authority = config.authority()?;
    let own = config.credentials()?.own;
    let given = Controller::new(&config.controller_url, authority.as_deref(), own)?.rotate().await?;
    keep(&config.credential_file, &given)
}

fn keep(file: &std::path::Path, given: &Credentials) -> Result<(), AgentError> {
    let text = format!("{}\n{}\n", given.own, given.controllers);
    write_durably(file, text.as_bytes()).map_err(io(&file.display()))
}

/// Serves the guests' metadata; without its socket all else goes on, and the socket is tried again.
async fn serve_metadata(host: Arc<Host>) {
    const RETRY_PERIOD: Duration = Duration::from_secs(5);
    loop {
        if let Err(error) = metadata::service::serve(&host.config.metadata_socket, host.plan.clone()).await {
            tracing::error!(%error, socket = %host.config.metadata_socket.display(), "no metadata service");
        }
        tokio::time::sleep(RETRY_PERIOD).await;
    }
}

fn io(what: &dyn std::fmt::Display) -> impl FnOnce(std::io::Error) -> AgentError + use<> {
    let what = what.to_string();
    move |source| AgentError::Io { what, source }
}

/// The plan's part for one server: what its cards are, but for their sockets.
pub fn network_cards(plan: &HostPlan, ports: &[PortId]) -> Result<Vec<crate::qemu::argv::NicSpec>, PortId> {
    let network = &plan.network;
    ports
        .iter()
        .map(|id| {
            let port = network.ports.iter().find(|port| port.id == *id).ok_or(*id)?;
            let network = network.networks.iter().find(|network| network.id == port.network_id).ok_or(*id)?;
            Ok(crate::qemu::argv::NicSpec {
                socket: PathBuf::new(),
                mac: port.mac,
                queue_pairs: port.queue_pairs,
                mtu: network.mtu,
            })
        })
        .collect()
}
