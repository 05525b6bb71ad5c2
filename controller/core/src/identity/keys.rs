//! The keys that tokens are made with: rotated by one of the controllers, read again by all.
//!
//! Controllers share the key directory. Each looks at it every second, so a rotation (an operator's, or that of
//! another controller) is known everywhere within a second; what is staged before it is primary makes sure that
//! nobody has to wait even that long.

use std::time::Duration;

use tokio::sync::watch;
use updraft_token::KeyError;

use super::token::EXPIRED_WINDOW;
use crate::config::Config;
use crate::{Core, Error, Result};

/// How often the keys are looked at; what another process changed is known here after that.
const POLL_PERIOD: Duration = Duration::from_secs(1);

/// How many keys are kept, so that one goes only when the last token that it made is of no use to anybody: as
/// many as there are rotations in the life of a token and the time in which services may still ask about it, the
/// primary one and the staged one.
pub fn keys_kept(config: &Config) -> usize {
    let Some(interval) = config.token_key_rotation else { return updraft_token::MAX_ACTIVE_KEYS };
    let window = config.token_lifetime + EXPIRED_WINDOW;
    let rotations = window.as_secs().div_ceil(interval.as_secs().max(1));
    usize::try_from(rotations).unwrap_or(usize::MAX).saturating_add(2)
}

/// Rotates the keys when it is time, and reads them again when they changed, until `shutdown` turns true.
pub async fn rotation_loop(core: Core, mut shutdown: watch::Receiver<bool>) {
    loop {
        if let Err(error) = look(&core).await {
            tracing::warn!(%error, source = ?error.source, "the token keys were not read");
        }
        if tokio::time::timeout(POLL_PERIOD, shutdown.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

/// One look at the keys, on a thread that may wait for the disk.
async fn look(core: &Core) -> Result<()> {
    let in_thread = core.clone();
    let look = move || -> std::result::Result<bool, KeyError> {
        match in_thread.config.token_key_rotation {
            Some(interval) => in_thread.tokens.rotate_if_due(interval, keys_kept(&in_thread.config)),
            None => in_thread.tokens.reload_if_changed().map(|_| false),
        }
    };
    let rotated = tokio::task::spawn_blocking(look).await.map_err(Error::internal)?;
    if rotated.map_err(Error::internal)? {
        tracing::info!("the token keys were rotated");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::keys_kept;
    use crate::Config;

    #[test]
    fn a_key_outlives_every_token_that_it_made() {
        for (lifetime_h, interval_h) in [(12, 24), (12, 1), (168, 24), (1, 2160)] {
            let mut config = Config::new("/nowhere".into());
            config.token_lifetime = Duration::from_secs(lifetime_h * 3600);
            config.token_key_rotation = Some(Duration::from_secs(interval_h * 3600));
            let kept = keys_kept(&config) as u64;
            // Without the staged and the primary one, each key lasts one more interval.
            assert!(
                (kept - 2) * interval_h >= lifetime_h + 48,
                "{lifetime_h} h, {interval_h} h: {kept} keys"
            );
        }
    }
}
