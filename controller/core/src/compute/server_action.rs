//! What a tenant asks of a server: each sets the task state and writes a task, in one transaction.

use updraft_model::Timestamp;
use updraft_model::compute::server::{Lock, Refusal};
use updraft_model::compute::{Action, Fault, PowerState, Program, Server, TaskState, VmState};
use updraft_store::Tx;
use updraft_store::compute::{host, task};
use updraft_store::network::port;

use super::access::{find, is_admin, target};
use super::server::{replan, store};
use crate::network::server_port;
use crate::tasks::{NewTask, new_task};
use crate::{Caller, Core, Error, Result, Topic, notify};

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::WrongState { .. } => "InstanceInvalidState",
            Refusal::Locked { .. } => "InstanceIsLocked",
        };
        Self::conflict(code, refusal.to_string())
    }
}

fn rule_of(action: Action) -> &'static str {
    match action {
        Action::Start => "os_compute_api:servers:start",
        Action::Stop => "os_compute_api:servers:stop",
        Action::RebootSoft | Action::RebootHard => "os_compute_api:servers:reboot",
        Action::Delete => "os_compute_api:servers:delete",
        Action::ResetState => "os_compute_api:os-admin-actions:reset_state",
        Action::AddSecurityGroup => "os_compute_api:os-security-groups:add",
        Action::RemoveSecurityGroup => "os_compute_api:os-security-groups:remove",
    }
}

/// Switches the server on.
pub async fn start(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    begin(core, caller, id, Action::Start, Program::Start, TaskState::PoweringOn).await
}

/// Asks the guest to shut down, then switches the server off.
pub async fn stop(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    begin(core, caller, id, Action::Stop, Program::Stop, TaskState::PoweringOff).await
}

/// Soft: asks the guest. Hard: resets it, and starts a server that is off.
pub async fn reboot(core: &Core, caller: &Caller, id: &str, hard: bool) -> Result<()> {
    let (action, task_state) = match hard {
        true => (Action::RebootHard, TaskState::RebootingHard),
        false => (Action::RebootSoft, TaskState::Rebooting),
    };
    begin(core, caller, id, action, Program::Reboot, task_state).await
}

/// Deletes the server from whatever state it is in; what is under way for it is cancelled. The status stays until the
/// server is gone. To delete it again changes nothing.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    begin(core, caller, id, Action::Delete, Program::Delete, TaskState::Deleting).await
}

async fn begin(
    core: &Core,
    caller: &Caller,
    id: &str,
    action: Action,
    program: Program,
    task_state: TaskState,
) -> Result<()> {
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    let began = core.write(move |tx| {
        Box::pin(async move {
            let mut server = find(tx, &caller, &id, rule_of(action)).await?;
            server.allow(action, is_admin(&caller))?;
            if server.task_state == Some(TaskState::Deleting) && action == Action::Delete {
                return Ok(());
            }
            task::cancel_of_server(tx, &server.id, now).await?;
            server.task_state = Some(task_state);
            store(tx, &mut server, now).await?;
            let task = new_task(NewTask { server: &server, program, caller: &caller, now });
            task::insert(tx, &task).await?;
            tx.notice(|| notify::compute::started(&server, &task));
            Ok(())
        })
    });
    began.await?;
    core.nudge.send(Topic::Tasks);
    Ok(())
}

/// Keeps everyone but administrators (and, for a lock of their own, the project) from changing the server.
pub async fn lock(core: &Core, caller: &Caller, id: &str, reason: Option<String>) -> Result<()> {
    note(core, caller, id, "os_compute_api:os-lock-server:lock", move |server, caller| {
        let by_admin = !owns(server, caller);
        server.locked = Some(Lock { by_admin, reason });
        Ok(())
    })
    .await
}

