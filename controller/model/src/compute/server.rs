//! Servers: what the tenant asked for, the state they are in, and which action is allowed in it.
//!
//! State names are Nova's (API guide, "Server concepts"); clients and Terraform wait on exactly these.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FlavorSnapshot;
use crate::Timestamp;

/// A tenant's server: intent and last settled state. What a host observes is with the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    pub id: String,
    pub project_id: String,
    pub user_id: String,
    pub name: String,
    pub spec: ServerSpec,
    pub vm_state: VmState,
    /// The task that is under way; no other may start before it ends (deletion may).
    pub task_state: Option<TaskState>,
    pub power_state: PowerState,
    /// Why the server is in ERROR, fit for the tenant.
    pub fault: Option<Fault>,
    pub locked: Option<Lock>,
    /// The host that the server's resources are claimed on.
    pub host_id: Option<String>,
    /// True while the server is in its host's plan.
    pub planned: bool,
    pub power: PowerIntent,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub launched_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    /// Grows with every write of the row, so that a write on top of another's is refused.
    pub revision: i64,
}

/// What the tenant asked for, in the main unchanged for the server's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSpec {
    pub description: Option<String>,
    pub hostname: String,
    pub flavor: FlavorSnapshot,
    pub root_disk: RootDiskSpec,
    pub key_name: Option<String>,
    /// The key as it was when the server was made: the key pair may go.
    pub public_key: Option<String>,
    /// Base64, as it came.
    pub user_data: Option<String>,
    pub config_drive: bool,
    /// Kept until the guest was started the first time.
    pub admin_password: Option<String>,
    pub access_ip_v4: Option<String>,
    pub access_ip_v6: Option<String>,
    pub availability_zone: Option<String>,
    /// A host that an administrator asked for by name.
    pub requested_host: Option<String>,
    pub disk_config: DiskConfig,
    pub metadata: BTreeMap<String, String>,
    pub tags: Vec<String>,
    pub reservation_id: String,
    pub launch_index: u32,
}

/// The root disk: cloned from an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootDiskSpec {
    pub disk_id: String,
    pub image_id: String,
    /// `raw` or `qcow2`.
    pub image_format: String,
    /// Length of the image's file, in bytes.
    pub image_bytes: u64,
    /// Of the image's file, in hexadecimal.
    pub image_sha512: String,
    pub size_bytes: u64,
}

/// What clients may ask of the partition table. Updraft leaves the disk alone either way; the guest grows its own
/// file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DiskConfig {
    Auto,
    Manual,
}

/// Whether the server should run: what goes into the host's plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PowerIntent {
    pub on: bool,
    /// Grows with every start and hard reboot.
    pub epoch: u64,
    /// Grows with every soft reboot.
    pub soft_reboot_epoch: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// As in HTTP: 500 for a failure of the cloud, 4xx when the request could not be met.
    pub code: u16,
    pub message: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// An administrator's lock is not for the tenant to undo.
    pub by_admin: bool,
    pub reason: Option<String>,
}

/// A closed set of names, each with its spelling.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(super) use names;

names! {
    /// What the server is when no task is under way.
    VmState {
        Building => "building",
        Active => "active",
        Stopped => "stopped",
        Error => "error",
        Deleted => "deleted",
    }
}

names! {
    /// What is being done to the server.
    TaskState {
        Scheduling => "scheduling",
        Networking => "networking",
        Spawning => "spawning",
        PoweringOff => "powering-off",
        PoweringOn => "powering-on",
        Rebooting => "rebooting",
        RebootingHard => "rebooting_hard",
        Deleting => "deleting",
    }
}

/// As Nova numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerState {
    NoState,
    Running,
    Shutdown,
}

impl PowerState {
    pub const fn code(self) -> i64 {
        match self {
            Self::NoState => 0,
            Self::Running => 1,
            Self::Shutdown => 4,
        }
    }

    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::NoState),
            1 => Some(Self::Running),
            4 => Some(Self::Shutdown),
            _ => None,
        }
    }
}

names! {
    /// What a tenant may ask of a server, with the name that error messages and the action journal use.
    Action {
        Start => "start",
        Stop => "stop",
        RebootSoft => "soft reboot",
        RebootHard => "reboot",
        Delete => "delete",
        AddSecurityGroup => "addSecurityGroup",
        RemoveSecurityGroup => "removeSecurityGroup",
        ResetState => "resetState",
    }
}

