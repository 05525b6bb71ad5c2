//! Simulated hosts: the contract of `updraft_compute_api` without QEMU, netd or blkd.
//!
//! [`SimulatedHost`] is the host as a plain value: a plan in, what is observed out. [`agent::run`] puts it behind HTTP,
//! as a real agent is, consoles among it, so that a controller cannot tell the difference.

#![forbid(unsafe_code)]

pub mod agent;

use std::collections::{BTreeMap, BTreeSet};

use updraft_base::{HostId, ServerId};
use updraft_compute_api::observed::{Capacity, HostObserved, ServerObserved, ServerState};
use updraft_compute_api::plan::{HostPlan, Power, ServerPlan};

/// A host that does at once, and perfectly, what its plan says, unless it is told to fail.
#[derive(Clone, Debug)]
pub struct SimulatedHost {
    pub id: HostId,
    pub hostname: String,
    pub agent_url: String,
    pub capacity: Capacity,
    /// What is wrong with the host, as a real agent would say it.
    pub problems: Vec<String>,
    /// When set, every server that is to be built fails for good with this message.
    pub refuses: Option<String>,
    /// Servers that are started do not come further than "preparing".
    pub stalls: bool,
    generation: u64,
    servers: BTreeMap<ServerId, Guest>,
    /// How often a guest was started, by server: to see that none runs twice for one epoch.
    pub starts: BTreeMap<ServerId, u64>,
}

#[derive(Clone, Debug)]
struct Guest {
    state: ServerState,
    epoch: u64,
    soft_reboot_epoch: u64,
    ports: BTreeSet<updraft_base::PortId>,
}

impl SimulatedHost {
    pub fn new(hostname: &str) -> Self {
        Self {
            id: HostId::random(),
            hostname: hostname.into(),
            agent_url: String::new(),
            capacity: Capacity { vcpus: 4, memory_mib: 8192, disk_gib: 100, disk_free_gib: 100 },
            problems: Vec::new(),
            refuses: None,
            stalls: false,
            generation: 0,
            servers: BTreeMap::new(),
            starts: BTreeMap::new(),
        }
    }

    /// The generation of the plan that was last applied.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Servers that have anything on this host.
    pub fn server_ids(&self) -> Vec<ServerId> {
        self.servers.keys().copied().collect()
    }

    /// Makes the host look like its plan: what is not in it goes. Repeating it changes nothing.
    pub fn apply(&mut self, plan: &HostPlan) {
        self.generation = plan.generation;
        let planned: BTreeSet<ServerId> = plan.servers.iter().map(|server| server.id).collect();
        self.servers.retain(|id, _| planned.contains(id));
        for server in &plan.servers {
            self.ensure_server(server);
        }
    }

    fn ensure_server(&mut self, plan: &ServerPlan) {
        let refused = self.refuses.clone();
        let guest = self.servers.entry(plan.id).or_insert_with(|| Guest {
            state: ServerState::Stopped,
            epoch: 0,
            soft_reboot_epoch: plan.power.soft_reboot_epoch,
            ports: BTreeSet::new(),
        });
        guest.ports = plan.port_ids.iter().copied().collect();
        let starts = match plan.power.desired {
            Power::Off => {
                guest.state = ServerState::Stopped;
                false
            }
            Power::On => {
                guest.epoch < plan.power.epoch || guest.soft_reboot_epoch < plan.power.soft_reboot_epoch
            }
        };
        if !starts {
            return;
        }
        guest.state = match refused {
            Some(message) => {
                ServerState::Failed { detail: format!("simulated: {message}"), message, permanent: true }
            }
            None if self.stalls => ServerState::Preparing { step: "image".into() },
            None => ServerState::Running,
        };
        if guest.state == ServerState::Running {
            *self.starts.entry(plan.id).or_default() += 1;
            guest.epoch = plan.power.epoch;
            guest.soft_reboot_epoch = plan.power.soft_reboot_epoch;
        }
    }

    /// The guest powers itself off.
    pub fn power_off_guest(&mut self, id: ServerId) {
        if let Some(guest) = self.servers.get_mut(&id) {
            guest.state = ServerState::Stopped;
        }
    }

    /// What a real agent would push now.
    pub fn observed(&self) -> HostObserved {
        let wired = |guest: &Guest| {
            let runs = guest.state == ServerState::Running;
            guest.ports.iter().map(move |port| (*port, runs)).collect::<Vec<_>>()
        };
        HostObserved {
            host_id: self.id,
            hostname: self.hostname.clone(),
            plan_generation: self.generation,
            agent_url: self.agent_url.clone(),
            accelerator: "none".into(),
            accelerator_reason: "simulated".into(),
            hypervisor_version: "0.0.0".into(),
            capacity: self.capacity,
            servers: self
                .servers
                .iter()
                .map(|(id, guest)| ServerObserved {
                    id: *id,
                    state: guest.state.clone(),
                    epoch: guest.epoch,
                    soft_reboot_epoch: guest.soft_reboot_epoch,
                    started_at_us: None,
                })
                .collect(),
            ports: self.servers.values().flat_map(wired).collect(),
            problems: self.problems.clone(),
        }
    }
}
