//! Use cases: what the cloud does when asked, and in the background. No HTTP, no SQL.
//!
//! `<service>/<verb>.rs` holds one use case: policy, look-ups, quota, one transaction, a nudge. The answer
//! of a use case is committed; what follows it is a task (see [`tasks`]), never work in a request handler.

mod caller;
mod clock;
mod config;
mod duty;
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
pub mod notify;
pub mod policy;
pub mod tasks;

#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;
use updraft_store::{BoxFuture, Conn, Store, Tx};
use updraft_token::{Tokens, Vault};

pub use caller::{AppCredentialRef, Caller, TrustRef};
pub use clock::Clock;
pub use config::{Config, RateLimits, Secret, SecurityCompliance};
pub use error::{Error, ErrorKind, Result};
pub use password::{HashMemory, MAX_PASSWORD_BYTES, PasswordHashing, Passwords};
pub use policy::Policy;
pub use updraft_bus::{Bus, Topic};

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
    /// Wakes who waits for a change, in every controller.
    pub nudge: Bus,
    pub clock: Clock,
    /// Takes the audit events that belong to no change.
    pub audit: audit::Recorder,
    pub policy: Policy,
    pub oidc_keys: identity::federation::OidcKeys,
    /// What was worked out from the identity tables and still holds.
    pub fresh: identity::fresh::FreshIdentity,
    vault: OnceLock<Vault>,
    /// This machine's, for those who are told of something.
    host_name: Arc<str>,
}

impl Core {
    /// A controller without others.
    pub fn new(store: Store, tokens: Tokens, config: Config) -> Self {
        Self::on_bus(store, tokens, config, Bus::default())
    }

    /// One of several controllers, if the bus says so.
    pub fn on_bus(store: Store, tokens: Tokens, config: Config, bus: Bus) -> Self {
        let parts = Parts {
            policy: config.policy.clone(),
            store: store.collecting_notices(bus.takes_notifications()),
            tokens,
            passwords: Passwords::new(config.password_hashing),
            config,
            nudge: bus,
            clock: Clock::default(),
            audit: audit::Recorder::default(),
            oidc_keys: identity::federation::OidcKeys::default(),
            fresh: identity::fresh::FreshIdentity::default(),
            vault: OnceLock::new(),
            host_name: notify::host_name(),
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
    pub fn write<T, F>(&self, work: F) -> BoxFuture<'_, Result<T>>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Clone + Send + Sync + 'static,
    {
        // There are hundreds of closures: what follows is compiled once for each type that they give.
        let work: Work<T> = Arc::new(move |tx| work.clone()(tx));
        Box::pin(self.write_once(work))
    }

    /// With the mark of the request's idempotency key, where it has one.
    async fn write_once<T: Send + 'static>(&self, work: Work<T>) -> Result<T> {
        let (mark, now) = (idempotency::unwritten(), self.clock.now());
        let Some(mark) = mark else { return self.write_audited(work).await };
        let written = mark.clone();
        let marked: Work<T> = Arc::new(move |tx| {
            let (mark, work) = (mark.clone(), work.clone());
            Box::pin(async move {
                mark.write(tx, now).await?;
                work(tx).await
            })
        });
        let result = self.write_audited(marked).await?;
        written.is_committed();
        Ok(result)
    }

    /// The transaction with the audit event of the operation that it belongs to, and with what outside consumers are to
    /// hear of it.
    async fn write_audited<T: Send + 'static>(&self, work: Work<T>) -> Result<T> {
        let Some(ending) = notify::Ending::of(self) else {
            return self.store.write(move |tx| work(tx)).await;
        };
        let within = ending.clone();
        let result = self.store.write(move |tx| ended(tx, work, within)).await;
        match result {
            Ok(_) => ending.committed(self),
            Err(_) => ending.give_back(),
        }
        result
    }
}

/// The work of a transaction behind a pointer: called once for each attempt.
type Work<T> = Arc<dyn for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync>;

/// The change and what is written about it, in one transaction.
fn ended<T: Send + 'static>(tx: &mut Tx, work: Work<T>, ending: notify::Ending) -> BoxFuture<'_, Result<T>> {
    Box::pin(async move {
        let before = ending.look_before(tx).await?;
        let value = work(tx).await?;
        ending.write(tx, before).await?;
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
    let (bus, stop) = (core.nudge.clone(), shutdown.clone());
    tokio::join!(
        policy,
        epoch,
        bus.run(stop),
        notify::outbox::run(core.clone(), shutdown.clone()),
        idempotency::purge_loop(core.clone(), shutdown.clone()),
        tasks::run(core.clone(), shutdown.clone()),
        identity::keys::rotation_loop(core.clone(), shutdown.clone()),
        image::import::run(core.clone(), shutdown.clone()),
        identity::token::purge_loop(core.clone(), shutdown.clone()),
        audit::purge_loop(core, shutdown),
    );
}
