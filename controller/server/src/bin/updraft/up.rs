//! `updraft up`: from nothing to a cloud that answers.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::authority::Authority;
use crate::cloud::Cloud;
use crate::configs;
use crate::error::Error;
use crate::health;
use crate::layout::Layout;
use crate::namespace;
use crate::progress::step;
use crate::seed;
use crate::supervisor::{PROCESSES, State};

/// How long a daemon may take to answer after its start, in seconds.
const HEALTHY_WITHIN_S: u64 = 60;

/// Taken by the first `up` and kept; later ones may repeat but not change them.
#[derive(clap::Args, Default)]
pub struct Options {
    /// Prefix of network namespaces, pinned maps and control groups (at most 10 letters, digits and dashes).
    #[arg(long)]
    name: Option<String>,
    /// Where the APIs are served.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where the agent answers the controller.
    #[arg(long)]
    agent_listen: Option<SocketAddr>,
    /// The external network.
    #[arg(long)]
    external_cidr: Option<Ipv4Net>,
    /// Serve the APIs with TLS, by a certificate of the cloud's own authority. Always so where --listen is an address
    /// that others can reach.
    #[arg(long)]
    tls: bool,
    /// Another name or address that clients call this machine by, for its certificate; may be repeated.
    #[arg(long = "tls-name")]
    tls_names: Vec<String>,
}

impl Options {
    /// The settings of a new cloud, with the default for what was not said.
    fn cloud(&self) -> Result<Cloud, Error> {
        let cloud = Cloud {
            name: self.name.clone().unwrap_or_else(|| "updraft".to_owned()),
            listen: self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8700))),
            agent_listen: self.agent_listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8701))),
            external_cidr: self.external_cidr.unwrap_or_else(default_external_cidr),
            dns_upstreams: resolvers(),
            tls: false,
            tls_names: Vec::new(),
        };
        let name_ok = !cloud.name.is_empty()
            && cloud.name.len() <= 10
            && cloud.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !name_ok {
            let message = format!("--name '{}' must be 1 to 10 letters, digits and dashes", cloud.name);
            return Err(Error::Requirement(message));
        }
        if cloud.external_cidr.prefix_len() > 28 {
            let message = format!("--external-cidr {} is too small: at least a /28", cloud.external_cidr);
            return Err(Error::Requirement(message));
        }
        Ok(cloud)
    }

    /// With TLS where it is asked for, and wherever passwords and tokens would leave the machine without it. On
    /// loopback nothing leaves it: there a certificate would only be one more thing that clients must be told of.
    /// It may be switched on later, and names may be added; clients that knew the cloud without it read `updraft openrc`
    /// again.
    fn secured(&self, cloud: Cloud) -> Cloud {
        let mut tls_names = cloud.tls_names;
        tls_names.extend(self.tls_names.iter().cloned());
        tls_names.sort();
        tls_names.dedup();
        let tls = cloud.tls
            || self.tls
            || !cloud.listen.ip().is_loopback()
            || !cloud.agent_listen.ip().is_loopback();
        Cloud { tls, tls_names, ..cloud }
    }

    /// What is said again must be what the cloud was set up with.
    fn check(&self, cloud: &Cloud) -> Result<(), Error> {
        let differs = [
            ("--name", self.name.as_ref().is_some_and(|v| *v != cloud.name)),
            ("--listen", self.listen.is_some_and(|v| v != cloud.listen)),
            ("--agent-listen", self.agent_listen.is_some_and(|v| v != cloud.agent_listen)),
            ("--external-cidr", self.external_cidr.is_some_and(|v| v != cloud.external_cidr)),
        ];
        match differs.iter().find(|(_, differs)| *differs) {
            None => Ok(()),
            Some((option, _)) => Err(Error::Requirement(format!(
                "this cloud was set up with another {option}; remove it with `updraft down --purge` first"
            ))),
        }
    }
}

