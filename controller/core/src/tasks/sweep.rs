//! Old rows go.

use std::time::Duration;

use tokio::sync::watch;
use updraft_model::Timestamp;
use updraft_store::compute::server;

use crate::{Core, Result};

/// How long a deleted server can be seen by administrators and in its journal.
const DELETED_KEPT: Duration = Duration::from_secs(30 * 86_400);
const PERIOD: Duration = Duration::from_secs(3600);

pub(super) async fn run(core: Core, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        if let Err(error) = sweep(&core).await {
            tracing::error!(%error, source = ?error.source, "sweep");
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            _ = shutdown.changed() => {}
        }
    }
}

async fn sweep(core: &Core) -> Result<()> {
    let kept_us = i64::try_from(DELETED_KEPT.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp(core.clock.now().0 - kept_us);
    let purged =
        core.write(move |tx| Box::pin(async move { Ok(server::purge_deleted(tx, before).await?) })).await?;
    if purged > 0 {
        tracing::info!(purged, "servers deleted long ago");
    }
    Ok(())
}
