//! blkd: the disks of one server, and what blkd reports.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use updraft_base::DiskId;

use crate::SocketRole;

/// One request on blkd's control socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum BlkRequest {
    /// Serve these disks: new ones are opened, missing ones closed, known ones left alone.
    Apply {
        config: BlkConfig,
    },
    Status,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "response")]
pub enum BlkResponse {
    Applied,
    Status {
        status: BlkStatus,
    },
    /// Nothing was changed; the reason names the disk and the limit.
    Refused {
        reason: String,
    },
}

/// All disks that one blkd serves. Also the content of the file that it is started with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlkConfig {
    pub disks: Vec<Disk>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    pub id: DiskId,
    /// The volume (its top layer), as `updraft-volume` made it; or, with `raw`, a plain file.
    pub path: PathBuf,
    /// True when `path` is a plain raw file or device without layers (config drives, benches).
    #[serde(default)]
    pub raw: bool,
    /// Where blkd and QEMU meet.
    pub socket_path: PathBuf,
    #[serde(default)]
    pub socket_role: SocketRole,
    pub read_only: bool,
    /// Request queues, 1 to 16.
    pub queues: u16,
    /// Answered to VIRTIO_BLK_T_GET_ID: at most 20 bytes of ASCII.
    pub serial: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlkStatus {
    pub pid: u32,
    pub uptime_s: u64,
    pub disks: Vec<DiskStatus>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskStatus {
    pub id: DiskId,
    /// True when a guest's rings are running.
    pub connected: bool,
    pub size_bytes: u64,
    pub reads: u64,
    pub writes: u64,
    pub flushes: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub errors: u64,
}
