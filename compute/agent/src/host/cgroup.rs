//! One cgroup (v2) for each QEMU and each blkd, apart from the agent's own: whoever stops the agent by its cgroup
//! does not reach the guests, and what belongs to a server can be found and ended as a whole.
//!
//! `<cgroup2 mount>/updraft-<host>/server-<id>/{qemu,blkd}`. Where no cgroup can be made the host works without, and
//! says so once.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_base::{HostId, ServerId};

/// How long the kernel may take to let go of a cgroup whose processes have ended.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(5);

/// The agent's cgroups.
#[derive(Clone, Debug)]
pub struct Cgroups {
    /// `None` when this host has none.
    root: Option<PathBuf>,
}

impl Cgroups {
    /// Makes the agent's root, under `parent` or else under the first cgroup2 mount. The second value tells why
    /// there is none.
    pub fn open(parent: Option<&Path>, host: HostId) -> (Self, Option<String>) {
        let Some(parent) = parent.map(Path::to_path_buf).or_else(find_mount) else {
            return (Self { root: None }, Some("no cgroup2 file system is mounted".into()));
        };
        let short = &host.0.simple().to_string()[..8];
        let root = parent.join(format!("updraft-{short}"));
        match std::fs::create_dir_all(&root) {
            Ok(()) => (Self { root: Some(root) }, None),
            Err(error) => (Self { root: None }, Some(format!("{}: {error}", root.display()))),
        }
    }

    /// The cgroup of one program of a server, made if need be; `None` on a host without.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn ensure(&self, server: ServerId, program: &str) -> io::Result<Option<PathBuf>> {
        let Some(dir) = self.server(server) else { return Ok(None) };
        let leaf = dir.join(program);
        std::fs::create_dir_all(&leaf)?;
        Ok(Some(leaf))
    }

    /// A server's cgroup, when it exists.
    pub fn existing(&self, server: ServerId) -> Option<PathBuf> {
        self.server(server).filter(|dir| dir.exists())
    }

    /// The servers that have a cgroup here.
    pub fn servers(&self) -> Vec<ServerId> {
        let entries = self.root.as_ref().and_then(|root| std::fs::read_dir(root).ok());
        entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("server-")?.parse().ok())
            .collect()
    }

    /// Ends whatever is left in a server's cgroup and removes it.
    ///
    /// # Errors
    /// The kernel does not let go of it in time.
    pub async fn remove(&self, server: ServerId) -> io::Result<()> {
        let Some(dir) = self.existing(server) else { return Ok(()) };
        let _ = std::fs::write(dir.join("cgroup.kill"), "1");
        let deadline = tokio::time::Instant::now() + EMPTY_TIMEOUT;
        loop {
            match remove_tree(&dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(_) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                other => return other,
            }
        }
    }

    /// Removes the agent's root when nothing is left in it; else leaves it.
    pub fn remove_root_if_empty(&self) {
        if let Some(root) = &self.root {
            let _ = std::fs::remove_dir(root);
        }
    }

    fn server(&self, server: ServerId) -> Option<PathBuf> {
        self.root.as_ref().map(|root| root.join(format!("server-{server}")))
    }
}

/// Removes a cgroup and those in it: their files are the kernel's and go with the folders.
fn remove_tree(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)?.flatten() {
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir(entry.path())?;
        }
    }
    std::fs::remove_dir(dir)
}

/// The first cgroup2 mount (proc_pid_mountinfo(5): the type is the first field after the lone dash).
fn find_mount() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (fields, rest) = line.split_once(" - ")?;
        rest.starts_with("cgroup2 ").then(|| fields.split(' ').nth(4).map(PathBuf::from))?
    })
}
