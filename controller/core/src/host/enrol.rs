//! How a host comes to its credential, changes it and loses it.

use std::time::Duration;

use serde::Serialize;
use updraft_model::compute::host::{Credential, Enrolment};
use updraft_store::compute::{host, host_credential};

use super::credential::{HostCredential, derived, digest, fresh, is_same};
use crate::policy::require_admin;
use crate::{Caller, Core, Error, Result, audit};

/// How long a host may take to come for its credential.
const ENROL_WITHIN: Duration = Duration::from_secs(3600);
/// How long the old credential is good after the new one was handed out: for requests on their way, and for an agent
/// that died before it had written the new one down.
const CHANGE_WITHIN: Duration = Duration::from_secs(600);
/// The longest name of a host, in bytes (RFC 1035).
const MAX_NAME_BYTES: usize = 253;

/// Lets a host of this name come for its credential. The secret to come with is answered once, and only here. For
/// administrators.
pub async fn add(core: &Core, caller: &Caller, name: &str) -> Result<String> {
    require_admin(caller)?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_name) {
        let message = "A host's name is of letters, digits, dashes and dots.";
        return Err(Error::bad_request("BadHostName", message));
    }
    // Said now, not when the host comes.
    derived(core, "")?;
    let secret = fresh();
    let enrolment = Enrolment {
        name: name.to_owned(),
        secret_sha256: digest(&secret),
        ends_at: core.clock.now().plus(ENROL_WITHIN),
    };
    core.write(move |tx| Box::pin(async move { Ok(host_credential::put_enrolment(tx, &enrolment).await?) }))
        .await?;
    Ok(secret)
}

/// What a host is given. Not shown anywhere again.
#[derive(Clone, Serialize)]
pub struct Given {
    pub name: String,
    /// What the host shows to the controller.
    pub credential: String,
    /// What the controller shows to the host's agent.
    pub controller_credential: String,
}

/// Exchanges the secret of [`add`] for the host's own credential. It works once; 401 for any other secret.
pub async fn enrol(core: &Core, secret: &str) -> Result<Given> {
    let (hash, now, token) = (digest(secret), core.clock.now(), fresh());
    let token_sha256 = digest(&token);
    let controller_credential = derived(core, &token_sha256)?.expose().to_owned();
    let all = host_credential::list_enrolments(&mut core.read().await?).await?;
    if let Some(enrolment) = all.iter().find(|enrolment| is_same(&enrolment.secret_sha256, &hash)) {
        audit::identify_host(&enrolment.name);
    }
    let name = core
        .write(move |tx| {
            Box::pin(async move {
                let all = host_credential::list_enrolments(tx).await?;
                let found = all.into_iter().find(|enrolment| is_same(&enrolment.secret_sha256, &hash));
                let Enrolment { name, ends_at, .. } = found.ok_or_else(Error::unauthorized)?;
                if now >= ends_at || !host_credential::delete_enrolment(tx, &name).await? {
                    return Err(Error::unauthorized());
                }
                let credential = Credential {
                    token_sha256,
                    name: name.clone(),
                    host_id: None,
                    created_at: now,
                    ends_at: None,
                };
                host_credential::insert(tx, &credential).await?;
                Ok(name)
            })
        })
        .await?;
    Ok(Given { name, credential: token, controller_credential })
}

/// Gives a host another credential in place of the one that it shows, which ends soon.
pub async fn rotate(core: &Core, old: HostCredential) -> Result<Given> {
    let (now, token) = (core.clock.now(), fresh());
    let token_sha256 = digest(&token);
    let controller_credential = derived(core, &token_sha256)?.expose().to_owned();
    let name = old.name.clone();
    audit::identify_host(&name);
    core.write(move |tx| {
        Box::pin(async move {
            host_credential::end(tx, &old.token_sha256, now.plus(CHANGE_WITHIN)).await?;
            let HostCredential { name, host_id, .. } = old;
            let fresh = Credential { token_sha256, name, host_id, created_at: now, ends_at: None };
            Ok(host_credential::insert(tx, &fresh).await?)
        })
    })
    .await?;
    Ok(Given { name, credential: token, controller_credential })
}

/// Trusts the host of this name no more, from its next request on. Its servers are not touched: they run on, and the
/// host counts as down. For administrators; 404 when there is no such host.
pub async fn revoke(core: &Core, caller: &Caller, name: &str) -> Result<()> {
    require_admin(caller)?;
    let (name, now) = (name.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let mut is_known = host_credential::delete_enrolment(tx, &name).await?;
            for credential in host_credential::list(tx).await? {
                if credential.name == name && credential.is_good(now) {
                    host_credential::end(tx, &credential.token_sha256, now).await?;
                    is_known = true;
                }
            }
            if is_known {
                return Ok(());
            }
            Err(Error::not_found("HostNotFound", format!("No host '{name}' is trusted, or may enrol.")))
        })
    })
    .await
}

/// A name that is trusted, or may become so.
#[derive(Clone, Debug, Serialize)]
pub struct Trusted {
    pub name: String,
    /// `may enrol`, `enrolled` (not heard yet), `known`, or `revoked`.
    pub state: &'static str,
    pub host_id: Option<String>,
    pub hostname: Option<String>,
    /// When the credential, or the right to come for one, was or will be worth nothing.
    pub ends_at: Option<String>,
}

/// Who is trusted: all credentials, and all who may come for one. For administrators.
pub async fn list(core: &Core, caller: &Caller) -> Result<Vec<Trusted>> {
    require_admin(caller)?;
    let mut conn = core.read().await?;
    let (now, hosts) = (core.clock.now(), host::list(&mut conn).await?);
    let of_credential = |credential: Credential| Trusted {
        state: match (&credential.host_id, credential.is_good(now)) {
            (_, false) => "revoked",
            (None, true) => "enrolled",
            (Some(_), true) => "known",
        },
        hostname: hosts
            .iter()
            .find(|host| Some(&host.id) == credential.host_id.as_ref())
            .map(|host| host.hostname.clone()),
        ends_at: credential.ends_at.map(updraft_model::Timestamp::seconds_z),
        name: credential.name,
        host_id: credential.host_id,
    };
    let mut all: Vec<Trusted> =
        host_credential::list(&mut conn).await?.into_iter().map(of_credential).collect();
    all.extend(host_credential::list_enrolments(&mut conn).await?.into_iter().map(|enrolment| Trusted {
        name: enrolment.name,
        state: "may enrol",
        host_id: None,
        hostname: None,
        ends_at: Some(enrolment.ends_at.seconds_z()),
    }));
    Ok(all)
}
