use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

/// Waits until its standard input is closed, which happens when we exit, whatever the reason; then ends what still runs
/// (the process groups in `*.pid`) and removes the folder.
const JANITOR: &str = r#"
cat >/dev/null
for file in "$1"/*.pid; do
    [ -s "$file" ] && kill -s KILL -- "-$(cat "$file")" 2>/dev/null
done
sleep 0.2
rm -rf "$1"
"#;

/// A file system in memory: on a disk, making a hundred tables takes a second. A killed server finds its files again,
/// as they are the kernel's.
const MEMORY: &str = "/dev/shm";
/// So much has to be free there, in bytes; a container may have next to nothing.
const MEMORY_BYTES: u64 = 2 << 30;

/// A server's folder, which does not outlive us. Statics are not dropped at the end of a test program, and a killed one
/// drops nothing at all: a shell waits for our end instead.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: TempDir,
    janitor: Child,
}

impl Scratch {
    pub fn new(name: &str) -> Self {
        let directory = quick_folder(name);
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not in our process group, so that a Ctrl-C or a killed group spares it.
            .process_group(0)
            .spawn()
            .unwrap();
        Self { directory, janitor }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A folder for files that are to outlive a killed process, not a power cut: in memory where there is room for it.
pub fn quick_folder(name: &str) -> TempDir {
    tempfile::Builder::new().prefix(&format!("updraft-{name}-")).tempdir_in(place()).unwrap()
}

/// Memory where there is room, else where temporary files go.
fn place() -> PathBuf {
    let free_bytes = statvfs(MEMORY).map(|found| found.blocks_available() * found.fragment_size());
    match free_bytes {
        Ok(MEMORY_BYTES..) => MEMORY.into(),
        _ => std::env::temp_dir(),
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ended = self.janitor.wait();
    }
}
