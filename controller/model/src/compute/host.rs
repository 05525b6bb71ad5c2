//! The machines that servers run on, as the controller knows them.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How many virtual CPUs are given for each of the host's own. A guest that waits for a CPU is slow, not broken.
pub const VCPU_OVERCOMMIT: u64 = 4;

/// One machine with an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub id: String,
    pub hostname: String,
    /// Where the agent answers, such as `http://127.0.0.1:8701`.
    pub agent_url: String,
    pub capacity: Capacity,
    /// What is claimed by servers.
    pub claimed: Claim,
    /// Grows with each change of the plan.
    pub plan_generation: u64,
    /// The generation that the agent says it has seen.
    pub seen_generation: u64,
    /// An administrator keeps new servers away.
    pub disabled: bool,
    pub disabled_reason: Option<String>,
    /// An administrator says that the host is down, whatever it says itself.
    pub forced_down: bool,
    /// The last time that the agent was heard.
    pub last_seen_at: Timestamp,
    pub created_at: Timestamp,
    /// What the host last reported, whole, as it came (compute/api's `HostObserved`).
    pub observed: serde_json::Value,
}

/// What the host has in all, and what is left of its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    pub vcpus: u64,
    pub memory_mib: u64,
    pub disk_gib: u64,
    pub disk_free_gib: u64,
}

/// What a server takes of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub vcpus: u64,
    pub memory_mib: u64,
    pub disk_gib: u64,
}

impl Host {
    /// Whether the agent was heard within `down_after_s` seconds.
    pub fn is_up(&self, now: Timestamp, down_after_s: u64) -> bool {
        let silence_us = now.0.saturating_sub(self.last_seen_at.0);
        let limit_us = i64::try_from(down_after_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        !self.forced_down && silence_us <= limit_us
    }

    /// What more servers may claim.
    pub fn free(&self) -> Claim {
        Claim {
            vcpus: (self.capacity.vcpus * VCPU_OVERCOMMIT).saturating_sub(self.claimed.vcpus),
            memory_mib: self.capacity.memory_mib.saturating_sub(self.claimed.memory_mib),
            disk_gib: self.capacity.disk_gib.saturating_sub(self.claimed.disk_gib),
        }
    }
}

/// What a host proves itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Of the token, in hexadecimal digits; the token itself is nowhere.
    pub token_sha256: String,
    /// The name that the operator gave the host; empty for the host of the controller's own configuration.
    pub name: String,
    /// `None` until the host has reported with it.
    pub host_id: Option<String>,
    pub created_at: Timestamp,
    /// From then on it is worth nothing.
    pub ends_at: Option<Timestamp>,
}

impl Credential {
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.ends_at.is_none_or(|end| now < end)
    }
}

/// A host that may come for its credential, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    pub name: String,
    pub secret_sha256: String,
    pub ends_at: Timestamp,
}
