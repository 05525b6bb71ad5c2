//! The configuration files of the three daemons, derived from the cloud's settings at each `updraft up`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::authority::Authority;
use crate::cloud::{Cloud, UPLINK_INTERFACE};
use crate::error::Error;
use crate::layout::{Layout, write_atomically};
use crate::namespace;

#[derive(Serialize)]
struct ControllerConfig {
    listen: SocketAddr,
    database: PathBuf,
    images_dir: PathBuf,
    keys_dir: PathBuf,
    region: &'static str,
    admin_password_file: PathBuf,
    host_credential_file: PathBuf,
    host_key_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    novnc_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsConfig>,
}

#[derive(Serialize)]
struct TlsConfig {
    cert_file: PathBuf,
    key_file: PathBuf,
}

#[derive(Serialize)]
struct AgentConfig {
    controller_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    credential_file: PathBuf,
    listen: SocketAddr,
    state_dir: PathBuf,
    run_dir: PathBuf,
    netd_socket: PathBuf,
    metadata_socket: PathBuf,
    blkd_binary: PathBuf,
    qemu_binary: String,
    accelerator: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsConfig>,
}

#[derive(Serialize)]
struct NetdConfig {
    control_socket: PathBuf,
    state_dir: PathBuf,
    bpffs_dir: PathBuf,
    metadata_socket: PathBuf,
    dns_upstreams: Vec<SocketAddr>,
    uplink: NetdUplink,
}

#[derive(Serialize)]
struct NetdUplink {
    interface: &'static str,
    netns: PathBuf,
}

/// The distribution's folder of noVNC, served for graphical consoles where it is installed.
const NOVNC_DIR: &str = "/usr/share/novnc";

/// Writes all three files.
///
/// # Errors
/// The file system's.
pub fn write(layout: &Layout, cloud: &Cloud) -> Result<(), Error> {
    let controller = layout.component_dir("controller");
    let authority = Authority::new(layout, cloud);
    save(
        layout,
        "controller",
        &ControllerConfig {
            listen: cloud.listen,
            database: controller.join("updraft.sqlite"),
            images_dir: controller.join("images"),
            keys_dir: controller.join("token-keys"),
            region: "RegionOne",
            admin_password_file: layout.admin_password_file(),
            host_credential_file: layout.host_credential_file(),
            host_key_file: layout.host_key_file(),
            agent_ca_file: cloud.tls.then(|| authority.certificate_file()),
            novnc_dir: Some(PathBuf::from(NOVNC_DIR)).filter(|dir| dir.is_dir()),
            tls: cloud.tls.then(|| TlsConfig {
                cert_file: authority.server_certificate_file(),
                key_file: authority.server_key_file(),
            }),
        },
    )?;
    save(
        layout,
        "agent",
        &AgentConfig {
            controller_url: cloud.endpoint(),
            ca_file: cloud.tls.then(|| authority.certificate_file()),
            credential_file: layout.host_credential_file(),
            listen: cloud.agent_listen,
            state_dir: layout.component_dir("agent"),
            run_dir: layout.run_dir(),
            netd_socket: layout.netd_socket(),
            metadata_socket: layout.metadata_socket(),
            blkd_binary: sibling("updraft-blkd")?,
            qemu_binary: "qemu-system-x86_64".to_owned(),
            accelerator: "auto",
            tls: cloud.tls.then(|| TlsConfig {
                cert_file: authority.server_certificate_file(),
                key_file: authority.server_key_file(),
            }),
        },
    )?;
    save(
        layout,
        "netd",
        &NetdConfig {
            control_socket: layout.netd_socket(),
            state_dir: layout.component_dir("netd"),
            bpffs_dir: cloud.bpffs_dir(),
            metadata_socket: layout.metadata_socket(),
            dns_upstreams: cloud.dns_upstreams.clone(),
            uplink: NetdUplink {
                interface: UPLINK_INTERFACE,
                netns: namespace::path(&cloud.uplink_namespace()),
            },
        },
    )
}

fn save(layout: &Layout, process: &str, config: &impl Serialize) -> Result<(), Error> {
    let path = layout.config(process);
    let text = toml::to_string(config).map_err(Error::bad_file(&path))?;
    write_atomically(&path, &text)
}

/// The path of another of our binaries, which lie beside this one.
///
/// # Errors
/// This binary cannot be found, or the other is not beside it.
pub fn sibling(binary: &str) -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(Error::io("cannot find this program's own file"))?;
    let path = own.parent().unwrap_or(Path::new("/")).join(binary);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::Requirement(format!("{} is missing; build it with `cargo build --release`", path.display())))
}
