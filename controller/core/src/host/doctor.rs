//! Differences between what is intended and what is so. Nothing when all is well.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use updraft_compute_api::inventory::HostInventory;
use updraft_compute_api::observed::{HostObserved, ServerState};
use updraft_compute_api::path::{self, HOST_DOWN_AFTER_S};
use updraft_model::Timestamp;
use updraft_model::compute::host::Claim;
use updraft_model::compute::{Host, Program, Server, Task};
use updraft_store::compute::{host, server, server::ServerFilter, task};
use updraft_store::leftovers;
use updraft_store::network::port::{self, PortFilter};

use super::{client, shown_to};
use crate::policy::require_admin;
use crate::tasks::place;
use crate::{Caller, Core, Result};

/// What is found is looked at again, because things are on their way: a plan takes a moment to be pulled.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// A deletion has no deadline; after this it is named, in microseconds.
const SLOW_DELETE_US: i64 = 120_000_000;
/// A task that is due for so long, and that nobody holds, is named, in microseconds.
const OVERDUE_US: i64 = 60_000_000;
const INVENTORY_TIMEOUT: Duration = Duration::from_secs(10);

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A name for programs, such as `host-down`.
    pub kind: &'static str,
    /// What it is about: the id of a server, host, task or port, or a file.
    pub subject: String,
    /// In plain words.
    pub message: String,
}

fn finding(kind: &'static str, subject: impl Into<String>, message: impl Into<String>) -> Finding {
    Finding { kind, subject: subject.into(), message: message.into() }
}

/// Everything that was read for one examination.
struct Facts {
    hosts: Vec<(Host, Option<HostObserved>)>,
    servers: Vec<Server>,
    tasks: Vec<Task>,
    ports: Vec<updraft_model::network::Port>,
    now: Timestamp,
}

/// Compares the rows with what hosts report, and with what each agent finds by looking; answers what was so at each of
/// several looks. For administrators.
pub async fn doctor(core: &Core, caller: &Caller) -> Result<Vec<Finding>> {
    require_admin(caller)?;
    let mut findings = look(core).await?;
    for _ in 1..LOOKS {
        if findings.is_empty() {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let again = look(core).await?;
        findings
            .retain(|one| again.iter().any(|other| other.kind == one.kind && other.subject == one.subject));
    }
    Ok(findings)
}

async fn look(core: &Core) -> Result<Vec<Finding>> {
    let mut conn = core.read().await?;
    let hosts = host::list(&mut conn).await?;
    let facts = Facts {
        hosts: hosts.into_iter().map(|host| (host.clone(), place::observed(&host))).collect(),
        servers: server::list(&mut conn, &ServerFilter::default()).await?,
        tasks: task::list_open(&mut conn).await?,
        ports: port::list(&mut conn, &PortFilter::default()).await?,
        now: core.clock.now(),
    };
    let leftovers = leftovers::list(&mut conn).await?;
    drop(conn);
    let mut findings = examine(&facts);
    findings.extend(leftovers.into_iter().map(|left| {
        let message = format!("the project does not exist and still has {}: {}", left.what, left.number);
        finding("project-gone", left.project_id, message)
    }));
    for (host, _) in facts.hosts.iter().filter(|(host, _)| host.is_up(facts.now, HOST_DOWN_AFTER_S)) {
        match inventory(core, host).await {
            Ok(inventory) => findings.extend(leaks(host, &inventory)),
            Err(error) => {
                let message = format!("the agent of {} was not heard: {error}", host.hostname);
                findings.push(finding("agent-silent", &host.id, message));
            }
        }
    }
    let images = crate::image::doctor::examine(core).await?;
    findings.extend(images.into_iter().map(|(subject, message)| finding("image-file", subject, message)));
    Ok(findings)
}

fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (host, observed) in &facts.hosts {
        findings.extend(examine_host(host, observed.as_ref(), facts));
    }
    for server in &facts.servers {
        findings.extend(examine_server(server, facts));
    }
    for task in &facts.tasks {
        let slow = task.program == Program::Delete && facts.now.0 - task.created_at.0 > SLOW_DELETE_US;
        if facts.now > task.deadline || slow {
            let (program, step) = (task.program.as_str(), task.step.as_str());
            let message = format!("'{program}' of server {} does not get on with {step}", task.server_id);
            findings.push(finding("task-stuck", &task.id, message));
        } else if facts.now.0 - task.run_at.0.max(task.lease_until.0) > OVERDUE_US {
            let program = task.program.as_str();
            let message = format!("'{program}' of server {} is due and nobody takes it up", task.server_id);
            findings.push(finding("task-waiting", &task.id, message));
        }
    }
    let servers: BTreeSet<&str> = facts.servers.iter().map(|server| server.id.as_str()).collect();
    for port in &facts.ports {
        if port.server_id.as_deref().is_some_and(|id| !servers.contains(id)) {
            findings.push(finding("port-orphaned", &port.id, "the server that it belongs to does not exist"));
        }
    }
    findings
}

