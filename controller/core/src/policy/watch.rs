use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::Policy;

/// How often the policy file is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// Reads the policy file again whenever it changes, until `shutdown` turns true. A bad file is logged and the rules
/// in effect stay.
pub async fn watch(policy: Policy, mut shutdown: watch::Receiver<bool>) {
    let Some(file) = policy.file.clone() else { return };
    let mut seen = stamp(&file);
    while tokio::time::timeout(PERIOD, shutdown.wait_for(|stop| *stop)).await.is_err() {
        let now = stamp(&file);
        if now != seen {
            seen = now;
            policy.reload_and_log();
        }
    }
}

impl Policy {
    /// [`Policy::reload`], for when nobody waits for the result.
    pub fn reload_and_log(&self) {
        match self.reload() {
            Ok(()) => tracing::info!("the policy file was read again"),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the rules stay as they were");
            }
        }
    }
}

/// What changes when a file is written or replaced. `None`: it is not there.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
