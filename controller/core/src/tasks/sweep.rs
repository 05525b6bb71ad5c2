//! Old rows go.

use std::time::Duration;

use tokio::sync::watch;
use updraft_store::compute::server;

use crate::duty::{self, Duty};
use crate::{Core, Result};

/// How long a deleted server can be seen by administrators and in its journal.
const DELETED_KEPT: Duration = Duration::from_secs(30 * 86_400);
const PERIOD: Duration = Duration::from_secs(3600);

pub(super) async fn run(core: Core, shutdown: watch::Receiver<bool>) {
    duty::run(core, Duty::new("server-sweep", PERIOD), shutdown, sweep).await;
}

async fn sweep(core: Core) -> Result<()> {
    let before = core.clock.now().minus(DELETED_KEPT);
    let purged =
        core.write(move |tx| Box::pin(async move { Ok(server::purge_deleted(tx, before).await?) })).await?;
    if purged > 0 {
        tracing::info!(purged, "servers deleted long ago");
    }
    Ok(())
}
