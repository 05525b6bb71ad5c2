//! What a host proves itself with: a bearer token of its own, here as a hash alone, tied to the host by its first report.
//!
//! The controller proves itself to a host's agent too (consoles, inventories). What it shows is derived from a key of the
//! controllers' own and the host's credential: different for each host, and of no use to any other.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use updraft_model::compute::host::Credential;
use updraft_store::Conn;
use updraft_store::compute::host_credential;

use crate::config::Secret;
use crate::{Core, Error, ErrorKind, Result};

/// A credential that is good, and the host that it belongs to (`None` before the first report).
#[derive(Clone, PartialEq, Eq)]
pub struct HostCredential {
    pub(super) token_sha256: String,
    pub(super) name: String,
    pub host_id: Option<String>,
}

impl fmt::Debug for HostCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, host_id, .. } = self;
        formatter
            .debug_struct("HostCredential")
            .field("name", name)
            .field("host_id", host_id)
            .finish_non_exhaustive()
    }
}

/// Makes the credential of the configuration known. Run at start; repeating it changes nothing.
pub async fn register_own(core: &Core) -> Result<()> {
    let Some(secret) = &core.config.host_credential else { return Ok(()) };
    let (token_sha256, created_at) = (digest(secret.expose()), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            if host_credential::get(tx, &token_sha256).await?.is_some() {
                return Ok(());
            }
            let own =
                Credential { token_sha256, name: String::new(), host_id: None, created_at, ends_at: None };
            Ok(host_credential::insert(tx, &own).await?)
        })
    })
    .await
}

/// The credential behind a bearer token; 401 for any other. Hashes are compared in constant time.
pub async fn authenticate(core: &Core, token: &str) -> Result<HostCredential> {
    let (hash, now) = (digest(token), core.clock.now());
    let known = host_credential::list(&mut core.read().await?).await?;
    let mut found = None;
    for credential in known {
        if is_same(&credential.token_sha256, &hash) && credential.is_good(now) {
            let Credential { token_sha256, name, host_id, .. } = credential;
            found = Some(HostCredential { token_sha256, name, host_id });
        }
    }
    found.ok_or_else(Error::unauthorized)
}

/// What the controller shows to a host's agent.
pub(crate) async fn shown_to(core: &Core, conn: &mut Conn, host_id: &str) -> Result<Secret> {
    let now = core.clock.now();
    let all = host_credential::list(conn).await?;
    let is_of_host =
        |credential: &Credential| credential.host_id.as_deref() == Some(host_id) && credential.is_good(now);
    // The newest: an agent that changed its credential knows it from the answer.
    let credential = all.into_iter().rfind(is_of_host).ok_or_else(|| {
        Error::new(ErrorKind::Unavailable, "NoHostCredential", "The server's host is not trusted any more.")
    })?;
    derived(core, &credential.token_sha256)
}

/// What the controller shows where a host has the credential of this hash.
pub(super) fn derived(core: &Core, token_sha256: &str) -> Result<Secret> {
    if let Some(own) = &core.config.host_credential
        && digest(own.expose()) == token_sha256
    {
        return Ok(own.clone());
    }
    let key = core.config.host_key.as_ref().ok_or_else(|| {
        let message = "The controller's configuration names no host_key_file.";
        Error::new(ErrorKind::Unavailable, "NoHostKey", message)
    })?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).map_err(Error::internal)?;
    mac.update(b"controller to host ");
    mac.update(token_sha256.as_bytes());
    Ok(hexadecimal(&mac.finalize().into_bytes()).into())
}

/// A fresh secret: two random ids, 244 random bits.
pub(super) fn fresh() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

pub(super) fn digest(token: &str) -> String {
    hexadecimal(&Sha256::digest(token.as_bytes()))
}

pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
