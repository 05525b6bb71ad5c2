//! A token that is alive, with everything that it stands for right now.

use std::sync::Arc;

use updraft_model::Timestamp;
use updraft_model::identity::{ApplicationCredential, Domain, Project, Role, Target, Trust, User};
use updraft_store::Conn;
use updraft_store::identity::{application_credential, domain, federation, project, revocation, user};
pub use updraft_token::Federated;
use updraft_token::{Claims, Grant, Scope};

use super::{effective, trust};
use crate::{AppCredentialRef, Caller, Core, Policy, Result, TrustRef};

/// See the module.
#[derive(Clone, Debug)]
pub struct LiveToken {
    pub claims: Claims,
    pub user: User,
    pub user_domain: Domain,
    pub scope: LiveScope,
    pub grant: LiveGrant,
    /// Effective on the scope; empty when unscoped.
    pub roles: Vec<Role>,
}

/// The scope of a [`LiveToken`], looked up.
#[allow(clippy::large_enum_variant, reason = "nearly all are of a project")]
#[derive(Clone, Debug)]
pub enum LiveScope {
    Unscoped,
    Project { project: Project, domain: Domain },
    Domain(Domain),
    System,
}

/// The grant of a [`LiveToken`], looked up.
#[derive(Clone, Debug)]
pub enum LiveGrant {
    Own,
    Trust(Trust),
    ApplicationCredential(ApplicationCredential),
    Federated(Federated),
}

impl LiveToken {
    pub fn is_scoped(&self) -> bool {
        !matches!(self.scope, LiveScope::Unscoped)
    }

    /// Whether a token with these claims, of the same standing and in the same epoch, is alive because this one is:
    /// what cuts tokens off cuts off those issued before some time, so a later one outlives an earlier one.
    fn speaks_for(&self, claims: &Claims, at: Timestamp) -> bool {
        let ends_at = match &self.grant {
            LiveGrant::Own | LiveGrant::Federated(_) => None,
            LiveGrant::Trust(trust) => trust.expires_at,
            LiveGrant::ApplicationCredential(credential) => credential.expires_at,
        };
        claims.issued_at_us >= self.claims.issued_at_us && ends_at.is_none_or(|end| at < end)
    }

    /// What the use cases need to know of its bearer.
    pub fn into_caller(self, policy: Policy, request_id: &str) -> Caller {
        let system_scope = matches!(self.scope, LiveScope::System);
        let (project, domain_id) = match self.scope {
            LiveScope::Unscoped | LiveScope::System => (None, None),
            LiveScope::Project { project, .. } => (Some(project), None),
            LiveScope::Domain(domain) => (None, Some(domain.id)),
        };
        let project_domain_id = project.as_ref().map(|project| project.domain_id.clone());
        let (project_id, project_name) = project.map(|project| (project.id, project.name)).unzip();
        let (mut trust, mut application_credential, mut federated_groups) = (None, None, Vec::new());
        match self.grant {
            LiveGrant::Own => {}
            LiveGrant::Trust(found) => trust = Some(trust_ref(found)),
            LiveGrant::ApplicationCredential(found) => application_credential = Some(credential_ref(found)),
            LiveGrant::Federated(found) => federated_groups = found.group_ids,
        }
        Caller {
            user_id: self.user.id,
            user_name: self.user.name,
            user_domain_id: self.user.domain_id,
            project_id,
            project_name,
            project_domain_id,
            domain_id,
            system_scope,
            trust,
            application_credential,
            federated_groups,
            roles: self.roles.into_iter().map(|role| role.name).collect(),
            audit_id: self.claims.audit_ids.into_iter().next().unwrap_or_default(),
            request_id: request_id.to_owned(),
            policy,
        }
    }
}

fn trust_ref(trust: Trust) -> TrustRef {
    TrustRef {
        id: trust.id,
        trustor_user_id: trust.trustor_user_id,
        trustee_user_id: trust.trustee_user_id,
        impersonation: trust.impersonation,
    }
}

