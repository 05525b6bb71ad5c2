//! `updraft-agent`: see `updraft-agent --help`.

#![forbid(unsafe_code)]

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use updraft_agent::agent::Agent;
use updraft_agent::config::Config;
use updraft_agent::host::jail::{EXIT_NOT_STARTED, EXIT_RUNS_ALREADY, JailError, RunDetached};
use updraft_agent::offline;

/// The host agent: makes the host look like its plan. Stopping it stops no guest.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The configuration (TOML).
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Says what is wrong with a configuration, or nothing.
    CheckConfig {
        #[arg(long)]
        config: PathBuf,
    },
    /// With the agent stopped: asks all guests to shut down, and switches off those that do not.
    StopGuests {
        #[arg(long)]
        config: PathBuf,
        /// How long a guest may take.
        #[arg(long, default_value_t = 60)]
        patience_s: u64,
    },
    /// With the agent stopped: ends all guests and removes their disks, the images, and all else of the agent.
    Purge {
        #[arg(long)]
        config: PathBuf,
    },
    /// Has the controller replace this host's credential. Start the agent again afterwards; no guest notices.
    RotateCredential {
        #[arg(long)]
        config: PathBuf,
    },
    /// Becomes another program, apart from the agent. The agent calls itself so.
    #[command(hide = true)]
    RunDetached(RunDetached),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match (arguments.command, arguments.config) {
        (Some(Command::RunDetached(options)), _) => return become_program(&options),
        (Some(Command::CheckConfig { config }), _) => check(&config),
        (Some(Command::StopGuests { config, patience_s }), _) => stop_guests(&config, patience_s),
        (Some(Command::Purge { config }), _) => purge(&config),
        (Some(Command::RotateCredential { config }), _) => rotate_credential(&config),
        (None, Some(config)) => run(&config),
        (None, None) => Err("--config FILE is missing".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("updraft-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(path)?;
    match config.enrolment()? {
        Some(_) => Ok(()),
        None => Ok(config.credentials().map(drop)?),
    }
}

fn rotate_credential(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(path)?;
    Ok(tokio::runtime::Runtime::new()?.block_on(updraft_agent::agent::rotate_credential(&config))?)
}

fn stop_guests(path: &std::path::Path, patience_s: u64) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(path)?;
    let stopping = offline::stop_guests(&config, Duration::from_secs(patience_s));
    let count = tokio::runtime::Runtime::new()?.block_on(stopping)?;
    println!("{count} guests stopped");
    Ok(())
}

fn purge(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    Ok(tokio::runtime::Runtime::new()?.block_on(offline::purge(&Config::load(path)?))?)
}

fn become_program(options: &RunDetached) -> ExitCode {
    let error = options.run();
    eprintln!("updraft-agent: {error}");
    match error {
        JailError::RunsAlready(_) => ExitCode::from(EXIT_RUNS_ALREADY),
        JailError::Record { .. }
        | JailError::Cgroup { .. }
        | JailError::Kernel { .. }
        | JailError::Exec { .. } => ExitCode::from(EXIT_NOT_STARTED),
    }
}

fn run(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    let config = Config::load(path)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        // The link, not what it points to: after an upgrade in place the file of the old name is another program.
        let agent = Agent::start(config, PathBuf::from("/proc/self/exe")).await?;
        tracing::info!(host = %agent.host.id, listen = %agent.host.config.listen, "the agent runs");
        tokio::select! {
            () = agent.run() => Err("a part of the agent has died".into()),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })
}
