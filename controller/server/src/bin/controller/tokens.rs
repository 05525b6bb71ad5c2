//! `updraft-controller tokens …`: the key repository, by hand.

use clap::Subcommand;
use updraft_core::identity::keys::keys_kept;
use updraft_token::{KeyRepository, Tokens};

use crate::config::Config;
use crate::error::Error;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the keys if there are none.
    Setup,
    /// Make the staged key the primary one, stage a new one, and drop those that no token needs any more. Tokens
    /// stay good.
    Rotate,
}

pub fn run(config: &Config, command: &Command) -> Result<(), Error> {
    let keys = KeyRepository::open_or_create(&config.keys_dir).map_err(|source| Error::Keys { source })?;
    match command {
        Command::Setup => println!("{}: ready", config.keys_dir.display()),
        Command::Rotate => {
            let kept = keys_kept(&config.core()?);
            let rotated = Tokens::new(keys).and_then(|tokens| tokens.rotate(kept));
            rotated.map_err(|source| Error::Keys { source })?;
            println!("{}: rotated, at most {kept} keys kept", config.keys_dir.display());
        }
    }
    Ok(())
}
