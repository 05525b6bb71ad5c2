//! `updraft down`: stops everything, and with `--purge` removes everything.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::cloud::Cloud;
use crate::configs::sibling;
use crate::error::Error;
use crate::layout::Layout;
use crate::namespace;
use crate::progress::step;
use crate::supervisor::{State, is_ours};

/// How long the supervisor may take to stop its processes; it kills them itself before that.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

pub async fn run(layout: &Layout, purge: bool) -> Result<ExitCode, Error> {
    let cloud = match Cloud::load(layout) {
        Ok(cloud) => cloud,
        Err(Error::NoCloud { .. }) => {
            println!("no cloud under {}", layout.state_dir.display());
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error),
    };
    println!("Stopping the cloud '{}' under {}", cloud.name, layout.state_dir.display());
    step("supervisor, agent, controller, netd", stop_supervisor(layout)).await?;
    let verb = if purge { "purge" } else { "stop-guests" };
    step("guests", stop_guests(layout, verb)).await?;
    step("XDP program and its tables", async { remove_tree(&cloud.bpffs_dir()) }).await?;
    if purge {
        step("external network", async { namespace::remove_external_network(&cloud) }).await?;
        step("state folder", async { remove_tree(&layout.state_dir) }).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn stop_supervisor(layout: &Layout) -> Result<(), Error> {
    let Some(state) = State::load(layout) else { return Ok(()) };
    let _ = kill(Pid::from_raw(state.pid), Signal::SIGTERM);
    let deadline = Instant::now() + STOPPED_WITHIN;
    while is_ours(state.pid, "updraft") {
        if Instant::now() > deadline {
            return Err(Error::Requirement(format!("the supervisor (pid {}) does not stop", state.pid)));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The agent knows its guests: it is asked to stop them, or to remove every trace of them.
async fn stop_guests(layout: &Layout, verb: &str) -> Result<(), Error> {
    let program = sibling("updraft-agent")?;
    let config = layout.config("agent");
    if !config.exists() {
        return Ok(());
    }
    let output = Command::new(&program)
        .arg(verb)
        .arg("--config")
        .arg(config)
        .output()
        .await
        .map_err(Error::path("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Requirement(format!("the agent could not stop its guests: {reason}")))
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::path("remove", path)(error)),
        _ => Ok(()),
    }
}
