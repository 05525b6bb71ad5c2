//! What each step of a task does, and how it is undone.

use std::time::Duration;

use updraft_base::{PortId, ServerId};
use updraft_compute_api::observed::{HostObserved, ServerObserved, ServerState};
use updraft_compute_api::path::HOST_DOWN_AFTER_S;
use updraft_model::Timestamp;
use updraft_model::compute::host::Claim;
use updraft_model::compute::{
    Fault, Host, PowerState, Program, Server, Step, Task, TaskState, TaskStatus, VmState,
};
use updraft_store::Tx;
use updraft_store::compute::host;

use super::place;
use crate::network::server_port;
use crate::{Caller, Result};

/// How long a task waits for a report without being woken by one. Reports wake it: this is for a lost nudge.
const RECHECK: Duration = Duration::from_secs(5);
/// How often placement is tried again while hosts are only out of sorts.
const PLACE_AGAIN: Duration = Duration::from_secs(1);
/// For how long, in microseconds: an agent that was restarted has reported by then.
const PLACE_PATIENCE_US: i64 = 20_000_000;

/// One step at work: the rows as read in the transaction `tx`. The caller writes them back.
pub(super) struct Work<'t> {
    pub tx: &'t mut Tx,
    pub task: Task,
    pub server: Server,
    pub now: Timestamp,
    /// Set when some host's plan got a new generation: the hosts are nudged after the commit.
    pub plan_changed: bool,
    /// Why the step does not succeed (yet), for operators alone.
    pub cause: Option<String>,
}

/// How a step went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// It is not so yet; look again after this time, or when the host reports.
    Wait(Duration),
    /// It cannot be done; the tenant reads why.
    Fail(String),
}

/// What a new task is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewTask<'a> {
    pub server: &'a Server,
    pub program: Program,
    pub caller: &'a Caller,
    pub now: Timestamp,
}

/// The row of a task that starts now.
pub(crate) fn new_task(new: NewTask<'_>) -> Task {
    let NewTask { server, program, caller, now } = new;
    Task {
        id: updraft_model::id::new_uuid(),
        server_id: server.id.clone(),
        project_id: caller.project_id.clone().unwrap_or_default(),
        user_id: caller.user_id.clone(),
        request_id: caller.request_id.clone(),
        program,
        step: program.first_step(),
        status: TaskStatus::Running,
        plan_generation: 0,
        attempts: 0,
        run_at: now,
        deadline: now.plus(Duration::from_secs(program.deadline_s())),
        lease_owner: None,
        lease_until: Timestamp(0),
        message: None,
        created_at: now,
        updated_at: now,
    }
}

/// Does the present step.
pub(super) async fn run(work: &mut Work<'_>) -> Result<Outcome> {
    match work.task.step {
        Step::Place => place(work).await,
        Step::Network => {
            let host_id = work.server.host_id.clone();
            bind_ports(work, host_id.as_deref()).await?;
            work.server.task_state = Some(TaskState::Spawning);
            Ok(Outcome::Done)
        }
        Step::Plan => {
            work.server.planned = true;
            switch_on(work);
            replan(work).await
        }
        Step::PowerOn => {
            switch_on(work);
            replan(work).await
        }
        Step::PowerOff => {
            work.server.power.on = false;
            replan(work).await
        }
        Step::Reboot => {
            match work.server.task_state {
                Some(TaskState::Rebooting) => work.server.power.soft_reboot_epoch += 1,
                _ => switch_on(work),
            }
            replan(work).await
        }
        Step::AwaitBuilt | Step::AwaitStarted | Step::AwaitRebooted => await_running(work).await,
        Step::AwaitStopped => await_stopped(work).await,
        Step::Unplan => {
            work.server.planned = false;
            work.server.power.on = false;
            replan(work).await
        }
        Step::AwaitGone => await_gone(work).await,
        Step::Release => release(work).await,
    }
}

