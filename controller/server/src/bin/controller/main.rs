//! `updraft-controller`: the APIs, the truth behind them, and the work that follows.
//!
//! ```text
//! updraft-controller --config FILE             run until SIGTERM or SIGINT
//! updraft-controller --config FILE check-config
//! updraft-controller --config FILE policy       print the rules in effect, as a policy file
//! updraft-controller --config FILE tokens setup|rotate
//! updraft-controller scan-image                 (its own child: says what the image on standard input is)
//! ```

mod compliance;
mod config;
mod error;
mod listen;
mod serve;
mod tls;
mod tokens;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use updraft_core::image::SCAN_COMMAND;

use crate::config::Config;
use crate::error::Error;

#[derive(Debug, Parser)]
#[command(
    name = "updraft-controller",
    version,
    about = "Serves the cloud's APIs and plans the work behind them."
)]
struct Arguments {
    /// The configuration file (TOML).
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read and check the configuration, then exit.
    CheckConfig,
    /// Print who may do what: every rule with its check, the ones that the policy file changes as they are and the
    /// others as comments.
    Policy,
    /// The keys that tokens are made with; running controllers see a change within a second.
    #[command(subcommand)]
    Tokens(tokens::Command),
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == SCAN_COMMAND) {
        return scan_image();
    }
    let arguments = Arguments::parse();
    log_to_stderr();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("updraft-controller: {}", error::with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// Before anything else is set up: the jail leaves nothing but one open file.
fn scan_image() -> ExitCode {
    match updraft_volume::scanner::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("updraft-controller {SCAN_COMMAND}: {}", error::with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Error> {
    let config = Config::load(&arguments.config)?;
    match arguments.command {
        Some(Command::CheckConfig) => {
            println!("{}: ok", arguments.config.display());
            Ok(())
        }
        Some(Command::Policy) => {
            print!("{}", config.policy()?.sample());
            Ok(())
        }
        Some(Command::Tokens(command)) => tokens::run(&config, &command),
        None => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.map_err(Error::io("cannot start the runtime"))?.block_on(serve::serve(config))
        }
    }
}

/// `RUST_LOG` chooses what is logged; requests and their refusals with `debug`.
fn log_to_stderr() {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // It would show whole requests, with the credential of the host whose console is opened.
    if let Ok(quiet) = "tungstenite=info".parse() {
        filter = filter.add_directive(quiet);
    }
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
