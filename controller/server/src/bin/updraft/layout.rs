//! Where everything lies below the state folder. This is the only place that spells file names.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The longest state folder, in bytes: the sockets below it must fit the 108 bytes of `sockaddr_un` (unix(7)).
const MAX_STATE_DIR_BYTES: usize = 48;

pub struct Layout {
    pub state_dir: PathBuf,
}

impl Layout {
    /// # Errors
    /// The path is relative and the working folder is gone, or the path is too long for the sockets below it.
    pub fn new(state_dir: &Path) -> Result<Self, Error> {
        let state_dir = std::path::absolute(state_dir).map_err(Error::path("find", state_dir))?;
        let length = state_dir.as_os_str().len();
        if length > MAX_STATE_DIR_BYTES {
            return Err(Error::Requirement(format!(
                "the state folder {} is {length} bytes long; sockets below it allow at most {MAX_STATE_DIR_BYTES}",
                state_dir.display()
            )));
        }
        Ok(Self { state_dir })
    }

    pub fn cloud_file(&self) -> PathBuf {
        self.state_dir.join("cloud.toml")
    }
    pub fn config(&self, process: &str) -> PathBuf {
        self.state_dir.join("etc").join(format!("{process}.toml"))
    }
    pub fn log(&self, process: &str) -> PathBuf {
        self.state_dir.join("log").join(format!("{process}.log"))
    }
    pub fn run_dir(&self) -> PathBuf {
        self.state_dir.join("run")
    }
    pub fn supervisor_file(&self) -> PathBuf {
        self.run_dir().join("supervisor.json")
    }
    pub fn netd_socket(&self) -> PathBuf {
        self.run_dir().join("netd.sock")
    }
    pub fn metadata_socket(&self) -> PathBuf {
        self.run_dir().join("metadata.sock")
    }
    pub fn admin_password_file(&self) -> PathBuf {
        self.state_dir.join("secrets/admin-password")
    }
    pub fn host_credential_file(&self) -> PathBuf {
        self.state_dir.join("secrets/host-credential")
    }
    /// The certificate authority's files.
    pub fn tls_dir(&self) -> PathBuf {
        self.state_dir.join("tls")
    }
    /// What the controller derives from, for the agents of hosts that enrolled.
    pub fn host_key_file(&self) -> PathBuf {
        self.state_dir.join("secrets/host-key")
    }
    /// What is to be carried to a host of this name, to let it in.
    pub fn enrolment_dir(&self, host: &str) -> PathBuf {
        self.state_dir.join("secrets").join(format!("enrol-{host}"))
    }
    pub fn component_dir(&self, process: &str) -> PathBuf {
        self.state_dir.join(process)
    }

    /// Makes the folders that every process expects. Secrets are readable by their owner only.
    ///
    /// # Errors
    /// The file system's.
    pub fn create(&self) -> Result<(), Error> {
        let folders = ["etc", "log", "run", "secrets", "controller", "agent", "netd"];
        for folder in folders {
            let path = self.state_dir.join(folder);
            fs::create_dir_all(&path).map_err(Error::path("make folder", &path))?;
        }
        let secrets = self.state_dir.join("secrets");
        fs::set_permissions(&secrets, fs::Permissions::from_mode(0o700))
            .map_err(Error::path("protect", &secrets))
    }

    /// The secret in `path`; made at random (244 bits) when there is none.
    ///
    /// # Errors
    /// The file system's.
    pub fn ensure_secret(&self, path: &Path) -> Result<String, Error> {
        if let Ok(secret) = fs::read_to_string(path) {
            return Ok(secret.trim().to_owned());
        }
        let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::path("make", path))?;
        writeln!(file, "{secret}").map_err(Error::path("write", path))?;
        Ok(secret)
    }
}

/// Replaces a file that only its owner may read, as one step.
///
/// # Errors
/// The file system's.
pub fn write_secret(path: &Path, content: &str) -> Result<(), Error> {
    let temporary = path.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(Error::path("make", &temporary))?;
    file.write_all(content.as_bytes()).map_err(Error::path("write", &temporary))?;
    file.sync_all().map_err(Error::path("write", &temporary))?;
    fs::rename(&temporary, path).map_err(Error::path("replace", path))
}

/// Replaces a file as one step: readers see the old content or the new one, never a part.
///
/// # Errors
/// The file system's.
pub fn write_atomically(path: &Path, content: &str) -> Result<(), Error> {
    let temporary = path.with_extension("new");
    fs::write(&temporary, content).map_err(Error::path("write", &temporary))?;
    fs::rename(&temporary, path).map_err(Error::path("replace", path))
}