/// Takes back what the present step did. To do it twice does nothing more.
pub(super) async fn undo(work: &mut Work<'_>) -> Result<()> {
    match work.task.step {
        Step::Place => release_claim(work).await?,
        Step::Network => bind_ports(work, None).await?,
        Step::Plan => {
            work.server.planned = false;
            work.server.power.on = false;
            replan(work).await?;
        }
        Step::PowerOn => {
            work.server.power.on = false;
            replan(work).await?;
        }
        Step::PowerOff => {
            work.server.power.on = true;
            replan(work).await?;
        }
        // A reboot that did not come to its end cannot be taken back, and a deletion only goes forward.
        Step::Reboot | Step::Unplan | Step::Release => {}
        Step::AwaitBuilt
        | Step::AwaitStarted
        | Step::AwaitRebooted
        | Step::AwaitStopped
        | Step::AwaitGone => {}
    }
    Ok(())
}

/// The task has failed and is undone: what the tenant sees of it.
pub(super) fn settle_failure(work: &mut Work<'_>) {
    work.server.task_state = None;
    let message = work.task.message.clone().unwrap_or_else(|| "The operation failed.".into());
    work.server.fault = Some(Fault { code: 500, message, created_at: work.now });
    match work.task.program {
        Program::Create => {
            work.server.vm_state = VmState::Error;
            work.server.power_state = PowerState::NoState;
        }
        Program::Reboot => work.server.vm_state = VmState::Error,
        // The server is as it was; the journal has what was tried.
        Program::Start | Program::Stop | Program::Delete => {}
    }
}

/// The fault of a task whose time is up.
pub(super) fn timed_out(task: &Task) -> String {
    let last =
        task.message.as_deref().map(|message| format!(" Last reported: {message}")).unwrap_or_default();
    format!(
        "The operation '{}' timed out after {} seconds.{last}",
        task.program.as_str(),
        task.program.deadline_s()
    )
}

fn claim_of(server: &Server) -> Claim {
    Claim {
        vcpus: u64::from(server.spec.flavor.vcpus),
        memory_mib: u64::from(server.spec.flavor.memory_mib),
        disk_gib: server.claimed_disk_gib(),
    }
}

fn switch_on(work: &mut Work<'_>) {
    work.server.power.on = true;
    work.server.power.epoch += 1;
}

async fn place(work: &mut Work<'_>) -> Result<Outcome> {
    let hosts = host::list(work.tx).await?;
    let claim = claim_of(&work.server);
    let wanted = place::Wanted {
        claim,
        image_bytes: work.server.spec.root_disk.image_bytes,
        host: work.server.spec.requested_host.as_deref(),
    };
    match place::choose(&hosts, &wanted, work.now) {
        Ok(fit) => {
            for candidate in fit {
                if host::claim(work.tx, &candidate.id, claim).await? {
                    work.server.host_id = Some(candidate.id.clone());
                    work.server.task_state = Some(TaskState::Networking);
                    return Ok(Outcome::Done);
                }
            }
            // Others were faster at every one of them: look again at what is left.
            Ok(Outcome::Wait(PLACE_AGAIN))
        }
        Err(rejections) => {
            let waited_us = work.now.0 - work.task.created_at.0;
            let message = place::no_valid_host(&rejections);
            work.cause = Some(place::by_host(&hosts, &wanted, work.now));
            if waited_us < PLACE_PATIENCE_US && rejections.iter().any(|rejection| rejection.passing) {
                work.task.message = Some(message);
                return Ok(Outcome::Wait(PLACE_AGAIN));
            }
            Ok(Outcome::Fail(message))
        }
    }
}

/// Every host may have to know: addresses of a security group's members are in the rules of other hosts' ports.
async fn bind_ports(work: &mut Work<'_>, host_id: Option<&str>) -> Result<()> {
    server_port::bind(work.tx, &work.server.id, host_id, work.now).await?;
    host::bump_all_plans(work.tx).await?;
    work.plan_changed = true;
    Ok(())
}

/// The host's plan has changed: in the same transaction it gets a new generation.
async fn replan(work: &mut Work<'_>) -> Result<Outcome> {
    if let Some(host_id) = &work.server.host_id {
        work.task.plan_generation = host::bump_plan(work.tx, host_id).await?;
        work.plan_changed = true;
    }
    Ok(Outcome::Done)
}

