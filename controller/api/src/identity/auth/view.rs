//! A token as the API shows it.

use updraft_core::identity::token::{LiveScope, LiveToken};
use updraft_core::{Core, Result};
use updraft_model::Timestamp;
use updraft_model::identity::Domain;
use updraft_wire::identity::{RoleName, TokenBody, TokenDomain, TokenProject, TokenUser, TokenView};

use crate::identity::catalog;

pub(super) async fn token(
    core: &Core,
    endpoint: &str,
    live: LiveToken,
    with_catalog: bool,
) -> Result<TokenBody> {
    let project_id = match &live.scope {
        LiveScope::Project { project, .. } => Some(project.id.as_str()),
        LiveScope::Unscoped | LiveScope::Domain(_) => None,
    };
    let is_scoped = !matches!(live.scope, LiveScope::Unscoped);
    let catalog = match is_scoped && with_catalog {
        true => Some(catalog::entries(core, endpoint, project_id).await?),
        false => None,
    };
    let roles = live.roles.into_iter().map(|role| RoleName { id: role.id, name: role.name });
    let roles = is_scoped.then(|| roles.collect());
    let (project, domain) = match live.scope {
        LiveScope::Unscoped => (None, None),
        LiveScope::Domain(domain) => (None, Some(domain_view(domain))),
        LiveScope::Project { project, domain } => {
            (Some(TokenProject { domain: domain_view(domain), id: project.id, name: project.name }), None)
        }
    };
    let user = TokenUser {
        domain: domain_view(live.user_domain),
        id: live.user.id,
        name: live.user.name,
        password_expires_at: None,
    };
    Ok(TokenBody {
        token: TokenView {
            methods: live.claims.methods.iter().map(|method| method.as_str()).collect(),
            user,
            audit_ids: live.claims.audit_ids,
            expires_at: Timestamp(live.claims.expires_at_us).micros_z(),
            issued_at: Timestamp(live.claims.issued_at_us).micros_z(),
            is_domain: project.as_ref().map(|_| false),
            project,
            domain,
            roles,
            catalog,
        },
    })
}

fn domain_view(domain: Domain) -> TokenDomain {
    TokenDomain { id: domain.id, name: domain.name }
}
