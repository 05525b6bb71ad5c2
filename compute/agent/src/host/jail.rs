//! The last thing that runs of the agent before QEMU or blkd does: `updraft-agent run-detached …`.
//!
//! It takes the lock on the server's process record, leaves the agent's session and cgroup, writes into the record
//! who it is, and becomes the program. The lock passes to the program and ends with it. So the kernel itself sees to
//! it that no server runs twice, and whoever finds a process by its record finds one that stands apart from the agent
//! already, even when the agent was killed between starting a program and noting that it did.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};

use crate::host::process::{Identity, boot_id, start_ticks};
use crate::record::Epochs;

/// Exit status when the record's lock is held: the program runs already.
pub const EXIT_RUNS_ALREADY: u8 = 75;
/// Exit status when the program could not be started, as of a shell.
pub const EXIT_NOT_STARTED: u8 = 127;

/// What to run and how.
#[derive(Clone, Debug, clap::Args)]
pub struct RunDetached {
    /// The process record: locked, then written.
    #[arg(long)]
    pub record: PathBuf,
    /// Noted in the record.
    #[arg(long, default_value_t = 0)]
    pub start_epoch: u64,
    /// Noted in the record.
    #[arg(long, default_value_t = 0)]
    pub soft_reboot_epoch: u64,
    /// The cgroup (v2) folder to move into.
    #[arg(long)]
    pub cgroup: Option<PathBuf>,
    /// The largest file that the program may write, in bytes. Beyond it a write fails; the program is not killed.
    #[arg(long)]
    pub file_size_limit_bytes: Option<u64>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Why the program did not start.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    #[error("{0} is locked: the program runs already")]
    RunsAlready(PathBuf),
    #[error("{path}: {source}")]
    Record { path: PathBuf, source: io::Error },
    #[error("cannot move into cgroup {path}: {source}")]
    Cgroup { path: PathBuf, source: io::Error },
    #[error("cannot {what}: {source}")]
    Kernel { what: &'static str, source: io::Error },
    #[error("cannot start {program:?}: {source}")]
    Exec { program: OsString, source: io::Error },
}

impl RunDetached {
    /// Becomes the program. Returns only when it could not.
    pub fn run(&self) -> JailError {
        match self.prepare() {
            Ok(_lock) => {
                let (program, arguments) = (&self.command[0], &self.command[1..]);
                let mut command = if self.file_size_limit_bytes.is_some() {
                    // A write beyond the limit must fail, not kill.
                    let mut command = Command::new("env");
                    command.arg("--ignore-signal=XFSZ").arg(program);
                    command
                } else {
                    Command::new(program)
                };
                let source = command.args(arguments).exec();
                JailError::Exec { program: program.clone(), source }
            }
            Err(error) => error,
        }
    }

    fn prepare(&self) -> Result<File, JailError> {
        let mut lock = self.lock()?;
        let kernel = |what| move |errno: rustix::io::Errno| JailError::Kernel { what, source: errno.into() };
        // The agent starts this as a fresh child, which leads no process group; it may always lead a session.
        setsid().map_err(kernel("leave the session"))?;
        if let Some(cgroup) = &self.cgroup {
            std::fs::write(cgroup.join("cgroup.procs"), "0")
                .map_err(|source| JailError::Cgroup { path: cgroup.clone(), source })?;
        }
        if let Some(limit) = self.file_size_limit_bytes {
            let maximum = getrlimit(Resource::Fsize).maximum;
            setrlimit(Resource::Fsize, Rlimit { current: Some(limit), maximum })
                .map_err(kernel("limit the size of files"))?;
        }
        // Last: who reads it takes what is above for done.
        self.write_identity(&mut lock).map_err(self.of_record())?;
        Ok(lock)
    }

    fn of_record(&self) -> impl Fn(io::Error) -> JailError {
        |source| JailError::Record { path: self.record.clone(), source }
    }

    /// Takes the record's lock, which stays with the program.
    fn lock(&self) -> Result<File, JailError> {
        let fail = self.of_record();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.record)
            .map_err(&fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JailError::RunsAlready(self.record.clone())),
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        fcntl_setfd(&file, FdFlags::empty()).map_err(|errno| fail(errno.into()))?;
        Ok(file)
    }

    fn write_identity(&self, file: &mut File) -> io::Result<()> {
        let pid = std::process::id();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let identity = Identity {
            pid,
            start_ticks: start_ticks(pid)?,
            boot_id: boot_id()?,
            started_at_us: i64::try_from(now.as_micros()).unwrap_or(i64::MAX),
            epochs: Epochs { start: self.start_epoch, soft_reboot: self.soft_reboot_epoch },
        };
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&serde_json::to_vec(&identity)?)?;
        file.sync_all()
    }
}

/// The arguments with which the agent calls itself to run `command` detached.
pub fn arguments(options: &RunDetached) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        vec!["run-detached".into(), "--record".into(), options.record.clone().into()];
    let mut push = |key: &str, value: &Path| arguments.extend([key.into(), value.into()]);
    push("--start-epoch", options.start_epoch.to_string().as_ref());
    push("--soft-reboot-epoch", options.soft_reboot_epoch.to_string().as_ref());
    if let Some(cgroup) = &options.cgroup {
        push("--cgroup", cgroup);
    }
    if let Some(limit) = options.file_size_limit_bytes {
        push("--file-size-limit-bytes", limit.to_string().as_ref());
    }
    arguments.push("--".into());
    arguments.extend(options.command.iter().cloned());
    arguments
}
