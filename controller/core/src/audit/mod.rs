//! Every request that changes something, or tries to, leaves one audit event (CADF, DMTF DSP0262).
//!
//! The HTTP edge runs a request inside an [`Operation`]. [`Core::write`] puts the operation's event into the same
//! transaction as the change, so neither is there without the other. What changed nothing (a login, a refusal) is
//! noted after its answer is decided, by the [`Recorder`]. Use cases need do nothing.

mod document;
mod operation;
mod recorder;

use std::time::Duration;

use tokio::sync::watch;
use updraft_model::audit::{AuditEvent, AuditQuery};
use updraft_store::audit;

use crate::policy::require_admin;
use crate::{Caller, Core, Result};

pub(crate) use operation::{Claim, claim, current, on_behalf_of};
pub use operation::{Operation, Outcome, RequestFacts, identify, identify_host, identify_user, refine};
pub use recorder::Recorder;

/// How often events that are old enough are forgotten.
const PURGE_PERIOD: Duration = Duration::from_secs(600);

/// Events, the newest first. For administrators.
pub async fn list(core: &Core, caller: &Caller, wanted: &AuditQuery) -> Result<Vec<AuditEvent>> {
    require_admin(caller)?;
    core.audit.flush(core).await;
    Ok(audit::list(&mut core.read().await?, wanted).await?)
}

/// Forgets what is older than the operator wants to keep, until `shutdown` turns true.
pub async fn purge_loop(core: Core, mut shutdown: watch::Receiver<bool>) {
    loop {
        let before = core.clock.now().minus(core.config.audit_retention);
        let purge = core.write(move |tx| Box::pin(async move { Ok(audit::purge(tx, before).await?) }));
        match purge.await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "audit events were old enough to forget"),
            Err(error) => tracing::warn!(%error, "old audit events were not purged"),
        }
        core.audit.flush(&core).await;
        if tokio::time::timeout(PURGE_PERIOD, shutdown.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}
