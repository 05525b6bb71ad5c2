//! One guest's QEMU: started, or found running and adopted; asked and told by QMP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast;

use crate::host::jail::RunDetached;
use crate::host::process::{Process, ProcessError, Start, log_tail};
use crate::qemu::qmp::{Event, Qmp, QmpError};
use crate::record::Epochs;

/// How long QEMU may take to answer on its QMP socket after its start. It first waits for netd and blkd.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two attempts to reach a QMP socket that is not there yet.
const CONNECT_PERIOD: Duration = Duration::from_millis(20);
/// How long QEMU may take to end after `quit`, before it is killed.
const QUIT_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest file that a running QEMU may write, in bytes: its console log and its own log. The agent turns the
/// console log over long before; this holds while there is no agent.
pub const FILE_SIZE_LIMIT_BYTES: u64 = 8 << 20;

/// What the guest's processors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Made, but never let go.
    Waiting,
    Running,
    /// Stopped by QEMU because the guest or the hardware did what cannot be.
    Broken,
    /// QEMU runs but does not answer.
    Silent,
}

/// A QEMU process.
#[derive(Debug)]
pub struct Machine {
    pub process: Process,
    qmp_socket: PathBuf,
    qmp: Option<Qmp>,
}

/// What went wrong with a QEMU.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Qmp(#[from] QmpError),
    #[error("QEMU ended before it answered: {log}")]
    EndedEarly { log: String },
    #[error("QEMU did not answer within {} s of its start: {log}", START_TIMEOUT.as_secs())]
    Mute { log: String },
}

impl Machine {
    /// Starts QEMU with its processors waiting, and returns when it answers.
    ///
    /// # Errors
    /// QEMU is missing, ends, or does not answer in time (then it is killed).
    pub async fn start(
        jail_binary: &Path,
        options: RunDetached,
        log: &Path,
        qmp_socket: &Path,
    ) -> Result<Self, MachineError> {
        // What an earlier QEMU left would be connected to in vain.
        let _ = std::fs::remove_file(qmp_socket);
        let mut process = Process::start(Start { jail_binary, options, log }).await?;
        match Self::first_connection(&process, qmp_socket).await {
            Some(qmp) => {
                process.limit_file_size(FILE_SIZE_LIMIT_BYTES)?;
                Ok(Self { process, qmp_socket: qmp_socket.into(), qmp: Some(qmp) })
            }
            None if process.is_alive() => {
                process.stop(Duration::ZERO).await?;
                Err(MachineError::Mute { log: log_tail(log) })
            }
            None => Err(MachineError::EndedEarly { log: log_tail(log) }),
        }
    }

    async fn first_connection(process: &Process, socket: &Path) -> Option<Qmp> {
        let connect = async {
            loop {
                // QEMU listens early but answers only when its devices are made.
                if let Ok(qmp) = Qmp::connect(socket).await {
                    return qmp;
                }
                tokio::time::sleep(CONNECT_PERIOD).await;
            }
        };
        tokio::select! {
            qmp = tokio::time::timeout(START_TIMEOUT, connect) => qmp.ok(),
            () = process.ended() => None,
        }
    }

    /// Finds the QEMU that a process record names, if it still runs.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn adopt(record: &Path, qmp_socket: &Path) -> Result<Option<Self>, ProcessError> {
        let Some(process) = Process::find(record)? else { return Ok(None) };
        let mut machine = Self { process, qmp_socket: qmp_socket.into(), qmp: None };
        if let Err(error) = machine.qmp().await {
            tracing::warn!(pid = machine.process.identity.pid, %error, "QEMU runs but its monitor does not answer");
        }
        // In case the agent that started it was killed before it came to this.
        if let Err(error) = machine.process.limit_file_size(FILE_SIZE_LIMIT_BYTES) {
            tracing::warn!(pid = machine.process.identity.pid, %error, "no limit on QEMU's log");
        }
        Ok(Some(machine))
    }

    /// For which epochs it was started.
    pub fn epochs(&self) -> Epochs {
        self.process.identity.epochs
    }

    /// What the guest's processors do now.
    pub async fn run_state(&mut self) -> RunState {
        let status = match self.command("query-status").await {
            Ok(answer) => answer,
            Err(_) => return RunState::Silent,
        };
        // QEMU's enum RunState (qapi/run-state.json).
        match status["status"].as_str().unwrap_or_default() {
            "prelaunch" | "paused" | "inmigrate" => RunState::Waiting,
            "internal-error" | "guest-panicked" | "io-error" => RunState::Broken,
            _ => RunState::Running,
        }
    }

    /// Runs a QMP command that takes no arguments, connecting again where need be.
    ///
    /// # Errors
    /// QEMU does not answer, or refuses.
    pub async fn command(&mut self, name: &str) -> Result<serde_json::Value, QmpError> {
        let result = self.qmp().await?.execute(name, json!({})).await;
        if matches!(result, Err(QmpError::Timeout { .. } | QmpError::Closed | QmpError::Io(_))) {
            self.qmp = None;
        }
        result
    }

    /// QEMU's events from now on; `None` while it does not answer.
    pub fn events(&self) -> Option<broadcast::Receiver<Event>> {
        self.qmp.as_ref().map(Qmp::events)
    }

    /// Ends QEMU without asking the guest. Returns when it is gone.
    ///
    /// # Errors
    /// The kernel does not end it.
    pub async fn force_off(&mut self) -> Result<(), ProcessError> {
        let asked = self.command("quit").await.is_ok();
        if asked && tokio::time::timeout(QUIT_TIMEOUT, self.process.ended()).await.is_ok() {
            return self.process.stop(Duration::ZERO).await;
        }
        self.process.stop(Duration::ZERO).await
    }

    async fn qmp(&mut self) -> Result<&Qmp, QmpError> {
        if !self.qmp.as_ref().is_some_and(Qmp::is_open) {
            self.qmp = Some(Qmp::connect(&self.qmp_socket).await?);
        }
        self.qmp.as_ref().ok_or(QmpError::Closed)
    }
}
