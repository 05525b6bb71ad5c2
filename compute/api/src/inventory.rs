//! What an agent finds on its host by looking, not by remembering: the answer of
//! [`path::INVENTORY`](crate::path::INVENTORY). `updraft doctor` compares it with what the controller intends.

use serde::{Deserialize, Serialize};
use updraft_base::{HostId, ImageId, PortId, ServerId};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostInventory {
    pub host_id: HostId,
    /// The generation of the plan that the agent works on; `None` before it has ever had one.
    pub plan_generation: Option<u64>,
    /// Every server of which anything at all was found, planned or not.
    pub servers: Vec<ServerInventory>,
    /// Images whose base layer is kept here.
    pub images: Vec<ImageId>,
    /// Ports that have a socket in the agent's run folder.
    pub port_sockets: Vec<PortId>,
    /// What is here without being planned, one line each, in plain words. Empty when all is well. A server that is
    /// being removed is named until it is gone.
    pub leaks: Vec<String>,
}

/// What belongs to one server. Paths are those of the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerInventory {
    pub id: ServerId,
    pub planned: bool,
    pub qemu_pid: Option<u32>,
    pub blkd_pid: Option<u32>,
    /// The files in the server's state folder, root disk among them.
    pub files: Vec<String>,
    pub sockets: Vec<String>,
    pub cgroup: Option<String>,
}
