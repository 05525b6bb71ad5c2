use updraft_model::network::{Refusal, RefusalKind};
use updraft_store::compute::host;
use updraft_store::{BoxFuture, Tx};

use crate::{Core, Error, ErrorKind, Result, Topic};

/// One transaction that changes what hosts must do: their plans get a new generation in it, and they hear of it after
/// the commit.
pub(super) async fn change<T, F>(core: &Core, work: F) -> Result<T>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Clone + Send + Sync + 'static,
{
    let value = core
        .write(move |tx| {
            Box::pin(async move {
                let value = work(tx).await?;
                host::bump_all_plans(tx).await?;
                Ok(value)
            })
        })
        .await?;
    core.nudge.send(Topic::HostPlan);
    Ok(value)
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.kind {
            RefusalKind::BadRequest => ErrorKind::BadRequest,
            RefusalKind::Conflict => ErrorKind::Conflict,
        };
        Self::new(kind, refusal.code, refusal.message)
    }
}