fn examine_host(host: &Host, observed: Option<&HostObserved>, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = &host.hostname;
    if !host.is_up(facts.now, HOST_DOWN_AFTER_S) {
        let silent_s = (facts.now.0 - host.last_seen_at.0) / 1_000_000;
        let message = format!("host {name} is down: not heard for {silent_s} s");
        return vec![finding("host-down", &host.id, message)];
    }
    if host.seen_generation < host.plan_generation {
        let (seen, planned) = (host.seen_generation, host.plan_generation);
        let message = format!("host {name} works on plan {seen}, not {planned}");
        findings.push(finding("plan-not-pulled", &host.id, message));
    }
    let claimed = claimed_by_servers(&host.id, &facts.servers);
    if claimed != host.claimed {
        let message = format!("host {name} has {:?} claimed, its servers claim {claimed:?}", host.claimed);
        findings.push(finding("claim-differs", &host.id, message));
    }
    let Some(observed) = observed else { return findings };
    for problem in &observed.problems {
        findings.push(finding("host-problem", &host.id, format!("host {name}: {problem}")));
    }
    for seen in &observed.servers {
        let id = seen.id.to_string();
        if !facts.servers.iter().any(|server| server.id == id) {
            findings.push(finding(
                "not-planned",
                id,
                format!("host {name} has a server that does not exist"),
            ));
        }
    }
    findings
}

fn claimed_by_servers(host_id: &str, servers: &[Server]) -> Claim {
    let mut claim = Claim::default();
    for server in servers.iter().filter(|server| server.host_id.as_deref() == Some(host_id)) {
        claim.vcpus += u64::from(server.spec.flavor.vcpus);
        claim.memory_mib += u64::from(server.spec.flavor.memory_mib);
        claim.disk_gib += server.claimed_disk_gib();
    }
    claim
}

fn examine_server(server: &Server, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if server.task_state.is_some() && !facts.tasks.iter().any(|task| task.server_id == server.id) {
        findings.push(finding(
            "task-missing",
            &server.id,
            "a task is said to be under way, and there is none",
        ));
    }
    let host = facts.hosts.iter().find(|(host, _)| Some(&host.id) == server.host_id.as_ref());
    if let (Some((host, Some(observed))), None, true) = (host, server.task_state, server.planned) {
        let seen =
            observed.servers.iter().find(|seen| seen.id.to_string() == server.id).map(|seen| &seen.state);
        let wanted = if server.power.on { "running" } else { "stopped" };
        let is_so = match seen {
            Some(ServerState::Running) => server.power.on,
            Some(ServerState::Stopped) => !server.power.on,
            Some(ServerState::Preparing { .. } | ServerState::Failed { .. } | ServerState::Removing)
            | None => false,
        };
        if !is_so {
            let seen = seen.map_or("nothing".to_owned(), |state| format!("{state:?}"));
            let message = format!("should be {wanted} on {}, which reports {seen}", host.hostname);
            findings.push(finding("server-differs", &server.id, message));
        }
    }
    let wrong = facts.ports.iter().filter(|port| {
        port.server_id.as_deref() == Some(&server.id) && server.planned && port.host_id != server.host_id
    });
    findings
        .extend(wrong.map(|port| finding("port-unbound", &port.id, "it is not bound to its server's host")));
    findings
}

async fn inventory(core: &Core, host: &Host) -> std::result::Result<HostInventory, String> {
    let credential = async { shown_to(core, &mut core.read().await?, &host.id).await };
    let credential = credential.await.map_err(|error| error.to_string())?;
    let client = client(core, INVENTORY_TIMEOUT).map_err(|error| error.to_string())?;
    let url = format!("{}{}", host.agent_url.trim_end_matches('/'), path::INVENTORY);
    let response = client.get(url).bearer_auth(credential.expose()).send().await;
    let response =
        response.and_then(reqwest::Response::error_for_status).map_err(|error| error.to_string())?;
    response.json().await.map_err(|error| error.to_string())
}

fn leaks(host: &Host, inventory: &HostInventory) -> Vec<Finding> {
    inventory
        .leaks
        .iter()
        .map(|leak| finding("leak", &host.id, format!("host {}: {leak}", host.hostname)))
        .collect()
}
