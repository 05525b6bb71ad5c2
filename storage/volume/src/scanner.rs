//! The scanner as a program of its own: a process that has one open file and can do nothing but read it.
//!
//! [`run`] gives away every right first ([`enter_jail`]): no more than 256 MiB and 30 s of processor time, no file
//! system (Landlock), and of the system calls only those that reading, memory and leaving need (seccomp; any other
//! kills the process). Then it looks at its standard input, and says on its standard output what it found.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;

use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use serde::{Deserialize, Serialize};

use crate::inspect::{InspectError, inspect};

/// The address space of a scan, in bytes.
pub const MAX_MEMORY_BYTES: u64 = 256 << 20;
/// The processor time of a scan, in seconds.
pub const MAX_CPU_S: u64 = 30;

/// What the scanner says, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The file is of this format (by the image API's name) and holds a disk of this size.
    Accepted { format: String, virtual_size_bytes: u64 },
    /// The reason is fit for the tenant who sent the file.
    Refused { reason: String },
    /// The file cannot be read.
    Failed { reason: String },
}

/// Why the jail could not be entered; nothing was scanned then.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    #[error("cannot limit {what}")]
    Limit { what: &'static str, source: rustix::io::Errno },
    #[error("cannot close the file system")]
    Landlock { source: landlock::RulesetError },
    #[error("cannot filter system calls")]
    Seccomp { source: seccompiler::Error },
    #[error("system calls cannot be filtered on {0}")]
    Architecture(&'static str),
    #[error("cannot answer")]
    Answer { source: io::Error },
}

/// Looks at a file.
pub fn scan<R: Read + Seek>(file: &mut R) -> Verdict {
    match inspect(file) {
        Ok(found) => Verdict::Accepted {
            format: found.format.name().to_owned(),
            virtual_size_bytes: found.virtual_size_bytes,
        },
        Err(InspectError::Io(error)) => Verdict::Failed { reason: error.to_string() },
        Err(refusal) => Verdict::Refused { reason: refusal.to_string() },
    }
}

/// Scans standard input in the jail and writes the [`Verdict`] to standard output.
///
/// # Errors
/// See [`JailError`].
pub fn run() -> Result<(), JailError> {
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(|source| JailError::Answer { source })?;
    let mut file = File::from(input);
    enter_jail()?;
    let answer = serde_json::to_vec(&scan(&mut file)).unwrap_or_default();
    let mut output = io::stdout().lock();
    output.write_all(&answer).and_then(|()| output.flush()).map_err(|source| JailError::Answer { source })
}

/// Gives away what reading an open file does not need, for this thread and for good.
///
/// # Errors
/// The kernel lacks a part of it.
pub fn enter_jail() -> Result<(), JailError> {
    let filter = filter()?;
    for (resource, limit, what) in [
        (Resource::As, MAX_MEMORY_BYTES, "memory"),
        (Resource::Cpu, MAX_CPU_S, "processor time"),
        (Resource::Fsize, 0, "files' sizes"),
        (Resource::Core, 0, "core dumps"),
    ] {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        setrlimit(resource, limit).map_err(|source| JailError::Limit { what, source })?;
    }
    let closed = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V3))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    closed.map_err(|source| JailError::Landlock { source })?;
    apply_filter(&filter).map_err(|source| JailError::Seccomp { source })
}

/// System calls of a scan: read, allocate, answer, leave.
const ALLOWED: [i64; 20] = [
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

fn filter() -> Result<BpfProgram, JailError> {
    let arch = std::env::consts::ARCH;
    let target = arch.try_into().map_err(|_| JailError::Architecture(arch))?;
    let rules = ALLOWED.iter().map(|number| (*number, Vec::new())).collect();
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, target);
    let compiled = filter.and_then(BpfProgram::try_from);
    compiled.map_err(|source| JailError::Seccomp { source: source.into() })
}
