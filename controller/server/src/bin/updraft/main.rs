//! `updraft`: the operator's command. It starts, shows and removes a cloud on this machine.

#![forbid(unsafe_code)]

mod api_client;
mod authority;
mod cloud;
mod configs;
mod doctor;
mod down;
mod error;
mod external;
mod health;
mod host;
mod layout;
mod namespace;
mod openrc;
mod ops;
mod progress;
mod seed;
mod status;
mod supervisor;
mod up;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::layout::Layout;

/// A private cloud on this machine: OpenStack's APIs over a fast data plane.
#[derive(Parser)]
#[command(name = "updraft", version)]
struct Arguments {
    /// Everything the cloud keeps lies below this folder.
    #[arg(long, env = "UPDRAFT_STATE_DIR", default_value = "/var/lib/updraft", global = true)]
    state_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the cloud; what already runs is left alone.
    Up(up::Options),
    /// Stop the cloud and its guests; their disks are kept.
    Down {
        /// Remove everything the cloud ever made on this machine, disks and images included.
        #[arg(long)]
        purge: bool,
    },
    /// What runs, since when, with what health.
    Status,
    /// Differences between what should be and what is. Prints nothing when all is well.
    Doctor,
    /// Which hosts the cloud trusts: add, revoke, list.
    #[command(subcommand)]
    Host(host::Command),
    /// What is under way, and what ended or failed lately.
    Ops(ops::Options),
    /// The story of a server, task or request: who asked, which steps ran, what failed.
    Why(why::Options),
    /// Credentials of the administrator, as shell variables for the `openstack` client.
    Openrc,
    /// Run a command in the external network, as the world outside sees the cloud.
    External {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Keep the cloud's processes running (started by `up`).
    #[command(hide = true)]
    Supervise,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let layout = match Layout::new(&arguments.state_dir) {
        Ok(layout) => layout,
        Err(error) => return fail(&error),
    };
    match run(arguments.command, &layout) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn run(command: Command, layout: &Layout) -> Result<ExitCode, error::Error> {
    // Everything but `external` waits for sockets and processes: one thread is enough for that. `external` changes
    // the network namespace of its thread, which must be the only one.
    if let Command::External { command } = command {
        return external::run(layout, &command);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(error::Error::io("cannot start the event loop"))?;
    runtime.block_on(async {
        match command {
            Command::Up(options) => up::run(layout, &options).await,
            Command::Down { purge } => down::run(layout, purge).await,
            Command::Status => status::run(layout).await,
            Command::Doctor => doctor::run(layout).await,
            Command::Host(command) => host::run(layout, &command).await,
            Command::Ops(options) => ops::run(layout, &options).await,
            Command::Why(options) => why::run(layout, &options).await,
            Command::Openrc => openrc::run(layout),
            Command::Supervise => supervisor::run(layout).await,
            Command::External { .. } => Ok(ExitCode::SUCCESS),
        }
    })
}

fn fail(error: &error::Error) -> ExitCode {
    eprintln!("updraft: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::FAILURE
}
