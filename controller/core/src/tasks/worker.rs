//! Taking up a task: it is leased, and each step is one transaction that is committed only while the lease holds. When a
//! step fails for good, what the earlier ones did is undone, the last one first.

use std::time::Duration;

use tokio::sync::watch;
use updraft_model::Timestamp;
use updraft_model::compute::{Program, Server, Step, Task, TaskStatus};
use updraft_store::compute::{server, task};

use super::step::{self, Outcome, Work};
use crate::{Core, Error, Result, Topic, notify};

/// How long a worker may take for one step before another may take the task over. A step is one transaction.
const LEASE: Duration = Duration::from_secs(10);
/// How often a worker looks for due tasks without having been nudged.
const POLL: Duration = Duration::from_secs(1);
/// How long a task rests after its step failed for a reason of ours (a full disk, a lock), times its attempts.
const REST: Duration = Duration::from_millis(500);
const REST_AT_MOST: Duration = Duration::from_secs(30);
const LEASE_LOST: &str = "TaskLeaseLost";

/// Takes up tasks, one at a time.
#[derive(Clone, Debug)]
pub struct Worker {
    core: Core,
    owner: String,
    halt: Option<Halt>,
}

/// Where a test lets a worker die or fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Die with the step's transaction open: nothing of it is kept.
    Within(Step),
    /// Die right after the step's transaction: all of it is kept, the lease too.
    After(Step),
    /// The step says that it cannot be done.
    Fail(Step),
}

/// How one step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// On to the next step.
    Onward,
    /// Not now, or never again: the lease is given back.
    Rest,
}

/// Works until `shutdown` turns true.
pub(super) async fn work(worker: Worker, mut shutdown: watch::Receiver<bool>) {
    let mut nudges = worker.core.nudge.listen(Topic::Tasks);
    while !*shutdown.borrow() {
        match worker.run_one().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, source = ?error.source, "task worker"),
        }
        tokio::select! {
            _ = nudges.wait(POLL) => {}
            _ = shutdown.changed() => {}
        }
    }
}

impl Worker {
    pub fn new(core: Core) -> Self {
        Self { core, owner: updraft_model::id::new_uuid(), halt: None }
    }

    /// A worker that comes to grief.
    #[doc(hidden)]
    pub fn halting(core: Core, halt: Halt) -> Self {
        Self { halt: Some(halt), ..Self::new(core) }
    }

    /// Takes up one due task and runs it until it waits or ends; false when none was due.
    ///
    /// # Errors
    /// The database failed. The task is taken up again later.
    pub async fn run_one(&self) -> Result<bool> {
        let now = self.core.clock.now();
        let mut conn = self.core.read().await?;
        let Some(id) = task::next_due(&mut conn, now).await? else { return Ok(false) };
        drop(conn);
        let (owner, until) = (self.owner.clone(), now.plus(LEASE));
        let leased_id = id.clone();
        let leased = self.core.write(move |tx| {
            Box::pin(async move { Ok(task::lease(tx, &leased_id, &owner, now, until).await?) })
        });
        if !leased.await? {
            return Ok(true);
        }
        loop {
            match self.run_step(&id).await {
                Ok(Progress::Onward) => {}
                Ok(Progress::Rest) => return Ok(true),
                Err(error) if error.code == LEASE_LOST => return Ok(true),
                Err(error) => {
                    tracing::error!(task = %id, %error, source = ?error.source, "a step failed and is tried again");
                    self.rest(&id).await?;
                    return Ok(true);
                }
            }
        }
    }

    async fn run_step(&self, id: &str) -> Result<Progress> {
        let (core, id, owner, halt) = (self.core.clone(), id.to_owned(), self.owner.clone(), self.halt);
        let progress = self.core.write(move |tx| {
            Box::pin(async move {
                let now = core.clock.now();
                let task =
                    task::get(tx, &id).await?.filter(|task| held(task, &owner)).ok_or_else(lease_lost)?;
                let server = server::get(tx, &task.server_id).await?.ok_or_else(lease_lost)?;
                let mut work = Work { tx, task, server, now, plan_changed: false, cause: None };
                let progress = advance(&mut work, &owner, halt).await?;
                Ok((progress, work.plan_changed, work.task.step, work.task.status))
            })
        });
        let (progress, plan_changed, step, status) = progress.await?;
        if plan_changed {
            self.core.nudge.send(Topic::HostPlan);
        }
        tracing::debug!(step = step.as_str(), status = status.as_str(), "task");
        Ok(progress)
    }

