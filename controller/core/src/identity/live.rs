//! A token that is alive, with everything that it stands for right now.

use std::ops::Deref;
use std::sync::Arc;

use updraft_model::Timestamp;
use updraft_model::identity::{ApplicationCredential, Domain, Project, Role, Target, Trust, User};
use updraft_store::Conn;
use updraft_store::identity::{application_credential, domain, federation, project, revocation, user};
pub use updraft_token::Federated;
use updraft_token::{Claims, Grant, Scope};

use super::{compliance, effective, trust};
use crate::config::SecurityCompliance;
use crate::{AppCredentialRef, Caller, Core, Policy, Result, TrustRef};

/// See the module. Whoever looks at it sees what it stands on.
#[derive(Clone, Debug)]
pub struct LiveToken {
    pub claims: Claims,
    standing: Arc<LiveStanding>,
}

impl Deref for LiveToken {
    type Target = LiveStanding;

    fn deref(&self) -> &LiveStanding {
        &self.standing
    }
}

/// What a token stands on, looked up; shared by all tokens of the same [`Standing`].
#[derive(Clone, Debug)]
pub struct LiveStanding {
    pub user: User,
    pub user_domain: Domain,
    pub scope: LiveScope,
    pub grant: LiveGrant,
    /// Effective on the scope; empty when unscoped.
    pub roles: Vec<Role>,
    /// When the token was issued for which all this was looked up, in microseconds of the epoch of Unix.
    issued_at_us: i64,
    /// When one of the users whom it stands on counts as disabled for being away, unless that one logs in before.
    pub(super) idle_at: Option<Timestamp>,
}

/// The scope of a [`LiveStanding`].
#[allow(clippy::large_enum_variant, reason = "nearly all are of a project")]
#[derive(Clone, Debug)]
pub enum LiveScope {
    Unscoped,
    Project { project: Project, domain: Domain },
    Domain(Domain),
    System,
}

/// The grant of a [`LiveStanding`].
#[derive(Clone, Debug)]
pub enum LiveGrant {
    Own,
    Trust(Trust),
    ApplicationCredential(ApplicationCredential),
    Federated(Federated),
}

impl LiveStanding {
    pub fn is_scoped(&self) -> bool {
        !matches!(self.scope, LiveScope::Unscoped)
    }

    /// Whether a token with these claims is alive in the same epoch because this was looked up for another: what cuts
    /// tokens off cuts off those issued before some time, so a later one outlives an earlier one. A login starts no
    /// epoch: who has been away for too long as far as is known here may have come back meanwhile.
    fn speaks_for(&self, claims: &Claims, at: Timestamp, now: Timestamp) -> bool {
        let ends_at = match &self.grant {
            LiveGrant::Own | LiveGrant::Federated(_) => None,
            LiveGrant::Trust(trust) => trust.expires_at,
            LiveGrant::ApplicationCredential(credential) => credential.expires_at,
        };
        claims.issued_at_us >= self.issued_at_us
            && ends_at.is_none_or(|end| at < end)
            && self.idle_at.is_none_or(|end| now < end)
    }
}

impl LiveToken {
    /// What the use cases need to know of its bearer.
    pub fn into_caller(self, policy: Policy, request_id: &str) -> Caller {
        let Self { claims, standing } = self;
        let system_scope = matches!(standing.scope, LiveScope::System);
        let (project, domain_id) = match &standing.scope {
            LiveScope::Unscoped | LiveScope::System => (None, None),
            LiveScope::Project { project, .. } => (Some(project), None),
            LiveScope::Domain(domain) => (None, Some(domain.id.clone())),
        };
        let (mut trust, mut application_credential, mut federated_groups) = (None, None, Vec::new());
        match &standing.grant {
            LiveGrant::Own => {}
            LiveGrant::Trust(found) => trust = Some(trust_ref(found)),
            LiveGrant::ApplicationCredential(found) => application_credential = Some(credential_ref(found)),
            LiveGrant::Federated(found) => federated_groups.clone_from(&found.group_ids),
        }
        Caller {
            user_id: standing.user.id.clone(),
            user_name: standing.user.name.clone(),
            user_domain_id: standing.user.domain_id.clone(),
            project_id: project.map(|project| project.id.clone()),
            project_name: project.map(|project| project.name.clone()),
            project_domain_id: project.map(|project| project.domain_id.clone()),
            domain_id,
            system_scope,
            trust,
            application_credential,
            federated_groups,
            roles: standing.roles.iter().map(|role| role.name.clone()).collect(),
            audit_id: claims.audit_ids.into_iter().next().unwrap_or_default(),
            request_id: request_id.to_owned(),
            policy,
        }
    }
}

