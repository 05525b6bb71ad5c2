//! From a token to who its bearer is: verified offline, then checked against what was revoked since.

use std::time::Duration;

use tokio::sync::watch;
use updraft_model::Timestamp;
use updraft_model::identity::{Domain, Project, Role, SERVICE, Target, User};
use updraft_store::Conn;
use updraft_store::identity::{domain, project, revocation, user};
use updraft_token::{Claims, Scope};

use super::checks;
use super::effective;
use crate::{Caller, Core, Error, ErrorKind, Result};

/// How often expired revocations are forgotten.
const PURGE_PERIOD: Duration = Duration::from_secs(600);
/// How long after its end a service may still ask about a token, to finish what it began: Keystone's two days.
pub(super) const EXPIRED_WINDOW: Duration = Duration::from_secs(2 * 24 * 3600);

/// A token that is alive, with everything that it stands for right now.
#[derive(Clone, Debug)]
pub struct LiveToken {
    pub claims: Claims,
    pub user: User,
    pub user_domain: Domain,
    pub scope: LiveScope,
    /// Effective on the scope; empty when unscoped.
    pub roles: Vec<Role>,
}

/// The scope of a [`LiveToken`], looked up.
#[derive(Clone, Debug)]
pub enum LiveScope {
    Unscoped,
    Project { project: Project, domain: Domain },
    Domain(Domain),
}

/// The caller behind a token; 401 for any token that is not alive.
pub async fn authenticate(core: &Core, token: &str, request_id: &str) -> Result<Caller> {
    let live = validate(core, token).await?;
    let (project, domain_id) = match live.scope {
        LiveScope::Unscoped => (None, None),
        LiveScope::Project { project, .. } => (Some(project), None),
        LiveScope::Domain(domain) => (None, Some(domain.id)),
    };
    let project_domain_id = project.as_ref().map(|project| project.domain_id.clone());
    let (project_id, project_name) = project.map(|project| (project.id, project.name)).unzip();
    Ok(Caller {
        user_id: live.user.id,
        user_name: live.user.name,
        user_domain_id: live.user.domain_id,
        project_id,
        project_name,
        project_domain_id,
        domain_id,
        roles: live.roles.into_iter().map(|role| role.name).collect(),
        audit_id: live.claims.audit_ids.into_iter().next().unwrap_or_default(),
        request_id: request_id.to_owned(),
        policy: core.policy.clone(),
        ..Caller::default()
    })
}

/// Everything about a token that is alive; 401 for any other.
pub async fn validate(core: &Core, token: &str) -> Result<LiveToken> {
    validate_at(core, token, core.clock.now()).await
}

/// A token as somebody else may see it: its own bearer, a service of the cloud, an administrator; 404 when it
/// is not alive. Services and administrators may ask for one that expired up to [`EXPIRED_WINDOW`] ago.
pub async fn show(core: &Core, caller: &Caller, subject: &str, allow_expired: bool) -> Result<LiveToken> {
    let may_see_all = caller.is_admin() || caller.has_role(SERVICE);
    let now = core.clock.now();
    let at = match allow_expired && may_see_all {
        true => now.minus(EXPIRED_WINDOW),
        false => now,
    };
    let live = validate_at(core, subject, at).await.map_err(|error| match error.kind {
        ErrorKind::Unauthorized => Error::not_found("NotFound", "Could not find token."),
        _ => error,
    })?;
    if !may_see_all && live.user.id != caller.user_id {
        return Err(checks::forbidden("identity:validate_token"));
    }
    Ok(live)
}

async fn validate_at(core: &Core, token: &str, at: Timestamp) -> Result<LiveToken> {
    let claims = core.tokens.verify(token, at.0).map_err(|error| Error::unauthorized().because(error))?;
    let mut conn = core.read().await?;
    if let Some(audit_id) = claims.audit_ids.first()
        && revocation::is_token_revoked(&mut conn, audit_id).await?
    {
        return Err(Error::unauthorized());
    }
    resolve(&mut conn, claims).await?.ok_or_else(Error::unauthorized)
}

/// Looks up what the claims stand for. `None` when the user or the scope is gone or disabled, when either
/// was cut off after the token was issued, or when no role is left on the scope.
pub(super) async fn resolve(conn: &mut Conn, claims: Claims) -> Result<Option<LiveToken>> {
    let issued = Timestamp(claims.issued_at_us);
    let Some(user) = user::get(conn, &claims.user_id).await? else { return Ok(None) };
    let Some(user_domain) = live_domain(conn, &user.domain_id, issued).await? else { return Ok(None) };
    if !user.enabled || issued <= user.tokens_valid_after {
        return Ok(None);
    }
    let (scope, target) = match &claims.scope {
        Scope::Unscoped => (LiveScope::Unscoped, None),
        Scope::Project(id) => {
            let Some(project) = project::get(conn, id).await? else { return Ok(None) };
            let Some(domain) = live_domain(conn, &project.domain_id, issued).await? else { return Ok(None) };
            if !project.enabled || issued <= project.tokens_valid_after {
                return Ok(None);
            }
            (LiveScope::Project { project, domain }, Some(Target::Project(id.clone())))
        }
        Scope::Domain(id) => {
            let Some(domain) = live_domain(conn, id, issued).await? else { return Ok(None) };
            (LiveScope::Domain(domain), Some(Target::Domain(id.clone())))
        }
    };
    let Some(target) = target else {
        return Ok(Some(LiveToken { claims, user, user_domain, scope, roles: Vec::new() }));
    };
    let revoked_until = revocation::scope_revoked_until(conn, &user.id, target.id()).await?;
    let roles = effective::roles(conn, &user.id, &target).await?;
    if roles.is_empty() || revoked_until.is_some_and(|until| issued <= until) {
        return Ok(None);
    }
    Ok(Some(LiveToken { claims, user, user_domain, scope, roles }))
}

async fn live_domain(conn: &mut Conn, id: &str, issued: Timestamp) -> Result<Option<Domain>> {
    let found = domain::get(conn, id).await?;
    Ok(found.filter(|domain| domain.enabled && issued > domain.tokens_valid_after))
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

/// Forgets revocations of tokens that have expired by themselves, until `shutdown` turns true.
pub async fn purge_loop(core: Core, mut shutdown: watch::Receiver<bool>) {
    loop {
        let now = core.clock.now();
        let oldest_issue = now.minus(core.config.token_lifetime + EXPIRED_WINDOW);
        let purge = core.write(move |tx| {
            Box::pin(async move { Ok(revocation::purge(tx, now.minus(EXPIRED_WINDOW), oldest_issue).await?) })
        });
        if let Err(error) = purge.await {
            tracing::warn!(%error, "expired revocations were not purged");
        }
        if tokio::time::timeout(PURGE_PERIOD, shutdown.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}
