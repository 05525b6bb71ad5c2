//! Where everything of the agent lies. Ids in paths are typed: no string of a tenant reaches the file system.
//!
//! ```text
//! state_dir/  host-id  plan.json
//!             images/<image>/{image.part, base…}
//!             servers/<server>/{record.json, <disk>.volume…, config-drive.iso, console.log, console.log.1,
//!                               qemu.process, qemu.log, blkd.process, blkd.json, blkd.log}
//! run_dir/    <server>/{qmp, vnc, tty, root, config, blkd}      ports/<port>
//! ```

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use updraft_base::{DiskId, HostId, ImageId, PortId, ServerId};

/// The longest path of a unix socket that the kernel takes, in bytes (unix(7): 108 with the final zero).
pub const UNIX_SOCKET_PATH_MAX: usize = 107;
/// The longest that the agent appends to `run_dir` for a socket: `/<uuid>/config`, in bytes.
pub const LONGEST_SOCKET_SUFFIX: usize = 1 + 36 + 1 + 6;

/// The names of all files and sockets.
#[derive(Clone, Debug)]
pub struct Layout {
    state_dir: PathBuf,
    run_dir: PathBuf,
}

impl Layout {
    pub fn new(state_dir: &Path, run_dir: &Path) -> Self {
        Self { state_dir: state_dir.into(), run_dir: run_dir.into() }
    }

    /// Makes the folders that everything else lies in, for root alone.
    ///
    /// # Errors
    /// The file system's own.
    pub fn create(&self) -> io::Result<()> {
        for dir in
            [&self.state_dir, &self.servers_dir(), &self.images_dir(), &self.run_dir, &self.ports_dir()]
        {
            create_private_dir(dir)?;
        }
        Ok(())
    }

    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }
    pub fn plan_file(&self) -> PathBuf {
        self.state_dir.join("plan.json")
    }
    pub fn images_dir(&self) -> PathBuf {
        self.state_dir.join("images")
    }
    pub fn image_dir(&self, id: ImageId) -> PathBuf {
        self.images_dir().join(id.to_string())
    }
    pub fn servers_dir(&self) -> PathBuf {
        self.state_dir.join("servers")
    }
    pub fn server_dir(&self, id: ServerId) -> PathBuf {
        self.servers_dir().join(id.to_string())
    }
    pub fn record(&self, id: ServerId) -> PathBuf {
        self.server_dir(id).join("record.json")
    }
    pub fn root_disk(&self, id: ServerId, disk: DiskId) -> PathBuf {
        self.server_dir(id).join(format!("{disk}.volume"))
    }
    pub fn config_drive(&self, id: ServerId) -> PathBuf {
        self.server_dir(id).join("config-drive.iso")
    }
    pub fn console_log(&self, id: ServerId) -> PathBuf {
        self.server_dir(id).join("console.log")
    }
    pub fn qemu_process(&self, id: ServerId) -> PathBuf {
        self.server_dir(id).join("qemu.process")
    }
    pub fn qemu_log(&self, id: ServerId) -> PathBuf {
        self.server_dir(id).join("qemu.log")
    }
    pub fn blkd_process(&self, id: ServerId) -> PathBuf {
        self.server_dir(id).join("blkd.process")
    }
    pub fn blkd_config(&self, id: ServerId) -> PathBuf {
        self.server_dir(id).join("blkd.json")
    }
    pub fn blkd_log(&self, id: ServerId) -> PathBuf {
        self.server_dir(id).join("blkd.log")
    }

    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }
    pub fn server_run_dir(&self, id: ServerId) -> PathBuf {
        self.run_dir.join(id.to_string())
    }
    pub fn qmp_socket(&self, id: ServerId) -> PathBuf {
        self.server_run_dir(id).join("qmp")
    }
    pub fn vnc_socket(&self, id: ServerId) -> PathBuf {
        self.server_run_dir(id).join("vnc")
    }
    pub fn serial_socket(&self, id: ServerId) -> PathBuf {
        self.server_run_dir(id).join("tty")
    }
    pub fn root_disk_socket(&self, id: ServerId) -> PathBuf {
        self.server_run_dir(id).join("root")
    }
    pub fn config_drive_socket(&self, id: ServerId) -> PathBuf {
        self.server_run_dir(id).join("config")
    }
    pub fn blkd_socket(&self, id: ServerId) -> PathBuf {
        self.server_run_dir(id).join("blkd")
    }
    pub fn ports_dir(&self) -> PathBuf {
        self.run_dir.join("ports")
    }
    pub fn port_socket(&self, id: PortId) -> PathBuf {
        self.ports_dir().join(id.to_string())
    }

    /// The host's id: `configured`, else the one kept in the state folder, else a new one, which is kept.
    ///
    /// # Errors
    /// The file system's own, or a kept id that is no id.
    pub fn host_id(&self, configured: Option<HostId>) -> io::Result<HostId> {
        let file = self.state_dir.join("host-id");
        let kept = match std::fs::read_to_string(&file) {
            Ok(text) => Some(text.trim().parse().map_err(io::Error::other)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let id = configured.or(kept).unwrap_or_else(HostId::random);
        if kept != Some(id) {
            write_durably(&file, format!("{id}\n").as_bytes())?;
        }
        Ok(id)
    }
}

/// Makes a folder, and those above it, that only its owner may enter.
///
/// # Errors
/// The file system's own.
pub fn create_private_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Replaces a file so that after a crash either the old or the new content is there: write beside, fsync, rename,
/// fsync the folder.
///
/// # Errors
/// The file system's own; the old content is then still there.
pub fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
        return written;
    }
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::File::open(dir)?.sync_all()
}

/// The ids that name the entries of a folder; entries with other names are not ours and left out.
pub fn ids_in<T: std::str::FromStr>(dir: &Path) -> Vec<T> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Removes a file or folder, with all that is in it; nothing there is as good.
///
/// # Errors
/// The file system's own.
pub fn remove(path: &Path) -> io::Result<()> {
    let result = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_SOCKET_SUFFIX, Layout, ids_in, remove, write_durably};
    use std::path::Path;
    use updraft_base::{HostId, PortId, ServerId};

    #[test]
    fn no_socket_path_is_longer_than_promised() {
        let layout = Layout::new(Path::new("/s"), Path::new("/r"));
        let id = ServerId::random();
        for socket in [
            layout.qmp_socket(id),
            layout.vnc_socket(id),
            layout.serial_socket(id),
            layout.root_disk_socket(id),
            layout.config_drive_socket(id),
            layout.blkd_socket(id),
            layout.port_socket(PortId::random()),
        ] {
            assert!(socket.as_os_str().len() <= "/r".len() + LONGEST_SOCKET_SUFFIX, "{}", socket.display());
        }
    }

    #[test]
    fn the_host_keeps_its_id() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        let made = layout.host_id(None).unwrap();
        assert_eq!(layout.host_id(None).unwrap(), made);
        let configured = HostId::random();
        assert_eq!(layout.host_id(Some(configured)).unwrap(), configured);
    }

    #[test]
    fn files_are_replaced_whole_and_removed_twice() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f.json");
        write_durably(&file, b"one").unwrap();
        write_durably(&file, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        remove(&file).unwrap();
        remove(&file).unwrap();
        assert!(ids_in::<ServerId>(dir.path()).is_empty());
    }
}