fn trust_ref(trust: &Trust) -> TrustRef {
    TrustRef {
        id: trust.id.clone(),
        trustor_user_id: trust.trustor_user_id.clone(),
        trustee_user_id: trust.trustee_user_id.clone(),
        impersonation: trust.impersonation,
    }
}

fn credential_ref(credential: &ApplicationCredential) -> AppCredentialRef {
    AppCredentialRef {
        id: credential.id.clone(),
        restricted: !credential.unrestricted,
        access_rules: credential.access_rules.clone(),
    }
}

/// What a token stands on; the same for all tokens of one user with the same scope and grant.
pub type Standing = (String, Scope, Grant);

/// [`resolve`], from memory where no identity table has changed since the answer was worked out.
pub(super) async fn look_up(core: &Core, claims: Claims, at: Timestamp) -> Result<Option<LiveToken>> {
    let (epoch, now) = (core.store.identity_epoch(), core.clock.now());
    let standing = (claims.user_id.clone(), claims.scope.clone(), claims.grant.clone());
    if let Some(kept) = core.fresh.standings.get(epoch, &standing)
        && kept.speaks_for(&claims, at, now)
    {
        return Ok(Some(LiveToken { claims, standing: kept }));
    }
    let rules = &core.config.security_compliance;
    let look = Look { issued: Timestamp(claims.issued_at_us), at, now, rules };
    let found = resolve(&mut core.read().await?, &claims, look).await?.map(Arc::new);
    if let Some(live) = &found {
        core.fresh.standings.put(epoch, standing, live);
    }
    Ok(found.map(|standing| LiveToken { claims, standing }))
}

/// How a token is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    pub issued: Timestamp,
    /// The time that it must not have ended at: now, or some time ago for who may ask about expired tokens.
    pub at: Timestamp,
    pub now: Timestamp,
    pub rules: &'a SecurityCompliance,
}

/// Looks up what the claims stand for. `None` when the user, the scope or the grant is gone, disabled or expired, when
/// the user has been away for too long, when one of them was cut off after the token was issued, or when no role is
/// left.
async fn resolve(conn: &mut Conn, claims: &Claims, look: Look<'_>) -> Result<Option<LiveStanding>> {
    let (issued, issued_at_us) = (look.issued, claims.issued_at_us);
    let Some(found) = live_user(conn, &claims.user_id, look).await? else { return Ok(None) };
    let LiveUser { user, domain: user_domain, idle_at } = found;
    let Some(scope) = live_scope(conn, &claims.scope, issued).await? else { return Ok(None) };
    let Some((grant, others_idle_at)) = live_grant(conn, claims, look).await? else { return Ok(None) };
    let idle_at = idle_at.into_iter().chain(others_idle_at).min();
    let target = match &scope {
        LiveScope::Unscoped => None,
        LiveScope::Project { project, .. } => Some(Target::Project(project.id.clone())),
        LiveScope::Domain(domain) => Some(Target::Domain(domain.id.clone())),
        LiveScope::System => Some(Target::System),
    };
    let Some(target) = target else {
        let roles = Vec::new();
        return Ok(Some(LiveStanding { user, user_domain, scope, grant, roles, issued_at_us, idle_at }));
    };
    let revoked_until = revocation::scope_revoked_until(conn, &user.id, target.id()).await?;
    let roles = granted_roles(conn, &user.id, &grant, &target).await?;
    if roles.is_empty() || revoked_until.is_some_and(|until| issued <= until) {
        return Ok(None);
    }
    Ok(Some(LiveStanding { user, user_domain, scope, grant, roles, issued_at_us, idle_at }))
}