fn default_external_cidr() -> Ipv4Net {
    // RFC 5737, TEST-NET-3: never in use elsewhere.
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(203, 0, 113, 0), 24)
}

/// The host's own resolvers (resolv.conf(5)).
fn resolvers() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok())
        .map(|address: std::net::IpAddr| SocketAddr::new(address, 53))
        .take(3)
        .collect()
}

pub async fn run(layout: &Layout, options: &Options) -> Result<ExitCode, Error> {
    let cloud = match Cloud::load(layout) {
        Ok(cloud) => {
            options.check(&cloud)?;
            cloud
        }
        Err(Error::NoCloud { .. }) => options.cloud()?,
        Err(error) => return Err(error),
    };
    let had_tls = cloud.tls;
    let cloud = options.secured(cloud);
    println!("Starting the cloud '{}' under {}", cloud.name, layout.state_dir.display());
    step("requirements", async { check_requirements() }).await?;
    step("state folder, secrets and configuration", async {
        let signed = prepare(layout, &cloud)?;
        if signed || cloud.tls != had_tls {
            restart(layout);
        }
        Ok::<_, Error>(())
    })
    .await?;
    step("external network (a namespace)", async { namespace::ensure_external_network(&cloud) }).await?;
    step("supervisor", async { start_supervisor(layout) }).await?;
    for process in PROCESSES {
        step(process, wait_healthy(process, layout, &cloud)).await?;
    }
    step("external network and flavors in the API", seed::run(layout, &cloud)).await?;
    println!("The cloud answers at {}", cloud.endpoint());
    Ok(ExitCode::SUCCESS)
}

fn check_requirements() -> Result<(), Error> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::Requirement(
            "root is needed: for network namespaces, XDP and the guests' control groups".to_owned(),
        ));
    }
    if find_program("qemu-system-x86_64").is_none() {
        return Err(Error::Requirement("qemu-system-x86_64 is not installed (run `make setup`)".to_owned()));
    }
    for process in PROCESSES {
        configs::sibling(&format!("updraft-{process}"))?;
    }
    Ok(())
}

fn find_program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// True when a certificate was signed.
fn prepare(layout: &Layout, cloud: &Cloud) -> Result<bool, Error> {
    layout.create()?;
    layout.ensure_secret(&layout.admin_password_file())?;
    layout.ensure_secret(&layout.host_credential_file())?;
    layout.ensure_secret(&layout.host_key_file())?;
    cloud.save(layout)?;
    let signed = cloud.tls && Authority::new(layout, cloud).ensure(cloud, Timestamp::now())?;
    configs::write(layout, cloud)?;
    Ok(signed)
}

/// Ends the running controller and agent: their supervisor starts them again, with what is configured now.
fn restart(layout: &Layout) {
    let Some(state) = State::load(layout) else { return };
    for name in ["controller", "agent"] {
        state.terminate(name);
    }
}

fn start_supervisor(layout: &Layout) -> Result<(), Error> {
    if State::load(layout).is_some() {
        return Ok(());
    }
    let own = std::env::current_exe().map_err(Error::io("cannot find this program's own file"))?;
    let log_path = layout.log("supervisor");
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path)
        .map_err(Error::path("open", &log_path))?;
    let errors = log.try_clone().map_err(Error::path("open", &log_path))?;
    Command::new(&own)
        .arg("--state-dir")
        .arg(&layout.state_dir)
        .arg("supervise")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .current_dir(Path::new("/"))
        .spawn()
        .map_err(Error::path("start", &own))?;
    Ok(())
}

async fn wait_healthy(process: &'static str, layout: &Layout, cloud: &Cloud) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(HEALTHY_WITHIN_S);
    while health::check(process, layout, cloud).await.is_err() {
        if Instant::now() > deadline {
            return Err(Error::Unhealthy {
                what: process,
                seconds: HEALTHY_WITHIN_S,
                log: layout.log(process),
            });
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
