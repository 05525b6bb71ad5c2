//! The block daemon: serves the disks of one server over vhost-user, one socket a disk.
//!
//! It holds nothing that a kill could lose: what a guest was told is done lies in the page cache, and what it was not
//! told is asked again by the frontend that reconnects. On SIGTERM the queues are drained and the disks flushed.

#![forbid(unsafe_code)]

mod control;
mod daemon;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use nix::sys::signal::{SigSet, Signal};
use tracing_subscriber::EnvFilter;
use updraft_dataplane_api::blk::BlkConfig;

use crate::control::Control;
use crate::daemon::Daemon;

/// Serves the disks of one server over vhost-user.
#[derive(Debug, Parser)]
#[command(name = "updraft-blkd", version)]
struct Arguments {
    /// The disks to serve, as JSON.
    #[arg(long)]
    config: PathBuf,
    /// Where to listen for changes of that and for questions. Once something listens there, the disks are served.
    #[arg(long)]
    control: PathBuf,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tracing::error!(%reason, "ended");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    // Blocked before the first thread is made, so that only the wait below receives them.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block()?;
    let config = read_config(&arguments.config)?;
    let daemon = Arc::new(Daemon::new());
    daemon.apply(config)?;
    let control = Control::start(&arguments.control, Arc::clone(&daemon))?;
    tracing::info!(control = %arguments.control.display(), "serving");
    let signal = signals.wait()?;
    tracing::info!(%signal, "draining");
    drop(control);
    Ok(daemon.close()?)
}

fn read_config(path: &Path) -> Result<BlkConfig, Box<dyn std::error::Error>> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?)
}
