//! Programs that outlive the agent: started through [`jail`](crate::host::jail), found again by their record's lock,
//! watched and signalled by pidfd, so that a recycled process id is never taken for them.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, pidfd_open, pidfd_send_signal, prlimit};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};

use crate::host::jail::{RunDetached, arguments};
use crate::record::Epochs;

/// How long a fresh process may take to write its record, and a killed one to be gone.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a program's log is quoted in an error, in bytes.
const LOG_TAIL_BYTES: usize = 2000;

/// Which process holds a record's lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`: with `boot_id` it tells a process from a later one of the same id.
    pub start_ticks: u64,
    pub boot_id: String,
    /// Microseconds since 1970.
    pub started_at_us: i64,
    /// For which epochs the process was started.
    pub epochs: Epochs,
}

/// What went wrong with a process.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("process record {path}: {source}")]
    Record { path: PathBuf, source: io::Error },
    #[error("cannot start {program:?}: {source}")]
    Spawn { program: OsString, source: io::Error },
    #[error("{program:?} ended at once: {log}")]
    EndedEarly { program: OsString, log: String },
    #[error("process {pid}: {source}")]
    Signal { pid: u32, source: io::Error },
    #[error("process {pid} is still there {} s after it was killed", SETTLE_TIMEOUT.as_secs())]
    Immortal { pid: u32 },
}

/// A living (or just ended) process.
#[derive(Debug)]
pub struct Process {
    pub identity: Identity,
    pidfd: AsyncFd<OwnedFd>,
    /// Held so that the process is reaped; `None` when it was adopted.
    child: Option<Child>,
}

/// How to start one.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The agent's own program, which becomes the other.
    pub jail_binary: &'a Path,
    pub options: RunDetached,
    /// Where the program's standard output and error are appended.
    pub log: &'a Path,
}

impl Process {
    /// Starts a program and waits until its record is written.
    ///
    /// # Errors
    /// The program cannot be started, or ended before it was one: the log tells why.
    pub async fn start(start: Start<'_>) -> Result<Self, ProcessError> {
        let program = start.options.command[0].clone();
        let fail = |source| ProcessError::Spawn { program: program.clone(), source };
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(start.log).map_err(fail)?;
        // What earlier runs said is not the reason why this one ends.
        log.set_len(0).map_err(fail)?;
        let mut child = Command::new(start.jail_binary)
            .args(arguments(&start.options))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(fail)?)
            .stderr(log)
            .kill_on_drop(false)
            .spawn()
            .map_err(fail)?;
        let record = &start.options.record;
        let deadline = tokio::time::Instant::now() + SETTLE_TIMEOUT;
        loop {
            if child.try_wait().map_err(fail)?.is_some() || tokio::time::Instant::now() > deadline {
                return Err(ProcessError::EndedEarly { program, log: log_tail(start.log) });
            }
            // Read without the lock: holding it even shortly would keep the child from taking it.
            let identity =
                std::fs::read(record).ok().and_then(|text| serde_json::from_slice::<Identity>(&text).ok());
            if let Some(identity) = identity.filter(|identity| Some(identity.pid) == child.id())
                && let Some(mut process) = Self::open(identity).map_err(fail)?
            {
                process.child = Some(child);
                return Ok(process);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The process that holds a record's lock, if any.
    ///
    /// # Errors
    /// The record cannot be read, or its lock is held by a process that is not the one it names.
    pub fn find(record: &Path) -> Result<Option<Self>, ProcessError> {
        let fail = |source| ProcessError::Record { path: record.into(), source };
        let mut file = match File::open(record) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        // Shared, so that two who look do not take each other for the process. Only the server's own task looks, and
        // never while it starts the program.
        match file.try_lock_shared() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(fail)?;
        // The lock is taken before the record is written: what is not readable yet is asked for again.
        let Ok(identity) = serde_json::from_str::<Identity>(&text) else { return Ok(None) };
        Self::open(identity).map_err(fail)
    }

    fn open(identity: Identity) -> io::Result<Option<Self>> {
        let pid = i32::try_from(identity.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        // Read after the pidfd was opened: if this is the process, the pidfd is its too.
        let same = boot_id()? == identity.boot_id
            && start_ticks(identity.pid).is_ok_and(|ticks| ticks == identity.start_ticks);
        if !same {
            return Ok(None);
        }
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for owners that change their descriptor; OwnedFd does not"
        )]
        let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
        Ok(Some(Self { identity, pidfd, child: None }))
    }

    /// Waits until the process has ended. May be dropped and called again.
    pub async fn ended(&self) {
        // A pidfd is readable from the process's end on (pidfd_open(2)); an error of the reactor is as final.
        let _ = self.pidfd.readable().await;
    }

    /// True while the process has not ended.
    pub fn is_alive(&mut self) -> bool {
        if let Some(child) = &mut self.child {
            let _ = child.try_wait();
        }
        start_ticks(self.identity.pid).is_ok_and(|ticks| ticks == self.identity.start_ticks)
    }

    /// Sends a signal; a process that has ended is as good.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        match pidfd_send_signal(self.pidfd.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(ProcessError::Signal { pid: self.identity.pid, source: errno.into() }),
        }
    }

    /// Ends the process: politely, and after `patience` by force. Returns when it is gone.
    ///
    /// # Errors
    /// The kernel does not end it.
    pub async fn stop(&mut self, patience: Duration) -> Result<(), ProcessError> {
        if !patience.is_zero() {
            self.signal(Signal::TERM)?;
            if tokio::time::timeout(patience, self.ended()).await.is_ok() {
                return self.gone().await;
            }
        }
        self.signal(Signal::KILL)?;
        let pid = self.identity.pid;
        tokio::time::timeout(SETTLE_TIMEOUT, self.ended())
            .await
            .map_err(|_| ProcessError::Immortal { pid })?;
        self.gone().await
    }

    async fn gone(&mut self) -> Result<(), ProcessError> {
        if let Some(child) = &mut self.child {
            let _ = child.wait().await;
        }
        Ok(())
    }

    /// Limits the size of the files that the process writes from now on, in bytes.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn limit_file_size(&self, limit_bytes: u64) -> Result<(), ProcessError> {
        let pid = i32::try_from(self.identity.pid).ok().and_then(Pid::from_raw);
        let limit = Rlimit { current: Some(limit_bytes), maximum: None };
        prlimit(pid, Resource::Fsize, limit)
            .map(drop)
            .map_err(|errno| ProcessError::Signal { pid: self.identity.pid, source: errno.into() })
    }
}

/// When a process started, in clock ticks since the host did; an error when there is none, or only its ashes.
///
/// # Errors
/// No such process, or one that has ended and waits to be reaped.
pub fn start_ticks(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in parentheses and may hold anything (proc_pid_stat(5)).
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect()).unwrap_or_default();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return Err(io::ErrorKind::NotFound.into());
    }
    fields.get(19).and_then(|ticks| ticks.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Differs from one start of the host to the next.
///
/// # Errors
/// procfs is not there.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The end of a log, as text.
pub fn log_tail(path: &Path) -> String {
    let content = std::fs::read(path).unwrap_or_default();
    let tail = &content[content.len().saturating_sub(LOG_TAIL_BYTES)..];
    String::from_utf8_lossy(tail).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::start_ticks;

    #[test]
    fn the_start_of_a_process_is_readable() {
        assert!(start_ticks(std::process::id()).unwrap() > 0);
        assert!(start_ticks(u32::MAX).is_err());
    }
}
