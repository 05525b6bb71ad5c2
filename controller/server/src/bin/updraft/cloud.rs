//! What this cloud was set up with: written by the first `updraft up`, read by every later command.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::authority::Authority;
use crate::error::Error;
use crate::layout::{Layout, write_atomically};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cloud {
    /// Prefix of what the cloud names on the machine: network namespaces, pinned maps, control groups.
    pub name: String,
    /// Where the APIs are served.
    pub listen: SocketAddr,
    /// Where the agent answers the controller.
    pub agent_listen: SocketAddr,
    /// The external network: floating IPs and router gateways are taken from it, its first address is the
    /// machine's own end.
    pub external_cidr: Ipv4Net,
    /// Where the DNS responder of tenants' networks forwards to; empty forwards nowhere.
    pub dns_upstreams: Vec<SocketAddr>,
    /// Whether the APIs are served with TLS, by a certificate of the cloud's own authority.
    #[serde(default)]
    pub tls: bool,
    /// What else clients call the machine, for its certificate.
    #[serde(default)]
    pub tls_names: Vec<String>,
}

impl Cloud {
    pub fn load(layout: &Layout) -> Result<Self, Error> {
        let path = layout.cloud_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoCloud { state_dir: layout.state_dir.clone() });
            }
            Err(error) => return Err(Error::path("read", &path)(error)),
        };
        toml::from_str(&text).map_err(Error::bad_file(&path))
    }

    pub fn save(&self, layout: &Layout) -> Result<(), Error> {
        let path = layout.cloud_file();
        let text = toml::to_string(self).map_err(Error::bad_file(&path))?;
        write_atomically(&path, &text)
    }

    pub fn endpoint(&self) -> String {
        self.url(self.listen)
    }

    /// Where this machine's agent is reached from this machine.
    pub fn agent_endpoint(&self) -> String {
        self.url(self.agent_listen)
    }

    fn url(&self, mut listen: SocketAddr) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        if listen.ip().is_unspecified() {
            let loopback =
                if listen.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            listen.set_ip(loopback);
        }
        format!("{scheme}://{listen}")
    }

    /// An HTTP client that trusts this cloud, and nobody else where it has TLS.
    ///
    /// # Errors
    /// The authority's certificate cannot be read.
    pub fn client(&self, layout: &Layout) -> Result<reqwest::ClientBuilder, Error> {
        let builder = reqwest::Client::builder().no_proxy();
        if !self.tls {
            return Ok(builder);
        }
        let file = Authority::new(layout, self).certificate_file();
        let pem = fs::read(&file).map_err(Error::path("read", &file))?;
        let root = reqwest::Certificate::from_pem(&pem).map_err(Error::bad_file(&file))?;
        Ok(builder.tls_certs_only([root]))
    }

    /// Name of the namespace that plays the outside world.
    pub fn external_namespace(&self) -> String {
        format!("{}-ext", self.name)
    }

    /// Name of the namespace that holds the uplink interface, and nothing else.
    pub fn uplink_namespace(&self) -> String {
        format!("{}-dp", self.name)
    }

    /// The gateway of the external network: the outside world's own address.
    pub fn external_gateway(&self) -> Ipv4Addr {
        self.external_cidr.hosts().next().unwrap_or(self.external_cidr.network())
    }

    pub fn bpffs_dir(&self) -> PathBuf {
        PathBuf::from("/sys/fs/bpf").join(&self.name)
    }
}

/// The interface in the uplink namespace that netd and the XDP program serve.
pub const UPLINK_INTERFACE: &str = "uplink0";
/// Its peer, in the external namespace.
pub const EXTERNAL_INTERFACE: &str = "ext0";