/// A user that may act.
pub(super) struct LiveUser {
    pub user: User,
    pub domain: Domain,
    pub idle_at: Option<Timestamp>,
}

/// The user, if it may act; `None` also when its tokens ended after the one that is looked at was issued.
pub(super) async fn live_user(conn: &mut Conn, id: &str, look: Look<'_>) -> Result<Option<LiveUser>> {
    let Some(user) = user::get(conn, id).await? else { return Ok(None) };
    let Some(domain) = live_domain(conn, &user.domain_id, look.issued).await? else { return Ok(None) };
    let idle_at = compliance::idle_at(conn, look.rules, &user).await?;
    let is_live =
        user.enabled && look.issued > user.tokens_valid_after && idle_at.is_none_or(|end| look.now < end);
    Ok(is_live.then_some(LiveUser { user, domain, idle_at }))
}

async fn live_scope(conn: &mut Conn, scope: &Scope, issued: Timestamp) -> Result<Option<LiveScope>> {
    Ok(match scope {
        Scope::Unscoped => Some(LiveScope::Unscoped),
        Scope::System => Some(LiveScope::System),
        Scope::Domain(id) => live_domain(conn, id, issued).await?.map(LiveScope::Domain),
        Scope::Project(id) => {
            let Some(project) = project::get(conn, id).await? else { return Ok(None) };
            let Some(domain) = live_domain(conn, &project.domain_id, issued).await? else { return Ok(None) };
            let is_live = project.enabled && issued > project.tokens_valid_after;
            is_live.then_some(LiveScope::Project { project, domain })
        }
    })
}

async fn live_domain(conn: &mut Conn, id: &str, issued: Timestamp) -> Result<Option<Domain>> {
    let found = domain::get(conn, id).await?;
    Ok(found.filter(|domain| domain.enabled && issued > domain.tokens_valid_after))
}

/// What the token was granted by, and when one of those who granted it counts as disabled for being away.
async fn live_grant(
    conn: &mut Conn,
    claims: &Claims,
    look: Look<'_>,
) -> Result<Option<(LiveGrant, Option<Timestamp>)>> {
    let grant = match &claims.grant {
        Grant::Own => Some(LiveGrant::Own),
        Grant::Trust(id) => {
            let found = trust::live(conn, id, look).await?;
            return Ok(found.map(|(trust, idle_at)| (LiveGrant::Trust(trust), idle_at)));
        }
        Grant::ApplicationCredential(id) => {
            let found = application_credential::get(conn, id).await?;
            let fits = |credential: &ApplicationCredential| {
                credential.user_id == claims.user_id
                    && claims.scope == Scope::Project(credential.project_id.clone())
                    && credential.expires_at.is_none_or(|expiry| look.at < expiry)
            };
            found.filter(fits).map(LiveGrant::ApplicationCredential)
        }
        Grant::Federated(federated) => {
            let idp = federation::get_idp(conn, &federated.idp_id).await?;
            idp.filter(|idp| idp.enabled).map(|_| LiveGrant::Federated(federated.clone()))
        }
    };
    Ok(grant.map(|grant| (grant, None)))
}

/// The roles that a token has on its scope: never more than whoever granted it holds there itself.
async fn granted_roles(
    conn: &mut Conn,
    user_id: &str,
    grant: &LiveGrant,
    target: &Target,
) -> Result<Vec<Role>> {
    match grant {
        LiveGrant::Own => effective::roles(conn, user_id, target).await,
        LiveGrant::Trust(trust) => trust::roles(conn, trust).await,
        LiveGrant::ApplicationCredential(credential) => {
            let mut roles = effective::roles(conn, user_id, target).await?;
            roles.retain(|role| credential.role_ids.contains(&role.id));
            Ok(roles)
        }
        LiveGrant::Federated(federated) => {
            effective::roles_with_groups(conn, user_id, &federated.group_ids, target).await
        }
    }
}
