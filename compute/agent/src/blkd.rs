//! The server's block daemon: started with the list of its disks, found again, asked whether it serves.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_base::{DiskId, ServerId};
use updraft_compute_api::plan::ServerPlan;
use updraft_dataplane_api::SocketRole;
use updraft_dataplane_api::blk::{BlkConfig, BlkRequest, BlkResponse, Disk};
use updraft_dataplane_api::socket;
use uuid::Uuid;

use crate::host::jail::RunDetached;
use crate::host::process::{Process, ProcessError, Start, log_tail};
use crate::layout::{Layout, write_durably};
use crate::record::Epochs;

/// The most queues that a disk gets; each costs blkd a ring.
const MAX_QUEUES: u16 = 4;
/// How long blkd may take from its start until it serves.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_PERIOD: Duration = Duration::from_millis(10);
/// How long blkd may take to write back and end when it is asked to, before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// virtio 1.2, 5.2.6.1: what VIRTIO_BLK_T_GET_ID answers, in bytes.
const SERIAL_BYTES: usize = 20;

/// Why there is no block daemon.
#[derive(Debug, thiserror::Error)]
pub enum BlkdError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("{path}: {source}")]
    Config { path: PathBuf, source: io::Error },
    #[error("blkd ended: {log}")]
    Ended { log: String },
    #[error("blkd does not serve within {} s of its start: {log}", START_TIMEOUT.as_secs())]
    Mute { log: String },
}

/// Queues of the root disk: one for each processor, within reason.
pub fn root_queues(plan: &ServerPlan) -> u16 {
    plan.vcpus.clamp(1, MAX_QUEUES)
}

/// What one server's blkd serves: the root disk, then the config drive.
pub fn configuration(plan: &ServerPlan, layout: &Layout) -> BlkConfig {
    let (server, root) = (plan.id, plan.root_disk.id);
    let mut disks = vec![Disk {
        id: root,
        path: layout.root_disk(server, root),
        raw: false,
        socket_path: layout.root_disk_socket(server),
        socket_role: SocketRole::Connects,
        read_only: false,
        queues: root_queues(plan),
        serial: serial(root),
    }];
    if plan.config_drive {
        let id = config_drive_id(server);
        disks.push(Disk {
            id,
            path: layout.config_drive(server),
            raw: true,
            socket_path: layout.config_drive_socket(server),
            socket_role: SocketRole::Connects,
            read_only: true,
            queues: 1,
            serial: serial(id),
        });
    }
    BlkConfig { disks }
}

/// The first 20 characters of the id, as Nova does: guests find a volume by it in /dev/disk/by-id.
fn serial(id: DiskId) -> String {
    id.to_string().chars().take(SERIAL_BYTES).collect()
}

/// A config drive has no id of its own; the server's with one bit turned is as unique.
fn config_drive_id(server: ServerId) -> DiskId {
    DiskId(Uuid::from_u128(server.0.as_u128() ^ 1))
}

/// Starts the server's blkd and returns when it serves.
///
/// # Errors
/// blkd is missing, refuses its disks, or does not serve in time (then it is killed).
pub async fn start(
    jail_binary: &Path,
    blkd_binary: &Path,
    plan: &ServerPlan,
    layout: &Layout,
    cgroup: Option<PathBuf>,
) -> Result<Process, BlkdError> {
    let (id, config) = (plan.id, layout.blkd_config(plan.id));
    let text = serde_json::to_vec_pretty(&configuration(plan, layout)).map_err(io::Error::other);
    text.and_then(|text| write_durably(&config, &text))
        .map_err(|source| BlkdError::Config { path: config.clone(), source })?;
    let control = layout.blkd_socket(id);
    let command = vec![
        blkd_binary.into(),
        "--config".into(),
        config.into(),
        "--control".into(),
        control.clone().into(),
    ];
    let record = layout.blkd_process(id);
    let Epochs { start: start_epoch, soft_reboot: soft_reboot_epoch } = Epochs::default();
    let file_size_limit_bytes = None;
    let options =
        RunDetached { record, start_epoch, soft_reboot_epoch, cgroup, file_size_limit_bytes, command };
    let log = layout.blkd_log(id);
    let mut process = Process::start(Start { jail_binary, options, log: &log }).await?;
    let deadline = tokio::time::Instant::now() + START_TIMEOUT;
    while !serves(&control, process.identity.pid).await {
        if !process.is_alive() {
            return Err(BlkdError::Ended { log: log_tail(&log) });
        }
        if tokio::time::Instant::now() > deadline {
            process.stop(Duration::ZERO).await?;
            return Err(BlkdError::Mute { log: log_tail(&log) });
        }
        tokio::time::sleep(POLL_PERIOD).await;
    }
    Ok(process)
}

/// Ends the server's blkd.
///
/// # Errors
/// The kernel does not end it.
pub async fn stop(process: &mut Process) -> Result<(), ProcessError> {
    process.stop(STOP_PATIENCE).await
}

async fn serves(control: &Path, pid: u32) -> bool {
    let control = control.to_path_buf();
    let answer = tokio::task::spawn_blocking(move || {
        socket::call::<_, BlkResponse>(&control, &BlkRequest::Status, ANSWER_TIMEOUT)
    })
    .await;
    // Its own answer: a socket may have been left by one before it.
    matches!(answer, Ok(Ok(BlkResponse::Status { status })) if status.pid == pid)
}
