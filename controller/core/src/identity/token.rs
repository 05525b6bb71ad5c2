//! From a token to who its bearer is: verified offline, then checked against what was revoked since.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use updraft_model::Timestamp;
use updraft_model::identity::Target as Scope;
use updraft_store::identity::revocation;

use super::live::{LiveGrant, LiveToken};
use super::{effective, live};
use crate::duty::{self, Duty};
use crate::policy::Target;
use crate::{Caller, Core, Error, ErrorKind, Result};

/// How long after its end a service may still ask about a token, to finish what it began: Keystone's two days.
pub(super) const EXPIRED_WINDOW: Duration = Duration::from_secs(2 * 24 * 3600);

/// The caller behind a token; 401 for any token that is not alive.
pub async fn authenticate(core: &Core, token: &str, request_id: &str) -> Result<Caller> {
    Ok(validate(core, token).await?.into_caller(core.policy.clone(), request_id))
}

/// Everything about a token that is alive; 401 for any other.
pub async fn validate(core: &Core, token: &str) -> Result<LiveToken> {
    validate_at(core, token, core.clock.now()).await
}

/// What somebody wants with a token, by default its own bearer, a service of the cloud or an administrator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenUse {
    Check,
    #[default]
    Validate,
    Revoke,
}

impl TokenUse {
    /// The rule that says who may.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Check => "identity:check_token",
            Self::Validate => "identity:validate_token",
            Self::Revoke => "identity:revoke_token",
        }
    }
}

/// How a token is asked about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    pub usage: TokenUse,
    /// Also when it has expired, within [`EXPIRED_WINDOW`].
    pub allow_expired: bool,
    /// Whoever asks will let the bearer do only what the access rules in the token allow.
    pub knows_access_rules: bool,
}

/// A token as somebody may see it; 404 when it is not alive. A token with access rules is shown to those alone who heed
/// them.
pub async fn show(core: &Core, caller: &Caller, subject: &str, asked: Asked) -> Result<LiveToken> {
    let now = core.clock.now();
    let at = if asked.allow_expired { now.minus(EXPIRED_WINDOW) } else { now };
    let not_found = || Error::not_found("NotFound", "Could not find token.");
    let live = validate_at(core, subject, at).await.map_err(|error| match error.kind {
        ErrorKind::Unauthorized => not_found(),
        _ => error,
    })?;
    caller
        .enforce(asked.usage.rule(), &Target { token_user_id: Some(&live.user.id), ..Target::default() })?;
    if has_access_rules(&live) && !asked.knows_access_rules {
        return Err(not_found());
    }
    Ok(live)
}

fn has_access_rules(live: &LiveToken) -> bool {
    matches!(&live.grant, LiveGrant::ApplicationCredential(credential) if !credential.access_rules.is_empty())
}

async fn validate_at(core: &Core, token: &str, at: Timestamp) -> Result<LiveToken> {
    let claims = core.tokens.verify(token, at.0).map_err(|error| Error::unauthorized().because(error))?;
    if let Some(audit_id) = claims.audit_ids.first()
        && is_revoked(core, audit_id).await?
    {
        return Err(Error::unauthorized());
    }
    live::look_up(core, claims, at).await?.ok_or_else(Error::unauthorized)
}

async fn is_revoked(core: &Core, audit_id: &String) -> Result<bool> {
    let epoch = core.store.identity_epoch();
    if let Some(known) = core.fresh.revoked.get(epoch, audit_id) {
        return Ok(*known);
    }
    let revoked = revocation::is_token_revoked(&mut core.read().await?, audit_id).await?;
    core.fresh.revoked.put(epoch, audit_id.clone(), &Arc::new(revoked));
    Ok(revoked)
}

/// Revokes a token: it is dead from the next request on.
pub async fn revoke(core: &Core, token: &LiveToken) -> Result<()> {
    let Some(audit_id) = token.claims.audit_ids.first().cloned() else { return Ok(()) };
    let expires_at = Timestamp(token.claims.expires_at_us);
    core.write(move |tx| {
        Box::pin(async move { Ok(revocation::revoke_token(tx, &audit_id, expires_at).await?) })
    })
    .await
}

/// Whether the caller holds a role on the system.
pub async fn may_scope_to_system(core: &Core, caller: &Caller) -> Result<bool> {
    let held = effective::roles(&mut core.read().await?, &caller.user_id, &Scope::System).await?;
    Ok(!caller.is_delegated() && !held.is_empty())
}

/// Forgets revocations of tokens that have expired by themselves, until `shutdown` turns true.
pub async fn purge_loop(core: Core, shutdown: watch::Receiver<bool>) {
    duty::run(core, Duty::purge("revocation-purge"), shutdown, purge).await;
}

async fn purge(core: Core) -> Result<()> {
    let now = core.clock.now();
    let oldest_issue = now.minus(core.config.token_lifetime + EXPIRED_WINDOW);
    core.write(move |tx| {
        Box::pin(async move { Ok(revocation::purge(tx, now.minus(EXPIRED_WINDOW), oldest_issue).await?) })
    })
    .await
    .map(drop)
}
