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

use crate::duty::{self, Duty};
use crate::policy::Target;
use crate::{Caller, Core, Result};

pub(crate) use operation::{Claim, claim, current, on_behalf_of};
pub use operation::{Operation, Outcome, RequestFacts, identify, identify_host, identify_user, refine};
pub use recorder::Recorder;

/// How often what the recorder still has is written, should nothing else have come since.
const FLUSH_PERIOD: Duration = Duration::from_secs(600);

/// Events, the newest first. By default for administrators.
pub async fn list(core: &Core, caller: &Caller, wanted: &AuditQuery) -> Result<Vec<AuditEvent>> {
    caller.enforce("cloud:list_audit_events", &Target::default())?;
    core.audit.flush(core).await;
    Ok(audit::list(&mut core.read().await?, wanted).await?)
}

/// Forgets what is older than the operator wants to keep, until `shutdown` turns true.
pub async fn purge_loop(core: Core, mut shutdown: watch::Receiver<bool>) {
    let purging = duty::run(core.clone(), Duty::purge("audit-purge"), shutdown.clone(), purge);
    let flushing = async {
        loop {
            core.audit.flush(&core).await;
            if tokio::time::timeout(FLUSH_PERIOD, shutdown.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
        }
    };
    tokio::join!(purging, flushing);
}

async fn purge(core: Core) -> Result<()> {
    let before = core.clock.now().minus(core.config.audit_retention);
    let count = core.write(move |tx| Box::pin(async move { Ok(audit::purge(tx, before).await?) })).await?;
    if count > 0 {
        tracing::info!(count, "audit events were old enough to forget");
    }
    Ok(())
}
