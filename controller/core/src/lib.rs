//! Use cases: what the cloud does when asked, and in the background. No HTTP, no SQL.
//!
//! `<service>/<verb>.rs` holds one use case: policy, look-ups, quota, one transaction, a nudge. The answer
//! of a use case is committed; what follows it is a task (see [`tasks`]), never work in a request handler.

mod caller;
mod clock;
mod config;
mod error;
mod password;

pub mod audit;
pub mod compute;
pub mod fetch;
pub mod host;
pub mod idempotency;
pub mod identity;
pub mod image;
pub mod journal;
pub mod network;
pub mod policy;
pub mod tasks;

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;
use updraft_model::Timestamp;
use updraft_store::{BoxFuture, Conn, Store, Tx};
use updraft_token::{Tokens, Vault};

pub use caller::{AppCredentialRef, Caller, TrustRef};
pub use clock::Clock;
pub use config::{Config, RateLimits, Secret, SecurityCompliance};
pub use error::{Error, ErrorKind, Result};
pub use password::{MAX_PASSWORD_BYTES, Passwords, is_dated};
pub use policy::Policy;
pub use updraft_bus::{Nudge, Topic};

/// Everything a use case needs; cheap to clone.
#[derive(Clone, Debug)]
pub struct Core {
    parts: Arc<Parts>,
}

/// What [`Core`] dereferences to.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    pub tokens: Tokens,
    pub passwords: Passwords,
    pub config: Config,
    pub nudge: Nudge,
    pub clock: Clock,
    /// Takes the audit events that belong to no change.
    pub audit: audit::Recorder,
    pub policy: Policy,
    pub oidc_keys: identity::federation::OidcKeys,
    /// What was worked out from the identity tables and still holds.
    pub fresh: identity::fresh::FreshIdentity,
    vault: OnceLock<Vault>,
}

impl Core {
    pub fn new(store: Store, tokens: Tokens, config: Config) -> Self {
        let parts = Parts {
            policy: config.policy.clone(),
            store,
            tokens,
            passwords: Passwords::default(),
            config,
            nudge: Nudge::default(),
            clock: Clock::default(),
            audit: audit::Recorder::default(),
            oidc_keys: identity::federation::OidcKeys::default(),
            fresh: identity::fresh::FreshIdentity::default(),
            vault: OnceLock::new(),
        };
        Self { parts: Arc::new(parts) }
    }

    /// A connection to read with.
    pub async fn read(&self) -> Result<Conn> {
        Ok(self.store.read().await?)
    }

    /// What seals and opens the secrets in the database; its keys are read, or made, at the first use.
    pub fn vault(&self) -> Result<&Vault> {
        if let Some(vault) = self.vault.get() {
            return Ok(vault);
        }
        let opened = Vault::open_or_create(&self.config.credential_keys_directory);
        let opened = opened.map_err(Error::internal)?;
        Ok(self.vault.get_or_init(|| opened))
    }

    /// A secret of the database in the clear; `None` when no key opens it.
    pub(crate) fn unsealed(&self, sealed: &str) -> Result<Option<String>> {
        Ok(self.vault()?.unseal(sealed))
    }

    /// One write transaction; see [`Store::write`]. The first of a request also holds the request's audit event.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Clone + Send + 'static,
    {
        let (mark, now) = (idempotency::unwritten(), self.clock.now());
        let Some(mark) = mark else { return self.write_audited(work).await };
        let written = mark.clone();
        let marked = self.write_audited(move |tx: &mut Tx| -> BoxFuture<'_, Result<T>> {
            Box::pin(async move {
                mark.write(tx, now).await?;
                work(tx).await
            })
        });
        let result = marked.await?;
        written.is_committed();
        Ok(result)
    }

    /// The transaction with the audit event of the operation that it belongs to.
    async fn write_audited<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Clone + Send + 'static,
    {
        let Some(claim) = audit::claim() else { return self.store.write(work).await };
        let (event, now) = (claim.clone(), self.clock.now());
        let result = self.store.write(move |tx| audited(tx, work, event, now)).await;
        if result.is_err() {
            claim.give_back();
        }
        result
    }
}

/// The change and its audit event, in one transaction.
fn audited<T, F>(tx: &mut Tx, work: F, event: audit::Claim, now: Timestamp) -> BoxFuture<'_, Result<T>>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
{
    Box::pin(async move {
        let value = work(tx).await?;
        event.record(tx, now).await?;
        Ok(value)
    })
}

impl Deref for Core {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Runs the background work (task workers, reconcilers, clean-up) until `shutdown` turns true, then waits
/// for what is under way.
pub async fn run_background(core: Core, shutdown: watch::Receiver<bool>) {
    let policy = policy::watch(core.policy.clone(), shutdown.clone());
    let (store, mut stop) = (core.store.clone(), shutdown.clone());
    let epoch = async move {
        tokio::select! {
            () = store.watch_identity() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    };
    tokio::join!(
        policy,
        epoch,
        idempotency::purge_loop(core.clone(), shutdown.clone()),
        tasks::run(core.clone(), shutdown.clone()),
        identity::keys::rotation_loop(core.clone(), shutdown.clone()),
        image::import::run(core.clone(), shutdown.clone()),
        identity::token::purge_loop(core.clone(), shutdown.clone()),
        audit::purge_loop(core, shutdown),
    );
}