pub async fn unlock(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    note(core, caller, id, "os_compute_api:os-lock-server:unlock", |server, caller| {
        if server.locked.as_ref().is_some_and(|lock| lock.by_admin == owns(server, caller)) {
            caller.enforce("os_compute_api:os-lock-server:unlock:unlock_override", &target(server))?;
        }
        server.locked = None;
        Ok(())
    })
    .await
}

fn owns(server: &Server, caller: &Caller) -> bool {
    caller.project_id.as_deref() == Some(server.project_id.as_str())
}

/// Changes the row alone: no task.
async fn note(
    core: &Core,
    caller: &Caller,
    id: &str,
    rule: &'static str,
    change: impl FnOnce(&mut Server, &Caller) -> Result<()> + Clone + Send + Sync + 'static,
) -> Result<()> {
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let mut server = find(tx, &caller, &id, rule).await?;
            change(&mut server, &caller)?;
            store(tx, &mut server, now).await
        })
    })
    .await
}

/// Whoever may says what the state is: `active` or `error`. What is under way is given up.
pub async fn reset_state(core: &Core, caller: &Caller, id: &str, state: VmState) -> Result<()> {
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let mut server = find(tx, &caller, &id, rule_of(Action::ResetState)).await?;
            server.allow(Action::ResetState, true)?;
            if server.task_state == Some(TaskState::Deleting) {
                let value = TaskState::Deleting.as_str();
                return Err(
                    Refusal::WrongState { action: "resetState", id, attribute: "task_state", value }.into()
                );
            }
            task::cancel_of_server(tx, &server.id, now).await?;
            reset(&mut server, state, now);
            store(tx, &mut server, now).await?;
            replan(tx, &server).await
        })
    })
    .await?;
    core.nudge.send(Topic::HostPlan);
    Ok(())
}

fn reset(server: &mut Server, state: VmState, now: Timestamp) {
    server.vm_state = state;
    server.task_state = None;
    if state == VmState::Active {
        server.fault = None;
        server.power_state = PowerState::Running;
    } else {
        let message = "Set to error by an administrator.".to_owned();
        server.fault = Some(Fault { code: 500, message, created_at: now });
    }
}

/// Puts all ports of the server into a security group, or takes them out of it.
pub async fn set_security_group(
    core: &Core,
    caller: &Caller,
    id: &str,
    group: &str,
    member: bool,
) -> Result<()> {
    let (caller, id, group, now) = (caller.clone(), id.to_owned(), group.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let action = if member { Action::AddSecurityGroup } else { Action::RemoveSecurityGroup };
            let server = find(tx, &caller, &id, rule_of(action)).await?;
            server.allow(action, is_admin(&caller))?;
            regroup(tx, &server, &group, member, now).await?;
            Ok(host::bump_all_plans(tx).await?)
        })
    })
    .await?;
    core.nudge.send(Topic::HostPlan);
    Ok(())
}

async fn regroup(tx: &mut Tx, server: &Server, group: &str, member: bool, now: Timestamp) -> Result<()> {
    let ids = server_port::resolve_groups(tx, &server.project_id, &[group.to_owned()]).await?;
    let Some(id) = ids.into_iter().next() else { return Ok(()) };
    let mut ports = server_port::of_server(tx, &server.id).await?;
    if ports.is_empty() {
        let message = format!("instance_id {} could not be found as device id on any ports", server.id);
        return Err(Error::not_found("SecurityGroupNotFound", message));
    }
    ports.retain(|port| port.port_security_enabled);
    if !member && !ports.iter().any(|port| port.security_groups.contains(&id)) {
        let message = format!("Security group {group} not associated with the instance {}", server.id);
        return Err(Error::not_found("SecurityGroupNotFound", message));
    }
    for mut port in ports {
        port.security_groups.retain(|existing| *existing != id);
        if member {
            port.security_groups.push(id.clone());
            port.security_groups.sort();
        }
        port.standard.touch(now);
        port::update(tx, &port).await?;
    }
    Ok(())
}
