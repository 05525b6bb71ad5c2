//! What the operator does to a host whose agent does not run: end its guests (`stop-guests`), or remove everything
//! that the agent ever made there (`purge`).

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use tokio::task::JoinSet;
use updraft_base::ServerId;

use crate::blkd;
use crate::config::Config;
use crate::host::cgroup::Cgroups;
use crate::host::process::{Process, ProcessError};
use crate::layout::{Layout, ids_in, remove};
use crate::qemu::machine::Machine;

/// Why a host was not brought to rest.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error("the agent still runs on {0}: stop it first")]
    AgentRuns(std::net::SocketAddr),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("a step did not end: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Asks all guests to shut down, switches off those that do not within `patience`, and ends their block daemons.
/// How many ran.
///
/// # Errors
/// The agent runs, or a process cannot be ended.
pub async fn stop_guests(config: &Config, patience: Duration) -> Result<usize, OfflineError> {
    require_no_agent(config)?;
    let layout = Layout::new(&config.state_dir, &config.run_dir);
    let mut tasks = JoinSet::new();
    for id in ids_in::<ServerId>(&layout.servers_dir()) {
        tasks.spawn(stop_guest(layout.clone(), id, patience));
    }
    let mut count = 0;
    while let Some(ran) = tasks.join_next().await {
        count += usize::from(ran??);
    }
    Ok(count)
}

async fn stop_guest(layout: Layout, id: ServerId, patience: Duration) -> Result<bool, ProcessError> {
    let machine = Machine::adopt(&layout.qemu_process(id), &layout.qmp_socket(id)).await?;
    let ran = machine.is_some();
    if let Some(mut machine) = machine {
        if machine.command("system_powerdown").await.is_ok() {
            let _ = tokio::time::timeout(patience, machine.process.ended()).await;
        }
        machine.force_off().await?;
    }
    if let Some(mut process) = Process::find(&layout.blkd_process(id))? {
        blkd::stop(&mut process).await?;
    }
    Ok(ran)
}

/// Ends all guests at once and removes their disks, the images, the records, the sockets and the cgroups.
///
/// # Errors
/// The agent runs, a process cannot be ended, or something cannot be removed.
pub async fn purge(config: &Config) -> Result<(), OfflineError> {
    stop_guests(config, Duration::ZERO).await?;
    let layout = Layout::new(&config.state_dir, &config.run_dir);
    let io = |what| move |source| OfflineError::Io { what, source };
    if config.state_dir.exists() {
        let host = layout.host_id(config.host_id).map_err(io("the host's id"))?;
        let (cgroups, _) = Cgroups::open(config.cgroup_parent.as_deref(), host);
        for id in cgroups.servers() {
            cgroups.remove(id).await.map_err(io("a cgroup"))?;
        }
        cgroups.remove_root_if_empty();
    }
    let run_dirs: BTreeSet<ServerId> = ids_in(layout.run_dir()).into_iter().collect();
    for id in run_dirs {
        remove(&layout.server_run_dir(id)).map_err(io("the sockets"))?;
    }
    for path in [layout.ports_dir(), config.metadata_socket.clone(), config.state_dir.clone()] {
        remove(&path).map_err(io("the state"))?;
    }
    // Others may have their sockets in the run folder too.
    let _ = std::fs::remove_dir(&config.run_dir);
    Ok(())
}

fn require_no_agent(config: &Config) -> Result<(), OfflineError> {
    match std::net::TcpStream::connect_timeout(&config.listen, Duration::from_secs(1)) {
        Ok(_) => Err(OfflineError::AgentRuns(config.listen)),
        Err(_) => Ok(()),
    }
}
