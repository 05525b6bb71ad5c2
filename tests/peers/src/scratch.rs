use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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

/// A server's folder, which does not outlive us. Statics are not dropped at the end of a test program, and a killed one
/// drops nothing at all: a shell waits for our end instead.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: TempDir,
    janitor: Child,
}

impl Scratch {
    pub fn new(name: &str) -> Self {
        let directory = tempfile::Builder::new().prefix(&format!("updraft-{name}-")).tempdir().unwrap();
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

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ended = self.janitor.wait();
    }
}
