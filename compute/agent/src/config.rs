//! The agent's configuration file (TOML). Unknown keys are refused; [`Config::validate`] checks every range.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use updraft_base::HostId;

use crate::layout::{LONGEST_SOCKET_SUFFIX, UNIX_SOCKET_PATH_MAX};

/// Everything that the agent is told by the operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This host's id. When absent, one is made at the first start and kept in `state_dir`.
    #[serde(default)]
    pub host_id: Option<HostId>,
    /// The controller's endpoint, such as `http://127.0.0.1:8700`.
    pub controller_url: String,
    /// The authority whose certificate the controller shows, PEM; with it, nobody else is trusted. When absent, the
    /// authorities that the system trusts.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A file with this host's credential, in one line; in a second, where it differs, what the controller shows.
    pub credential_file: PathBuf,
    /// A file with the secret of `updraft host add`. It is used while there is no `credential_file`, to get one.
    #[serde(default)]
    pub enrolment_file: Option<PathBuf>,
    /// Where the agent answers the controller.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The certificate that the controller sees at `listen`; without it, `listen` must be a loopback address.
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    /// How the controller reaches `listen`; when absent, `http://` (or `https://`, with `tls`) and `listen`.
    #[serde(default)]
    pub agent_url: Option<String>,
    /// Disks, images, records: what must outlive a restart of the host.
    pub state_dir: PathBuf,
    /// Sockets. Short: the path of a unix socket has at most 107 bytes.
    pub run_dir: PathBuf,
    /// netd's control socket.
    pub netd_socket: PathBuf,
    /// Where the agent answers the guests' metadata requests that netd passes on.
    pub metadata_socket: PathBuf,
    #[serde(default = "default_blkd")]
    pub blkd_binary: PathBuf,
    #[serde(default = "default_qemu")]
    pub qemu_binary: PathBuf,
    #[serde(default)]
    pub accelerator: AcceleratorChoice,
    /// QEMU's name of the processor that guests see without KVM. The default is the oldest that has x86-64-v2, and
    /// runs about 15 % faster than `max`.
    #[serde(default = "default_tcg_cpu")]
    pub tcg_cpu_model: String,
    /// The cgroup2 folder under which the agent makes its own. When absent, the first cgroup2 mount.
    #[serde(default)]
    pub cgroup_parent: Option<PathBuf>,
    /// Guest processors offered for each processor of the host.
    #[serde(default = "default_cpu_overcommit")]
    pub cpu_overcommit: f64,
    /// Memory that is not offered to guests, in MiB.
    #[serde(default = "default_memory_reserve_mib")]
    pub memory_reserve_mib: u64,
    /// Space on `state_dir`'s file system that is not offered, and that no image download may use, in GiB.
    #[serde(default = "default_disk_reserve_gib")]
    pub disk_reserve_gib: u64,
    /// How long an image is kept after its last use, in seconds.
    #[serde(default = "default_image_keep_s")]
    pub image_keep_s: u64,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// Which accelerator guests run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceleratorChoice {
    /// KVM when a probe shows that it works, else TCG.
    #[default]
    Auto,
    Kvm,
    Tcg,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8701))
}
fn default_blkd() -> PathBuf {
    "updraft-blkd".into()
}
fn default_qemu() -> PathBuf {
    "qemu-system-x86_64".into()
}
fn default_tcg_cpu() -> String {
    "Nehalem".into()
}
fn default_cpu_overcommit() -> f64 {
    4.0
}
fn default_memory_reserve_mib() -> u64 {
    512
}
fn default_disk_reserve_gib() -> u64 {
    1
}
fn default_image_keep_s() -> u64 {
    3600
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path} cannot be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a valid configuration: {source}")]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{key}: {reason}")]
    Value { key: &'static str, reason: String },
}