    /// Gives the task back for a while.
    async fn rest(&self, id: &str) -> Result<()> {
        let (core, id, owner) = (self.core.clone(), id.to_owned(), self.owner.clone());
        let given_back = self.core.write(move |tx| {
            Box::pin(async move {
                let Some(mut task) = task::get(tx, &id).await?.filter(|task| held(task, &owner)) else {
                    return Ok(());
                };
                let attempts = u32::try_from(task.attempts.clamp(1, 60)).unwrap_or(60);
                task.run_at = core.clock.now().plus(REST.saturating_mul(attempts).min(REST_AT_MOST));
                let from = (task.step, task.status);
                release(&mut task);
                task::advance(tx, &task, &owner, from).await?;
                Ok(())
            })
        });
        given_back.await
    }
}

fn held(task: &Task, owner: &str) -> bool {
    !task.status.is_final() && task.lease_owner.as_deref() == Some(owner)
}

fn lease_lost() -> Error {
    Error::conflict(LEASE_LOST, "another worker has the task, or it was cancelled")
}

fn release(task: &mut Task) {
    task.lease_owner = None;
    task.lease_until = Timestamp(0);
}

/// Runs the present step and writes where the task stands after it, all in the caller's transaction.
async fn advance(work: &mut Work<'_>, owner: &str, halt: Option<Halt>) -> Result<Progress> {
    let from = (work.task.step, work.task.status);
    let (program, step) = (work.task.program, work.task.step);
    let progress = if from.1 == TaskStatus::Undoing {
        step::undo(work).await?;
        step_back(work, program, step).await?
    } else {
        task::start_event(work.tx, &work.task.id, step, work.now).await?;
        let outcome = match halt {
            Some(Halt::Fail(failing)) if failing == step => Outcome::Fail("it was made to fail".into()),
            _ if work.now > work.task.deadline => Outcome::Fail(step::timed_out(&work.task)),
            _ => step::run(work).await?,
        };
        task::note_cause(work.tx, &work.task.id, step, work.cause.as_deref()).await?;
        match outcome {
            Outcome::Done => step_on(work, program, step).await?,
            Outcome::Wait(wait) => {
                work.task.run_at = work.now.plus(wait);
                release(&mut work.task);
                Progress::Rest
            }
            Outcome::Fail(message) => fail(work, program, step, message).await?,
        }
    };
    if halt == Some(Halt::Within(step)) {
        return Err(lease_lost());
    }
    work.task.updated_at = work.now;
    if !work.task.status.is_final() && progress == Progress::Onward {
        work.task.lease_until = work.now.plus(LEASE);
    }
    if !task::advance(work.tx, &work.task, owner, from).await? || !write_server(work).await? {
        return Err(lease_lost());
    }
    match work.task.status {
        TaskStatus::Done => work.tx.notice(|| notify::compute::ended(&work.server, &work.task)),
        TaskStatus::Failed => work.tx.notice(|| notify::compute::failed(&work.server, &work.task)),
        TaskStatus::Running | TaskStatus::Undoing | TaskStatus::Cancelled => {}
    }
    Ok(if halt == Some(Halt::After(step)) { Progress::Rest } else { progress })
}

/// Writes the server's row, if the step changed it; false when somebody else did meanwhile.
async fn write_server(work: &mut Work<'_>) -> Result<bool> {
    let before: Option<Server> = server::get(work.tx, &work.server.id).await?;
    if before.as_ref() == Some(&work.server) {
        return Ok(true);
    }
    work.server.updated_at = work.now;
    Ok(server::update(work.tx, &mut work.server).await?)
}

async fn step_on(work: &mut Work<'_>, program: Program, step: Step) -> Result<Progress> {
    let host = work.server.host_id.clone();
    task::finish_event(work.tx, &work.task.id, step, work.now, None, host.as_deref()).await?;
    work.task.message = None;
    match program.after(step) {
        Some(next) => {
            work.task.step = next;
            Ok(Progress::Onward)
        }
        None => Ok(end(work, TaskStatus::Done)),
    }
}

/// From here on, what was done is undone: the failed step itself has done nothing.
async fn fail(work: &mut Work<'_>, program: Program, step: Step, message: String) -> Result<Progress> {
    let host = work.server.host_id.clone();
    tracing::warn!(
        request = work.task.request_id,
        server = work.server.id,
        step = step.as_str(),
        message,
        "a task fails"
    );
    task::finish_event(work.tx, &work.task.id, step, work.now, Some(&message), host.as_deref()).await?;
    work.task.message = Some(message);
    step_back(work, program, step).await
}

async fn step_back(work: &mut Work<'_>, program: Program, step: Step) -> Result<Progress> {
    match program.before(step) {
        Some(previous) => {
            work.task.step = previous;
            work.task.status = TaskStatus::Undoing;
            Ok(Progress::Onward)
        }
        None => {
            step::settle_failure(work);
            Ok(end(work, TaskStatus::Failed))
        }
    }
}

fn end(work: &mut Work<'_>, status: TaskStatus) -> Progress {
    work.task.status = status;
    release(&mut work.task);
    Progress::Rest
}