/// Why an action is not allowed now: HTTP 409, in Nova's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("Cannot '{action}' instance {id} while it is in {attribute} {value}")]
    WrongState { action: &'static str, id: String, attribute: &'static str, value: &'static str },
    #[error("Instance {id} is locked")]
    Locked { id: String },
}

impl Server {
    /// The status that clients see (API guide, "Server status").
    pub fn status(&self) -> &'static str {
        status_of(self.vm_state, self.task_state)
    }

    /// Whether `action` may start now.
    pub fn allow(&self, action: Action, by_admin: bool) -> Result<(), Refusal> {
        // Groups are the network service's: a lock does not hold them.
        let groups = matches!(action, Action::AddSecurityGroup | Action::RemoveSecurityGroup);
        if self.locked.is_some() && !by_admin && !groups {
            return Err(Refusal::Locked { id: self.id.clone() });
        }
        let refuse = |attribute, value| {
            let action = match action {
                Action::RebootSoft => Action::RebootHard.as_str(),
                other => other.as_str(),
            };
            Err(Refusal::WrongState { action, id: self.id.clone(), attribute, value })
        };
        if !allowed_in(action).contains(&self.vm_state) {
            return refuse("vm_state", self.vm_state.as_str());
        }
        match self.task_state {
            Some(task_state) if !may_interrupt(action, task_state) => {
                refuse("task_state", task_state.as_str())
            }
            // A server that never got a disk has nothing to switch on.
            _ if matches!(action, Action::Stop | Action::RebootHard) && !self.planned => {
                refuse("vm_state", self.vm_state.as_str())
            }
            _ => Ok(()),
        }
    }

    /// The disk that a host must have for it, in GiB, rounded up.
    pub fn claimed_disk_gib(&self) -> u64 {
        const GIB: u64 = 1 << 30;
        self.spec.root_disk.size_bytes.div_ceil(GIB)
    }
}

/// The status of a server in these states.
pub const fn status_of(vm_state: VmState, task_state: Option<TaskState>) -> &'static str {
    match (vm_state, task_state) {
        (VmState::Building, _) => "BUILD",
        (VmState::Active, Some(TaskState::Rebooting)) => "REBOOT",
        (VmState::Active | VmState::Stopped, Some(TaskState::RebootingHard)) => "HARD_REBOOT",
        (VmState::Active, _) => "ACTIVE",
        (VmState::Stopped, _) => "SHUTOFF",
        (VmState::Error, _) => "ERROR",
        (VmState::Deleted, _) => "DELETED",
    }
}

/// The vm_states in which a server can be while it shows `status`; empty for a status that Updraft never shows.
pub fn vm_states_of_status(status: &str) -> Vec<VmState> {
    let shows = |vm_state: &VmState| {
        std::iter::once(None)
            .chain(TaskState::ALL.iter().copied().map(Some))
            .any(|task_state| status_of(*vm_state, task_state) == status)
    };
    VmState::ALL.iter().copied().filter(shows).collect()
}

const fn allowed_in(action: Action) -> &'static [VmState] {
    match action {
        Action::Start => &[VmState::Stopped],
        Action::Stop => &[VmState::Active, VmState::Error],
        Action::RebootSoft => &[VmState::Active],
        Action::RebootHard => &[VmState::Active, VmState::Stopped, VmState::Error],
        Action::AddSecurityGroup | Action::RemoveSecurityGroup => {
            &[VmState::Building, VmState::Active, VmState::Stopped, VmState::Error]
        }
        Action::Delete => &[VmState::Building, VmState::Active, VmState::Stopped, VmState::Error],
        Action::ResetState => &[VmState::Building, VmState::Active, VmState::Stopped, VmState::Error],
    }
}

/// Whether `action` may start while the server is in `task_state`. What is under way is then cancelled.
const fn may_interrupt(action: Action, task_state: TaskState) -> bool {
    match action {
        Action::Delete | Action::ResetState => true,
        Action::RebootHard => matches!(task_state, TaskState::Rebooting | TaskState::RebootingHard),
        Action::AddSecurityGroup | Action::RemoveSecurityGroup => !matches!(task_state, TaskState::Deleting),
        Action::Start | Action::Stop | Action::RebootSoft => false,
    }
}

#[cfg(test)]
mod tests;
