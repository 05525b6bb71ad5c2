//! What `GET /host/v1/status` shows: the hosts, what is on them, and what is under way.

use serde::Serialize;
use updraft_bus::BusStatus;
use updraft_compute_api::path::HOST_DOWN_AFTER_S;
use updraft_store::compute::{host, server, server::ServerFilter, task};

use crate::notify::outbox::{self, OutboxStatus};
use crate::policy::Target;
use crate::tasks::place;
use crate::{Caller, Core, Result};

#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub hosts: Vec<HostStatus>,
    pub servers: Vec<ServerStatus>,
    pub tasks: Vec<TaskStatus>,
    /// Of the controller that answers.
    pub bus: BusStatus,
    pub outbox: OutboxStatus,
}

#[derive(Clone, Debug, Serialize)]
pub struct HostStatus {
    pub id: String,
    pub hostname: String,
    pub agent_url: String,
    pub up: bool,
    /// Seconds since the agent was heard.
    pub silent_s: i64,
    pub accelerator: String,
    pub accelerator_reason: String,
    pub hypervisor_version: String,
    pub plan_generation: u64,
    pub seen_generation: u64,
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ServerStatus {
    pub id: String,
    pub name: String,
    pub project_id: String,
    pub status: &'static str,
    pub task_state: Option<&'static str>,
    pub host_id: Option<String>,
    /// What the host says: `running`, `stopped`, `preparing`, `failed`, `removing`, or nothing.
    pub observed: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TaskStatus {
    pub server_id: String,
    pub program: &'static str,
    pub step: &'static str,
    pub status: &'static str,
    /// Seconds since it was written.
    pub age_s: i64,
    pub message: Option<String>,
}

/// The cloud at a glance.
pub async fn status(core: &Core, caller: &Caller) -> Result<Status> {
    caller.enforce("cloud:get_status", &Target::default())?;
    let (bus, outbox) = (core.nudge.status(), outbox::status(core).await?);
    let mut conn = core.read().await?;
    let now = core.clock.now();
    let hosts = host::list(&mut conn).await?;
    let reports: Vec<_> = hosts.iter().map(place::observed).collect();
    let seen = |id: &str| {
        let all = reports.iter().flatten().flat_map(|report| &report.servers);
        let state =
            all.clone().find(|seen| seen.id.to_string() == id).map(|seen| serde_json::to_value(&seen.state));
        state?.ok()?.get("state")?.as_str().map(str::to_owned)
    };
    let servers =
        server::list(&mut conn, &ServerFilter::default()).await?.into_iter().map(|server| ServerStatus {
            observed: seen(&server.id),
            status: server.status(),
            task_state: server.task_state.map(updraft_model::compute::TaskState::as_str),
            id: server.id,
            name: server.name,
            project_id: server.project_id,
            host_id: server.host_id,
        });
    let tasks = task::list_open(&mut conn).await?.into_iter().map(|task| TaskStatus {
        server_id: task.server_id,
        program: task.program.as_str(),
        step: task.step.as_str(),
        status: task.status.as_str(),
        age_s: (now.0 - task.created_at.0) / 1_000_000,
        message: task.message,
    });
    let (servers, tasks) = (servers.collect(), tasks.collect());
    let hosts = hosts.into_iter().zip(reports.clone()).map(|(host, report)| HostStatus {
        up: host.is_up(now, HOST_DOWN_AFTER_S),
        silent_s: (now.0 - host.last_seen_at.0) / 1_000_000,
        accelerator: report.as_ref().map(|report| report.accelerator.clone()).unwrap_or_default(),
        accelerator_reason: report
            .as_ref()
            .map(|report| report.accelerator_reason.clone())
            .unwrap_or_default(),
        hypervisor_version: report
            .as_ref()
            .map(|report| report.hypervisor_version.clone())
            .unwrap_or_default(),
        problems: report.map(|report| report.problems).unwrap_or_default(),
        id: host.id,
        hostname: host.hostname,
        agent_url: host.agent_url,
        plan_generation: host.plan_generation,
        seen_generation: host.seen_generation,
    });
    Ok(Status { hosts: hosts.collect(), servers, tasks, bus, outbox })
}
