//! The last configuration in force, kept for the next process.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use updraft_dataplane_api::net::NetConfig;

const FILE: &str = "applied.json";

/// What was saved last; `None` when nothing was, or it cannot be read (then the agent will say it again).
pub fn load(state_dir: &Path) -> Option<NetConfig> {
    let text = match fs::read(state_dir.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, "the last configuration cannot be read");
            return None;
        }
    };
    serde_json::from_slice(&text)
        .inspect_err(|error| tracing::warn!(%error, "the last configuration is not understood"))
        .ok()
}

/// Saves a configuration: the whole of the old one or the whole of the new one survives a crash.
///
/// # Errors
/// The file system's.
pub fn save(state_dir: &Path, config: &NetConfig) -> io::Result<()> {
    let text = serde_json::to_vec(config).map_err(io::Error::other)?;
    let fresh = state_dir.join("applied.json.new");
    let mut file = File::create(&fresh)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&fresh, state_dir.join(FILE))?;
    File::open(state_dir)?.sync_all()
}
