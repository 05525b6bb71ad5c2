//! The task of one server: look, decide, do, look again. Each server has its own, so that one that is stuck holds
//! up no other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, watch};
use updraft_base::{PortId, ServerId};
use updraft_compute_api::observed::{ServerObserved, ServerState};
use updraft_compute_api::plan::ServerPlan;

use crate::agent::Host;
use crate::host::process::Process;
use crate::qemu::argv::NicSpec;
use crate::qemu::machine::{Machine, RunState};
use crate::qemu::qmp::Event;
use crate::record::ServerRecord;
use crate::server::decide::{Action, Facts, Guest, Pressed, Settled, decide};
use crate::server::failure::{Failure, StepError};

/// A server is looked at again after so long, whatever happened.
const LOOK_PERIOD: Duration = Duration::from_secs(5);
/// Between attempts at a step that fails: doubled each time, from the first to the last.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// Between attempts where trying again hardly helps.
const PERMANENT_RETRY: Duration = Duration::from_secs(60);

/// What should become of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Found on the host, not in the plan kept here; the controller has not spoken yet. Left as it is.
    Hold,
    Planned(Arc<Planned>),
    /// Not in the controller's plan: to be removed.
    Absent,
}

/// A server's part of the host's plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub server: ServerPlan,
    /// The network cards but for their sockets; or the port that the plan's network lacks.
    pub nics: Result<Vec<NicSpec>, PortId>,
}

/// How the task goes on after a turn.
pub(super) enum Next {
    Again,
    /// Until something happens, at most so long.
    Wait(Duration),
    /// The server is gone, and so is the task.
    End,
}

/// One server's task.
pub struct ServerTask {
    pub(super) host: Arc<Host>,
    pub(super) id: ServerId,
    pub(super) target: watch::Receiver<Target>,
    pub(super) record: Option<ServerRecord>,
    pub(super) machine: Option<Machine>,
    pub(super) blkd: Option<Process>,
    pub(super) blkd_started: Option<Instant>,
    /// First and last press of the power button.
    pub(super) pressed: Option<(Instant, Instant)>,
    events: Option<broadcast::Receiver<Event>>,
    looked_around: bool,
    failing: bool,
}

impl ServerTask {
    pub fn new(host: Arc<Host>, id: ServerId, target: watch::Receiver<Target>) -> Self {
        Self {
            host,
            id,
            target,
            record: None,
            machine: None,
            blkd: None,
            blkd_started: None,
            pressed: None,
            events: None,
            looked_around: false,
            failing: false,
        }
    }

    /// Goes round until the server is gone.
    pub async fn run(mut self) {
        let mut retry = FIRST_RETRY;
        loop {
            let target = self.target.borrow_and_update().clone();
            let wait = match self.turn(&target).await {
                Ok(Next::End) => return self.host.board.remove(self.id),
                Ok(Next::Again) => {
                    self.failing = false;
                    continue;
                }
                Ok(Next::Wait(limit)) => {
                    self.failing = false;
                    retry = FIRST_RETRY;
                    limit
                }
                Err(error) => {
                    let failure = Failure::from(&error);
                    let wait = if failure.permanent { PERMANENT_RETRY } else { retry };
                    tracing::warn!(server = %self.id, retry_s = wait.as_secs(), "{}", failure.detail);
                    self.failing = true;
                    self.looked_around = false;
                    self.publish(failure.into());
                    retry = (retry * 2).min(LAST_RETRY);
                    wait
                }
            };
            if self.wait(wait).await.is_err() {
                return;
            }
        }
    }

    async fn turn(&mut self, target: &Target) -> Result<Next, StepError> {
        self.look_around().await?;
        match target {
            Target::Hold => {
                let waiting = ServerState::Preparing { step: "waiting for the controller".into() };
                self.publish(if self.machine.is_some() { ServerState::Running } else { waiting });
                Ok(Next::Wait(LOOK_PERIOD))
            }
            Target::Absent => {
                self.publish(ServerState::Removing);
                self.remove().await
            }
            Target::Planned(planned) => {
                self.ensure_record(planned)?;
                let facts = self.facts(planned).await;
                let action = decide(&planned.server.power, &facts);
                if !matches!(action, Action::Rest(_) | Action::AwaitShutdown(_)) {
                    tracing::info!(server = %self.id, ?action, "next");
                }
                self.publish_before(action, &facts);
                self.act(action, planned).await
            }
        }
    }

    /// Finds what runs already: once, and again after a step was left half-way.
    async fn look_around(&mut self) -> Result<(), StepError> {
        if self.looked_around {
            return Ok(());
        }
        let (layout, id) = (&self.host.layout, self.id);
        if self.record.is_none() {
            self.record = ServerRecord::load(&layout.record(id))
                .map_err(|source| StepError::Host { what: "the server's record", source })?;
        }
        if self.machine.is_none() {
            self.machine = Machine::adopt(&layout.qemu_process(id), &layout.qmp_socket(id)).await?;
            if let Some(machine) = &self.machine {
                tracing::info!(server = %id, pid = machine.process.identity.pid, "running guest adopted");
            }
        }
        if self.blkd.is_none() {
            self.blkd = Process::find(&layout.blkd_process(id))?;
        }
        self.looked_around = true;
        Ok(())
    }

