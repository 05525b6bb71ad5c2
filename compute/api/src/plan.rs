//! What a host should run.

use serde::{Deserialize, Serialize};
use updraft_base::{DiskId, HostId, ImageId, PortId, ServerId};
use updraft_dataplane_api::net::NetConfig;

use crate::metadata::ServerMetadata;

/// Everything that should be on one host. What is not named here should not be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostPlan {
    pub host_id: HostId,
    /// Grows with every change of the plan.
    pub generation: u64,
    pub servers: Vec<ServerPlan>,
    /// The host's network. The agent fills in what only the host knows: each port's `socket_path`, which arrives
    /// empty. `network.generation` equals the plan's.
    pub network: NetConfig,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerPlan {
    pub id: ServerId,
    pub power: PowerPlan,
    pub vcpus: u16,
    pub memory_mib: u32,
    pub root_disk: RootDisk,
    /// In the order of the guest's network cards; their configuration is in [`HostPlan::network`].
    pub port_ids: Vec<PortId>,
    /// True when the guest gets a config drive (label `config-2`) beside the metadata service.
    pub config_drive: bool,
    pub metadata: ServerMetadata,
}

/// Whether the server should run.
///
/// `epoch` grows with every start and every hard reboot. A host starts the guest once for each epoch: a guest that
/// powers itself off stays off until the epoch grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerPlan {
    pub desired: Power,
    pub epoch: u64,
    /// Grows with every soft reboot: the guest is asked to shut down by ACPI and started again; when it has not
    /// obeyed after [`PowerPlan::SHUTDOWN_TIMEOUT_S`], it is reset.
    pub soft_reboot_epoch: u64,
}

impl PowerPlan {
    /// How long a guest may take to obey the ACPI power button before it is switched off, in seconds.
    pub const SHUTDOWN_TIMEOUT_S: u64 = 60;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    On,
    /// By the ACPI power button, then by force.
    Off,
}

/// A disk cloned from an image without copying it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootDisk {
    pub id: DiskId,
    pub image: ImageSource,
    /// The disk's size; at least the image's virtual size.
    pub size_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    pub id: ImageId,
    pub format: ImageFormat,
    /// Length of the image file.
    pub size_bytes: u64,
    /// SHA-512 of the image file, in hexadecimal; checked before use.
    pub sha512: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    Raw,
    Qcow2,
}