/// The server's host with its last report, and what that says of the server.
async fn look(work: &mut Work<'_>) -> Result<Option<(Host, HostObserved, Option<ServerObserved>)>> {
    let Some(host_id) = &work.server.host_id else { return Ok(None) };
    let Some(host) = host::get(work.tx, host_id).await? else { return Ok(None) };
    let Some(observed) = place::observed(&host) else { return Ok(None) };
    let id: Option<ServerId> = work.server.id.parse().ok();
    let server = observed.servers.iter().find(|server| Some(server.id) == id).cloned();
    Ok(Some((host, observed, server)))
}

async fn await_running(work: &mut Work<'_>) -> Result<Outcome> {
    let Some((_, observed, Some(seen))) = look(work).await? else { return Ok(Outcome::Wait(RECHECK)) };
    let power = work.server.power;
    let current = seen.epoch >= power.epoch && seen.soft_reboot_epoch >= power.soft_reboot_epoch;
    match seen.state {
        ServerState::Running if current && ports_wired(work, &observed).await? => {
            run_from_now(work);
            Ok(Outcome::Done)
        }
        ServerState::Failed { message, detail, permanent } => {
            tracing::warn!(
                request = work.task.request_id,
                server = work.server.id,
                message,
                detail,
                "host fails"
            );
            work.cause = Some(detail);
            if permanent {
                return Ok(Outcome::Fail(message));
            }
            work.task.message = Some(message);
            Ok(Outcome::Wait(RECHECK))
        }
        ServerState::Running
        | ServerState::Preparing { .. }
        | ServerState::Stopped
        | ServerState::Removing => Ok(Outcome::Wait(RECHECK)),
    }
}

fn run_from_now(work: &mut Work<'_>) {
    let server = &mut work.server;
    server.vm_state = VmState::Active;
    server.task_state = None;
    server.power_state = PowerState::Running;
    server.fault = None;
    server.launched_at.get_or_insert(work.now);
    server.spec.admin_password = None;
}

/// Whether netd has the rings of every card of the server running.
async fn ports_wired(work: &mut Work<'_>, observed: &HostObserved) -> Result<bool> {
    let ports = server_port::of_server(work.tx, &work.server.id).await?;
    let wired =
        |id: &str| id.parse::<PortId>().ok().and_then(|id| observed.ports.get(&id)).copied().unwrap_or(false);
    Ok(ports.iter().all(|port| wired(&port.id)))
}

async fn await_stopped(work: &mut Work<'_>) -> Result<Outcome> {
    let Some((host, _, Some(seen))) = look(work).await? else { return Ok(Outcome::Wait(RECHECK)) };
    if seen.state != ServerState::Stopped || host.seen_generation < work.task.plan_generation {
        return Ok(Outcome::Wait(RECHECK));
    }
    work.server.vm_state = VmState::Stopped;
    work.server.task_state = None;
    work.server.power_state = PowerState::Shutdown;
    work.server.fault = None;
    Ok(Outcome::Done)
}

async fn await_gone(work: &mut Work<'_>) -> Result<Outcome> {
    let Some((host, _, seen)) = look(work).await? else { return Ok(Outcome::Done) };
    if !host.is_up(work.now, HOST_DOWN_AFTER_S) {
        // What runs there is not in its plan any more: the agent removes it first thing when it is back.
        tracing::warn!(server = work.server.id, host = host.hostname, "deleted while its host is silent");
        return Ok(Outcome::Done);
    }
    let gone = seen.is_none() && host.seen_generation >= work.task.plan_generation;
    Ok(if gone { Outcome::Done } else { Outcome::Wait(RECHECK) })
}

async fn release(work: &mut Work<'_>) -> Result<Outcome> {
    server_port::release(work.tx, &work.server.id, work.now).await?;
    host::bump_all_plans(work.tx).await?;
    work.plan_changed = true;
    release_claim(work).await?;
    let server = &mut work.server;
    server.vm_state = VmState::Deleted;
    server.task_state = None;
    server.power_state = PowerState::NoState;
    server.deleted_at = Some(work.now);
    Ok(Outcome::Done)
}

/// The server's row says whether there is a claim, so it is given back once.
async fn release_claim(work: &mut Work<'_>) -> Result<()> {
    if let Some(host_id) = work.server.host_id.take() {
        host::release(work.tx, &host_id, claim_of(&work.server)).await?;
    }
    Ok(())
}
