//! What a host observes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use updraft_base::{HostId, PortId, ServerId};

/// The whole of what one host observes, pushed at each change and at least every ten seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostObserved {
    pub host_id: HostId,
    pub hostname: String,
    /// The newest plan that the agent has seen. Older pushes are ignored by the controller only where they speak
    /// of a server that they could not know.
    pub plan_generation: u64,
    /// Where the agent answers the controller, such as `http://127.0.0.1:8701`.
    pub agent_url: String,
    /// `kvm` or `tcg`, probed by running a guest instruction, and why.
    pub accelerator: String,
    pub accelerator_reason: String,
    pub hypervisor_version: String,
    pub capacity: Capacity,
    /// Every server that has anything on this host: a process, a disk, or a planned entry.
    pub servers: Vec<ServerObserved>,
    /// Port → true when the virtual machine is plugged into it.
    pub ports: BTreeMap<PortId, bool>,
    /// What is wrong on the host itself (no QEMU, netd silent, disk full), in plain words. Empty when all is well.
    pub problems: Vec<String>,
}

/// What the host has in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    pub vcpus: u32,
    pub memory_mib: u64,
    pub disk_gib: u64,
    pub disk_free_gib: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerObserved {
    pub id: ServerId,
    pub state: ServerState,
    /// The epochs ([`PowerPlan`](crate::plan::PowerPlan)) that the host has carried out.
    pub epoch: u64,
    pub soft_reboot_epoch: u64,
    /// Microseconds since 1970 at which the present QEMU process started.
    pub started_at_us: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ServerState {
    /// On its way: image, disk, ports, process. `step` is for people.
    Preparing { step: String },
    /// The process runs and the guest's CPUs go.
    Running,
    /// No process; the disk is kept. Also after the guest powered itself off.
    Stopped,
    /// The agent cannot make it so and keeps trying. `message` is fit for the tenant, `detail` for the log.
    /// `permanent` when trying again cannot help (the image is corrupt, the disk smaller than the image).
    Failed { message: String, detail: String, permanent: bool },
    /// On the host but not in its plan, and being removed.
    Removing,
}
