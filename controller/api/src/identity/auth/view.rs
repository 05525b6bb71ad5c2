//! A token as the API shows it.

use updraft_core::identity::catalog::Bearer;
use updraft_core::identity::federation;
use updraft_core::identity::live::{Federated, LiveGrant, LiveScope, LiveToken};
use updraft_core::identity::login::Unfinished;
use updraft_core::{Core, Result};
use updraft_model::Timestamp;
use updraft_model::identity::{AccessRule, ApplicationCredential, Domain, ServiceProvider, Trust};
use updraft_wire::identity::{
    AccessRuleView, IdRef, ReceiptBody, ReceiptUser, ReceiptView, RoleName, TokenAppCredential, TokenBody,
    TokenDomain, TokenFederation, TokenProject, TokenServiceProvider, TokenSystem, TokenTrust, TokenUser,
    TokenView,
};

use crate::identity::catalog;

pub(in crate::identity) async fn token(
    core: &Core,
    endpoint: &str,
    live: &LiveToken,
    with_catalog: bool,
) -> Result<TokenBody> {
    let project_id = match &live.scope {
        LiveScope::Project { project, .. } => Some(project.id.as_str()),
        LiveScope::Unscoped | LiveScope::Domain(_) | LiveScope::System => None,
    };
    // A trust's catalog is the trustor's, whoever bears the token.
    let user_id = match &live.grant {
        LiveGrant::Trust(trust) => trust.trustor_user_id.as_str(),
        _ => live.user.id.as_str(),
    };
    let is_scoped = live.is_scoped();
    let catalog = match is_scoped && with_catalog {
        true => Some(catalog::entries(core, endpoint, Bearer { user_id, project_id }).await?),
        false => None,
    };
    let service_providers = federation::enabled_service_providers(core).await?;
    let roles = live.roles.iter().map(|role| RoleName { id: role.id.clone(), name: role.name.clone() });
    let roles = is_scoped.then(|| roles.collect());
    let system = matches!(live.scope, LiveScope::System).then_some(TokenSystem { all: true });
    let (project, domain) = match &live.scope {
        LiveScope::Unscoped | LiveScope::System => (None, None),
        LiveScope::Domain(domain) => (None, Some(domain_view(domain))),
        LiveScope::Project { project, domain } => {
            let (id, name) = (project.id.clone(), project.name.clone());
            (Some(TokenProject { domain: domain_view(domain), id, name }), None)
        }
    };
    let (mut trust, mut application_credential, mut federated) = (None, None, None);
    match &live.grant {
        LiveGrant::Own => {}
        LiveGrant::Trust(found) => trust = Some(trust_view(found)),
        LiveGrant::ApplicationCredential(found) => application_credential = Some(app_credential_view(found)),
        LiveGrant::Federated(found) => federated = Some(federation_view(found)),
    }
    let expiry = live.user.password.as_ref().and_then(|password| password.expires_at);
    let user = TokenUser {
        domain: domain_view(&live.user_domain),
        id: live.user.id.clone(),
        name: live.user.name.clone(),
        password_expires_at: federated.is_none().then(|| expiry.map(Timestamp::micros_bare)),
        federation: federated,
    };
    Ok(TokenBody {
        token: TokenView {
            methods: live.claims.methods.iter().map(|method| method.as_str()).collect(),
            user,
            audit_ids: live.claims.audit_ids.clone(),
            expires_at: Timestamp(live.claims.expires_at_us).micros_z(),
            issued_at: Timestamp(live.claims.issued_at_us).micros_z(),
            // Keystone leaves it out of a trust's token.
            is_domain: (project.is_some() && trust.is_none()).then_some(false),
            system,
            project,
            domain,
            trust,
            application_credential,
            roles,
            catalog,
            service_providers: service_providers.iter().map(service_provider_view).collect(),
        },
    })
}

/// What somebody gets who must prove more.
pub(super) fn receipt(unfinished: Unfinished) -> ReceiptBody {
    let Unfinished { user, user_domain, methods, required, issued_at, expires_at, .. } = unfinished;
    ReceiptBody {
        receipt: ReceiptView {
            methods: methods.iter().map(|method| method.as_str()).collect(),
            user: ReceiptUser { domain: domain_view(&user_domain), id: user.id, name: user.name },
            expires_at: expires_at.micros_z(),
            issued_at: issued_at.micros_z(),
        },
        required_auth_methods: required,
    }
}

fn domain_view(domain: &Domain) -> TokenDomain {
    TokenDomain { id: domain.id.clone(), name: domain.name.clone() }
}

fn trust_view(trust: &Trust) -> TokenTrust {
    TokenTrust {
        id: trust.id.clone(),
        trustor_user: IdRef { id: trust.trustor_user_id.clone() },
        trustee_user: IdRef { id: trust.trustee_user_id.clone() },
        impersonation: trust.impersonation,
    }
}

fn app_credential_view(credential: &ApplicationCredential) -> TokenAppCredential {
    let rule = |rule: &AccessRule| AccessRuleView {
        id: rule.id.clone(),
        service: rule.service.clone(),
        method: rule.method.clone(),
        path: rule.path.clone(),
        links: None,
    };
    TokenAppCredential {
        id: credential.id.clone(),
        name: credential.name.clone(),
        restricted: !credential.unrestricted,
        access_rules: credential.access_rules.iter().map(rule).collect(),
    }
}

fn service_provider_view(provider: &ServiceProvider) -> TokenServiceProvider {
    let ServiceProvider { id, auth_url, sp_url, .. } = provider.clone();
    TokenServiceProvider { id, auth_url, sp_url }
}

fn federation_view(federated: &Federated) -> TokenFederation {
    TokenFederation {
        groups: federated.group_ids.iter().map(|id| IdRef { id: id.clone() }).collect(),
        identity_provider: IdRef { id: federated.idp_id.clone() },
        protocol: IdRef { id: federated.protocol_id.clone() },
    }
}
