//! The network daemon: one per host. Serves guests' ports over vhost-user, and the uplink.
//!
//! A kill loses nothing that matters: flows and policy lie in pinned tables, the XDP program stays on the interface, the
//! last configuration lies in the state folder and is served before anyone has spoken to the new process, and QEMU
//! connects again by itself.

#![forbid(unsafe_code)]

mod config;
mod control;
mod saved;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clap::{Args, Parser, Subcommand};
use nix::sys::signal::{SigSet, Signal};
use tracing_subscriber::EnvFilter;
use updraft_net::Network;

use crate::config::Config;
use crate::control::Control;

/// Serves one host's network ports over vhost-user.
#[derive(Debug, Parser)]
#[command(name = "updraft-netd", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    serve: Option<Serve>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration, as TOML.
    #[arg(long)]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads a configuration and says what is wrong with it.
    CheckConfig { file: PathBuf },
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).init();
    let outcome = match Arguments::parse() {
        Arguments { command: Some(Command::CheckConfig { file }), .. } => {
            Config::read(&file).map(drop).map_err(Into::into)
        }
        Arguments { serve: Some(Serve { config }), .. } => run(&config),
        Arguments { .. } => Err("--config FILE is missing".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(reason = control::with_sources(&*error), "ended");
            ExitCode::FAILURE
        }
    }
}

fn run(config: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    // Blocked before the first thread is made, so that only the wait below receives them.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block()?;
    let config = Config::read(config)?;
    std::fs::create_dir_all(&config.state_dir)?;
    let mut network = Network::start(config.settings())?;
    if let Some(last) = saved::load(&config.state_dir)
        && let Err(error) = network.apply(&last)
    {
        tracing::error!(
            reason = control::with_sources(&error),
            "the last configuration is not wholly in force"
        );
    }
    let network = Arc::new(Mutex::new(network));
    let control = Control::start(&config.control_socket, config.state_dir.clone(), Arc::clone(&network))?;
    tracing::info!(control = %config.control_socket.display(), "serving");
    let signal = signals.wait()?;
    tracing::info!(%signal, "ending");
    drop(control);
    Ok(())
}