impl Config {
    /// Reads and validates a configuration file.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML of this shape, or a value is out of its range.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.into(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.into(), source: Box::new(source) })?;
        config.validate()?;
        Ok(config)
    }

    /// Checks every value that a type cannot.
    ///
    /// # Errors
    /// The first value that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(self.controller_url.starts_with("http://") || self.controller_url.starts_with("https://")) {
            return refuse("controller_url", "must begin with http:// or https://");
        }
        if self.ca_file.is_some() && !self.controller_url.starts_with("https://") {
            return refuse("ca_file", "is of use only with a controller_url that begins with https://");
        }
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            return refuse("listen", "is not this machine's alone: [tls] is needed, for consoles pass there");
        }
        for (key, path) in [("state_dir", &self.state_dir), ("run_dir", &self.run_dir)] {
            if !path.is_absolute() {
                return refuse(key, "must be an absolute path");
            }
        }
        let run_dir_max = UNIX_SOCKET_PATH_MAX - LONGEST_SOCKET_SUFFIX;
        if self.run_dir.as_os_str().len() > run_dir_max {
            return refuse(
                "run_dir",
                format!("may have at most {run_dir_max} bytes, because of the sockets in it"),
            );
        }
        for (key, path) in [("netd_socket", &self.netd_socket), ("metadata_socket", &self.metadata_socket)] {
            if !path.is_absolute() || path.as_os_str().len() > UNIX_SOCKET_PATH_MAX {
                return refuse(
                    key,
                    format!("must be an absolute path of at most {UNIX_SOCKET_PATH_MAX} bytes"),
                );
            }
        }
        // QEMU separates options by commas; a path with one would need escaping wherever it is named.
        for (key, path) in [("state_dir", &self.state_dir), ("run_dir", &self.run_dir)] {
            if path.as_os_str().as_encoded_bytes().contains(&b',') {
                return refuse(key, "may not contain a comma");
            }
        }
        if !self.tcg_cpu_model.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            || self.tcg_cpu_model.is_empty()
        {
            return refuse("tcg_cpu_model", "must be the name of one of QEMU's processor models");
        }
        if !(1.0..=64.0).contains(&self.cpu_overcommit) {
            return refuse("cpu_overcommit", "must be from 1 to 64");
        }
        Ok(())
    }

    /// The authority that the controller's certificate must be of, if one is named.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn authority(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| ConfigError::Read { path: path.clone(), source })
        };
        self.ca_file.as_ref().map(read).transpose()
    }

    /// Reads the credentials.
    ///
    /// # Errors
    /// The file cannot be read, or does not hold one or two lines.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        let lines = secret_lines("credential_file", &self.credential_file)?;
        match lines.as_slice() {
            [both] => Ok(Credentials { own: both.clone(), controllers: both.clone() }),
            [own, controllers] => Ok(Credentials { own: own.clone(), controllers: controllers.clone() }),
            _ => Err(ConfigError::Value { key: "credential_file", reason: NOT_LINES.into() }),
        }
    }

    /// The secret to enrol with, while there is no credential; `None` when there is one, or no way to get one.
    ///
    /// # Errors
    /// The file cannot be read, or does not hold one line.
    pub fn enrolment(&self) -> Result<Option<String>, ConfigError> {
        let Some(file) = self.enrolment_file.as_ref().filter(|_| !self.credential_file.exists()) else {
            return Ok(None);
        };
        let lines = secret_lines("enrolment_file", file)?;
        Ok(lines.into_iter().next())
    }

    /// The address under which the controller reaches this agent.
    pub fn advertised_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.agent_url.clone().unwrap_or_else(|| format!("{scheme}://{}", self.listen))
    }
}

/// What host and controller prove themselves to each other with.
#[derive(Clone)]
pub struct Credentials {
    /// What this host shows to the controller.
    pub own: String,
    /// What the controller shows to this host.
    pub controllers: String,
}

/// They stay out of logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credentials(…)")
    }
}

const NOT_LINES: &str = "must hold one line of printable characters, or two";

fn secret_lines(key: &'static str, path: &Path) -> Result<Vec<String>, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    let is_secret = |line: &String| !line.is_empty() && line.bytes().all(|b| b.is_ascii_graphic());
    if lines.is_empty() || lines.len() > 2 || !lines.iter().all(is_secret) {
        return Err(ConfigError::Value { key, reason: NOT_LINES.into() });
    }
    Ok(lines)
}

fn refuse(key: &'static str, reason: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::Value { key, reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::Config;

    const GOOD: &str = r#"
        controller_url = "http://127.0.0.1:8700"
        credential_file = "/etc/updraft/credential"
        state_dir = "/var/lib/updraft/agent"
        run_dir = "/run/updraft"
        netd_socket = "/run/updraft/netd.sock"
        metadata_socket = "/run/updraft/metadata.sock"
    "#;

    fn check(text: &str) -> Result<(), String> {
        toml::from_str::<Config>(text)
            .map_err(|error| error.to_string())
            .and_then(|config| config.validate().map_err(|error| error.to_string()))
    }

    #[test]
    fn defaults_are_valid() {
        assert_eq!(check(GOOD), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!("/{}", "x".repeat(80));
        for (from, to, expected) in [
            ("controller_url =", "controler_url =", "controler_url"),
            ("http://127.0.0.1:8700", "ftp://x", "controller_url"),
            ("credential_file", "ca_file = \"/etc/ca.pem\"\ncredential_file", "ca_file"),
            ("credential_file", "listen = \"0.0.0.0:8701\"\ncredential_file", "listen"),
            ("\"/run/updraft\"", "\"run\"", "run_dir"),
            ("\"/run/updraft\"", &format!("\"{long}\""), "run_dir: may have at most"),
            ("\"/run/updraft\"", "\"/run/a,b\"", "comma"),
            ("state_dir", "cpu_overcommit = 0.5\nstate_dir", "cpu_overcommit"),
            ("state_dir", "accelerator = \"xen\"\nstate_dir", "xen"),
        ] {
            let error = check(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
