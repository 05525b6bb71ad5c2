//! The controller's life: open the store, take up duties and tasks, answer requests, and stop without losing any.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use updraft_core::{Core, Policy, host, identity, image};
use updraft_store::Store;
use updraft_token::{KeyRepository, Tokens};

use crate::config::Config;
use crate::error::Error;
use crate::listen;
use crate::tls::Certificate;

/// How long answers under way may take once the controller is asked to stop. What they have not committed by
/// then is rolled back; what they have is safe.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the controller until SIGTERM or SIGINT.
pub async fn serve(config: Config) -> Result<(), Error> {
    let tls = acceptor(&config)?;
    let core = open(&config).await?;
    let admin_password = config.admin_password()?;
    let bootstrapped = identity::bootstrap::bootstrap(&core, admin_password).await;
    bootstrapped.map_err(|source| Error::Bootstrap { source })?;
    image::metadef::ensure_stock(&core).await.map_err(|source| Error::Bootstrap { source })?;
    image::clean_up(&core).await.map_err(|source| Error::Bootstrap { source })?;
    host::register_own(&core).await.map_err(|source| Error::Bootstrap { source })?;

    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.map_err(Error::io(format!("cannot listen on {}", config.listen)))?;
    let address = listener.local_addr().map_err(Error::io("cannot tell the address listened on"))?;
    let (stop, stopping) = watch::channel(false);
    let background = tokio::spawn(updraft_core::run_background(core.clone(), stopping.clone()));
    let reloading = tokio::spawn(reload_on_hangup(core.policy.clone()));
    let router = updraft_api::router(core.clone());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let server = tokio::spawn(listen::serve(listener, tls, router, stopping));
    // What starts us waits for this line.
    println!("ready on {scheme}://{address}");
    tracing::info!(%address, "ready");

    wait_for_signal().await?;
    tracing::info!("stopping");
    stop.send_replace(true);
    reloading.abort();
    let both = async { (server.await, background.await) };
    if tokio::time::timeout(GRACE, both).await.is_err() {
        tracing::warn!("some work did not end within {} s; it is resumed at the next start", GRACE.as_secs());
    }
    core.audit.flush(&core).await;
    // A request that outlasted the grace still holds a connection; SQLite's log makes a close by exit safe.
    let _ = tokio::time::timeout(GRACE, core.store.close()).await;
    Ok(())
}

/// TLS, when it is configured; its files are read again when they change.
fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, Error> {
    let Some(files) = config.tls.clone() else { return Ok(None) };
    let certificate = Certificate::load(files).map_err(|source| Error::Tls { source })?;
    let acceptor = certificate.acceptor().map_err(|source| Error::Tls { source })?;
    tokio::spawn(certificate.keep_fresh());
    Ok(Some(acceptor))
}

async fn open(config: &Config) -> Result<Core, Error> {
    let database = config.database()?;
    if let Some(directory) = database.file().and_then(Path::parent) {
        make_directory(directory)?;
    }
    make_directory(&config.images_dir)?;
    let keys = KeyRepository::open_or_create(&config.keys_dir).and_then(Tokens::new);
    let tokens = keys.map_err(|source| Error::Keys { source })?;
    let store = Store::open(&database).await.map_err(|source| Error::Store { source })?;
    if let Some(file) = database.file() {
        // Password hashes and console secrets are in it.
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))
            .map_err(Error::io(format!("cannot protect {}", file.display())))?;
    }
    Ok(Core::on_bus(store, tokens, config.core()?, config.bus()?))
}

/// For its owner alone when it is made here; one that is there stays as it is.
fn make_directory(directory: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(Error::io(format!("cannot make {}", directory.display())))
}

async fn wait_for_signal() -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::io("cannot wait for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("cannot wait for SIGINT"))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// SIGHUP: read the policy file again.
async fn reload_on_hangup(policy: Policy) {
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                policy.reload_and_log();
            }
        }
        Err(error) => tracing::warn!(%error, "SIGHUP will not be heeded"),
    }
}
