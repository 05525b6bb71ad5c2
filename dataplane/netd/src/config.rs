//! netd's own configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use updraft_net::respond::ResponderConfig;
use updraft_net::{NetworkSettings, UplinkSettings};

/// Resolvers that are asked; more would only make a failing look-up slower.
const MAX_UPSTREAMS: usize = 8;
/// Receive queues of the uplink that are served.
const MAX_UPLINK_QUEUES: u32 = 16;

/// The file's content. Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the agent speaks to netd.
    pub control_socket: PathBuf,
    /// Where the last configuration is kept.
    pub state_dir: PathBuf,
    /// A directory in bpffs of netd's own, for tables and program. Needed with an uplink.
    pub bpffs_dir: Option<PathBuf>,
    /// Where the agent takes metadata requests.
    pub metadata_socket: PathBuf,
    /// Resolvers for what is no name of a guest's network, such as `192.0.2.53:53`. May be empty: then only those
    /// names are answered.
    #[serde(default)]
    pub dns_upstreams: Vec<SocketAddr>,
    /// Threads that forward packets.
    #[serde(default = "default_workers")]
    pub workers: usize,
    /// Absent on a host without an external interface.
    pub uplink: Option<Uplink>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplink {
    pub interface: String,
    /// Where the interface's network namespace is mounted; absent: netd's own.
    pub netns: Option<PathBuf>,
    #[serde(default = "default_queues")]
    pub queues: u32,
}

fn default_workers() -> usize {
    1
}

fn default_queues() -> u32 {
    1
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not a configuration", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{}: {key} {problem}", path.display())]
    Value { path: PathBuf, key: &'static str, problem: String },
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// It cannot be read, is no TOML, has unknown keys or values out of range.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        config.validate().map_err(|(key, problem)| ConfigError::Value {
            path: path.to_owned(),
            key,
            problem,
        })?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), (&'static str, String)> {
        let range = |key, value: usize, limit: usize| {
            if (1..=limit).contains(&value) {
                Ok(())
            } else {
                Err((key, format!("is {value}, not 1 to {limit}")))
            }
        };
        range("workers", self.workers, updraft_net::network::MAX_WORKERS)?;
        if self.dns_upstreams.len() > MAX_UPSTREAMS {
            return Err(("dns_upstreams", format!("are more than {MAX_UPSTREAMS}")));
        }
        if let Some(uplink) = &self.uplink {
            range("uplink.queues", uplink.queues as usize, MAX_UPLINK_QUEUES as usize)?;
            if self.bpffs_dir.is_none() {
                return Err(("bpffs_dir", "is missing, and the uplink needs it".into()));
            }
        }
        Ok(())
    }

    /// What the network is started with.
    pub fn settings(&self) -> NetworkSettings {
        let uplink =
            self.uplink.clone().zip(self.bpffs_dir.clone()).map(|(uplink, bpffs_dir)| UplinkSettings {
                interface: uplink.interface,
                netns: uplink.netns,
                queues: uplink.queues,
                bpffs_dir,
            });
        let responders = ResponderConfig {
            dns_upstreams: self.dns_upstreams.clone(),
            metadata_socket: self.metadata_socket.clone(),
        };
        NetworkSettings { uplink, responders, workers: self.workers }
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    const GOOD: &str =
        "control_socket = '/run/n.sock'\nstate_dir = '/var/lib/n'\nmetadata_socket = '/run/m.sock'\n";

    fn read(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::read(file.path()).map_err(|error| crate::control::with_sources(&error))
    }

    #[test]
    fn reads_what_is_there_and_fills_in_the_rest() {
        let config = read(&format!(
            "{GOOD}bpffs_dir = '/sys/fs/bpf/n'\ndns_upstreams = ['192.0.2.1:53']\n[uplink]\ninterface = 'up0'\n"
        ));
        let settings = config.unwrap().settings();
        assert_eq!(settings.workers, 1);
        assert_eq!(settings.uplink.unwrap().queues, 1);
        assert!(read(GOOD).unwrap().settings().uplink.is_none());
    }

    #[test]
    fn says_what_is_wrong() {
        for (addition, complaint) in [
            ("colour = 'red'\n", "colour"),
            ("workers = 0\n", "workers"),
            ("workers = 99\n", "workers"),
            ("dns_upstreams = ['resolver']\n", "dns_upstreams"),
            ("[uplink]\ninterface = 'up0'\n", "bpffs_dir"),
            ("[uplink]\ninterface = 'up0'\nspeed = 1\n", "speed"),
        ] {
            let reason = read(&format!("{GOOD}{addition}")).expect_err(addition);
            assert!(reason.contains(complaint), "{addition}: {reason}");
        }
        assert!(read("workers = 1\n").unwrap_err().contains("control_socket"));
    }
}
