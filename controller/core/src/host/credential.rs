//! What a host proves itself with: a bearer token of its own, stored as a hash, tied to the host by its first report.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use updraft_store::compute::host;

use crate::{Core, Error, Result};

/// A credential that is good, by its hash, and the host that it belongs to (`None` before the first report).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCredential {
    pub(super) token_sha256: String,
    pub host_id: Option<String>,
}

/// Makes the credential of the configuration known. Run at start; repeating it changes nothing.
pub async fn register_own(core: &Core) -> Result<()> {
    let Some(secret) = &core.config.host_credential else { return Ok(()) };
    let (hash, now) = (digest(secret.expose()), core.clock.now());
    core.write(move |tx| Box::pin(async move { Ok(host::register_credential(tx, &hash, now).await?) })).await
}

/// The credential behind a bearer token; 401 for any other. Hashes are compared in constant time.
pub async fn authenticate(core: &Core, token: &str) -> Result<HostCredential> {
    let hash = digest(token);
    let known = host::list_credentials(&mut core.read().await?).await?;
    let mut found = None;
    for (token_sha256, host_id) in known {
        if bool::from(token_sha256.as_bytes().ct_eq(hash.as_bytes())) {
            found = Some(HostCredential { token_sha256, host_id });
        }
    }
    found.ok_or_else(Error::unauthorized)
}

fn digest(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