    async fn facts(&mut self, planned: &Planned) -> Facts {
        if self.blkd.as_mut().is_some_and(|process| !process.is_alive()) {
            self.blkd = None;
        }
        if self.machine.as_mut().is_some_and(|machine| !machine.process.is_alive()) {
            tracing::info!(server = %self.id, "QEMU has ended");
            (self.machine, self.events, self.pressed) = (None, None, None);
        }
        let guest = match &mut self.machine {
            Some(machine) => {
                let (epochs, state) = (machine.epochs(), machine.run_state().await);
                let pressed = self.pressed.map(|(first, last)| Pressed {
                    since_first: first.elapsed(),
                    since_last: last.elapsed(),
                });
                Some(Guest { epochs, state, pressed })
            }
            None => None,
        };
        let (layout, server) = (&self.host.layout, &planned.server);
        Facts {
            done: self.record.as_ref().map(|record| record.done).unwrap_or_default(),
            has_disk: layout.root_disk(self.id, server.root_disk.id).exists(),
            has_config_drive: !server.config_drive || layout.config_drive(self.id).exists(),
            blkd_runs: self.blkd.is_some(),
            has_ports: self.host.serves_ports(&server.port_ids),
            guest,
        }
    }

    /// Says that the server is on its way, or runs while it is being mended. A failure stays on show until a step
    /// has succeeded.
    fn publish_before(&self, action: Action, facts: &Facts) {
        let step = match action {
            Action::MakeDisk => "image and root disk",
            Action::MakeConfigDrive => "config drive",
            Action::StartBlkd => "block service",
            Action::AwaitPorts => "network",
            Action::StartGuest | Action::RecordAndRelease | Action::Release => "virtual machine",
            Action::PressPowerButton
            | Action::ResetForSoftReboot
            | Action::ForceOff
            | Action::StopBlkd
            | Action::AwaitShutdown(_) => "shutdown",
            Action::Rest(settled) => return self.publish(settled_state(settled)),
        };
        let runs = facts.guest.is_some_and(|guest| guest.state != RunState::Waiting);
        if runs {
            self.publish(ServerState::Running);
        } else if !self.failing {
            self.publish(ServerState::Preparing { step: step.into() });
        }
    }

    pub(super) fn publish(&self, state: ServerState) {
        let done = self.record.as_ref().map(|record| record.done).unwrap_or_default();
        self.host.board.put(ServerObserved {
            id: self.id,
            state,
            epoch: done.start,
            soft_reboot_epoch: done.soft_reboot,
            started_at_us: self.machine.as_ref().map(|machine| machine.process.identity.started_at_us),
        });
    }

    /// Waits until something happens to the server, at most so long. An error when the agent ends.
    async fn wait(&mut self, limit: Duration) -> Result<(), watch::error::RecvError> {
        if self.events.is_none() {
            self.events = self.machine.as_ref().and_then(Machine::events);
        }
        tokio::select! {
            changed = self.target.changed() => return changed,
            () = ended(self.machine.as_ref().map(|machine| &machine.process)) => {}
            () = ended(self.blkd.as_ref()) => {}
            event = next_event(&mut self.events) => {
                tracing::info!(server = %self.id, event = event.name, data = %event.data, "QEMU says");
            }
            () = tokio::time::sleep(limit) => {}
        }
        Ok(())
    }

    /// Until the target changes. For steps that wait for others.
    pub(super) async fn target_changed(target: &mut watch::Receiver<Target>) {
        if target.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        // Seen here, but not yet acted upon.
        target.mark_changed();
    }
}

fn settled_state(settled: Settled) -> ServerState {
    match settled {
        Settled::Running => ServerState::Running,
        Settled::Stopped => ServerState::Stopped,
        Settled::Broken => ServerState::Failed {
            message: "The guest's processors stopped because of an internal error. Reboot the server.".into(),
            detail: "QEMU reports internal-error, guest-panicked or io-error".into(),
            permanent: false,
        },
    }
}

async fn ended(process: Option<&Process>) {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

/// The next event; never, when there is no connection or it has ended (the process's end is what counts then).
async fn next_event(events: &mut Option<broadcast::Receiver<Event>>) -> Event {
    loop {
        let Some(receiver) = events else { return std::future::pending().await };
        match receiver.recv().await {
            Ok(event) => return event,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => *events = None,
        }
    }
}

impl Next {
    /// All is well: look again after the usual time.
    pub(super) fn rest() -> Self {
        Self::Wait(LOOK_PERIOD)
    }
}