fn credential_ref(credential: ApplicationCredential) -> AppCredentialRef {
    AppCredentialRef {
        id: credential.id,
        restricted: !credential.unrestricted,
        access_rules: credential.access_rules,
    }
}

/// What a token stands on; the same for all tokens of one user with the same scope and grant.
pub type Standing = (String, Scope, Grant);

/// [`resolve`], from memory where no identity table has changed since the answer was worked out.
pub(super) async fn look_up(core: &Core, claims: Claims, at: Timestamp) -> Result<Option<LiveToken>> {
    let epoch = core.store.identity_epoch();
    let standing = (claims.user_id.clone(), claims.scope.clone(), claims.grant.clone());
    if let Some(kept) = core.fresh.standings.get(epoch, &standing)
        && kept.speaks_for(&claims, at)
    {
        return Ok(Some(LiveToken { claims, ..LiveToken::clone(&kept) }));
    }
    let found = resolve(&mut core.read().await?, claims, at).await?;
    if let Some(live) = &found {
        core.fresh.standings.put(epoch, standing, &Arc::new(live.clone()));
    }
    Ok(found)
}

/// Looks up what the claims stand for at the time `at`. `None` when the user, the scope or the grant is gone,
/// disabled or expired, when one of them was cut off after the token was issued, or when no role is left.
pub(super) async fn resolve(conn: &mut Conn, claims: Claims, at: Timestamp) -> Result<Option<LiveToken>> {
    let issued = Timestamp(claims.issued_at_us);
    let Some((user, user_domain)) = live_user(conn, &claims.user_id, issued).await? else { return Ok(None) };
    let Some(scope) = live_scope(conn, &claims.scope, issued).await? else { return Ok(None) };
    let Some(grant) = live_grant(conn, &claims, issued, at).await? else { return Ok(None) };
    let target = match &scope {
        LiveScope::Unscoped => None,
        LiveScope::Project { project, .. } => Some(Target::Project(project.id.clone())),
        LiveScope::Domain(domain) => Some(Target::Domain(domain.id.clone())),
        LiveScope::System => Some(Target::System),
    };
    let Some(target) = target else {
        return Ok(Some(LiveToken { claims, user, user_domain, scope, grant, roles: Vec::new() }));
    };
    let revoked_until = revocation::scope_revoked_until(conn, &user.id, target.id()).await?;
    let roles = granted_roles(conn, &user.id, &grant, &target).await?;
    if roles.is_empty() || revoked_until.is_some_and(|until| issued <= until) {
        return Ok(None);
    }
    Ok(Some(LiveToken { claims, user, user_domain, scope, grant, roles }))
}

/// A user that may act, with its domain. `None` also when its tokens ended after `issued`.
pub(super) async fn live_user(
    conn: &mut Conn,
    id: &str,
    issued: Timestamp,
) -> Result<Option<(User, Domain)>> {
    let Some(user) = user::get(conn, id).await? else { return Ok(None) };
    let Some(domain) = live_domain(conn, &user.domain_id, issued).await? else { return Ok(None) };
    Ok((user.enabled && issued > user.tokens_valid_after).then_some((user, domain)))
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

async fn live_grant(
    conn: &mut Conn,
    claims: &Claims,
    issued: Timestamp,
    at: Timestamp,
) -> Result<Option<LiveGrant>> {
    Ok(match &claims.grant {
        Grant::Own => Some(LiveGrant::Own),
        Grant::Trust(id) => trust::live(conn, id, issued, at).await?.map(LiveGrant::Trust),
        Grant::ApplicationCredential(id) => {
            let found = application_credential::get(conn, id).await?;
            let fits = |credential: &ApplicationCredential| {
                credential.user_id == claims.user_id
                    && claims.scope == Scope::Project(credential.project_id.clone())
                    && credential.expires_at.is_none_or(|expiry| at < expiry)
            };
            found.filter(fits).map(LiveGrant::ApplicationCredential)
        }
        Grant::Federated(federated) => {
            let idp = federation::get_idp(conn, &federated.idp_id).await?;
            idp.filter(|idp| idp.enabled).map(|_| LiveGrant::Federated(federated.clone()))
        }
    })
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
