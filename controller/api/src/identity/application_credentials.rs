//! `/v3/users/{user_id}/application_credentials` and `/v3/users/{user_id}/access_rules`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::Error;
use updraft_core::identity::application_credential::{
    self, NewApplicationCredential, RoleRef, RuleFilter, RuleRef, Shown,
};
use updraft_model::identity::AccessRule;
use updraft_wire::identity::{
    AccessRuleBody, AccessRuleFields, AccessRuleView, AppCredentialBody, AppCredentialRequest,
    AppCredentialRole, AppCredentialView, RoleKey,
};

use super::list::ListCall;
use super::{required, self_link};
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/users/{user_id}/application_credentials", get(list).post(create))
        .route("/users/{user_id}/application_credentials/{credential_id}", get(show).delete(delete))
        .route("/users/{user_id}/access_rules", get(list_rules))
        .route("/users/{user_id}/access_rules/{rule_id}", get(show_rule).delete(delete_rule))
}

fn view(endpoint: &str, shown: Shown, secret: Option<String>) -> AppCredentialView {
    let Shown { credential, roles } = shown;
    let path = format!("users/{}/application_credentials", credential.user_id);
    let rules = credential.access_rules.into_iter();
    let role = |role: updraft_model::identity::Role| AppCredentialRole {
        id: role.id,
        name: role.name,
        domain_id: role.domain_id,
        description: role.description,
        options: role.options,
    };
    AppCredentialView {
        links: self_link(endpoint, &path, &credential.id),
        id: credential.id,
        name: credential.name,
        description: credential.description,
        user_id: credential.user_id,
        project_id: credential.project_id,
        system: None,
        expires_at: credential.expires_at.map(|at| at.micros_bare()),
        unrestricted: credential.unrestricted,
        roles: roles.into_iter().map(role).collect(),
        access_rules: rules.map(rule_view).collect(),
        secret,
    }
}

/// A rule in the credential that has it.
fn rule_view(rule: AccessRule) -> AccessRuleView {
    AccessRuleView { id: rule.id, service: rule.service, method: rule.method, path: rule.path, links: None }
}

/// A rule by itself; `path` is where those of the user are.
fn linked_rule_view(endpoint: &str, path: &str, rule: AccessRule) -> AccessRuleView {
    let links = Some(self_link(endpoint, path, &rule.id));
    AccessRuleView { links, ..rule_view(rule) }
}

/// A role by its id or its name; 400 without either.
pub(super) fn role_ref(key: RoleKey) -> Result<RoleRef, Error> {
    match (key.id, key.name) {
        (Some(id), _) => Ok(RoleRef::Id(id)),
        (None, name) => Ok(RoleRef::Name(required(name, "name")?)),
    }
}

fn rule_ref(fields: AccessRuleFields) -> Result<RuleRef, Error> {
    let AccessRuleFields { id, service, method, path } = fields;
    match (id, service, method, path) {
        (_, Some(service), Some(method), Some(path)) => Ok(RuleRef::New { service, method, path }),
        (Some(id), ..) => Ok(RuleRef::Id(id)),
        _ => Err(Error::bad_request("ValidationError", "An access rule has a service, a method and a path.")),
    }
}

async fn list(
    Call { core, caller, endpoint }: Call,
    Path(user_id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = application_credential::list(&core, &caller, &user_id, call.get("name")).await?;
    let views = found.into_iter().map(|shown| view(&endpoint, shown, None)).collect();
    let path = format!("users/{user_id}/application_credentials");
    Ok(call.answer(&endpoint, &path, "application_credentials", &["name"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Path(user_id): Path<String>,
    Body(request): Body<AppCredentialRequest>,
) -> Answer<(StatusCode, Json<AppCredentialBody>)> {
    let fields = request.application_credential;
    let new = NewApplicationCredential {
        name: fields.name,
        description: fields.description,
        secret: fields.secret.filter(|secret| !secret.is_empty()),
        expires_at: fields.expires_at,
        unrestricted: fields.unrestricted.unwrap_or(false),
        roles: fields.roles.unwrap_or_default().into_iter().map(role_ref).collect::<Result<_, _>>()?,
        access_rules: fields
            .access_rules
            .unwrap_or_default()
            .into_iter()
            .map(rule_ref)
            .collect::<Result<_, _>>()?,
    };
    let (shown, secret) = application_credential::create(&core, &caller, &user_id, new).await?;
    let body = AppCredentialBody { application_credential: view(&endpoint, shown, Some(secret)) };
    Ok((StatusCode::CREATED, Json(body)))
}

async fn show(
    Call { core, caller, endpoint }: Call,
    Path((user_id, id)): Path<(String, String)>,
) -> Answer<Json<AppCredentialBody>> {
    let shown = application_credential::get(&core, &caller, &user_id, &id).await?;
    Ok(Json(AppCredentialBody { application_credential: view(&endpoint, shown, None) }))
}

async fn delete(
    Call { core, caller, .. }: Call,
    Path((user_id, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    application_credential::delete(&core, &caller, &user_id, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_rules(
    Call { core, caller, endpoint }: Call,
    Path(user_id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let (service, method, path) = (call.owned("service"), call.owned("method"), call.owned("path"));
    let filter = RuleFilter { service, method, path };
    let found = application_credential::list_rules(&core, &caller, &user_id, &filter).await?;
    let path = format!("users/{user_id}/access_rules");
    let views = found.into_iter().map(|rule| linked_rule_view(&endpoint, &path, rule)).collect();
    Ok(call.answer(&endpoint, &path, "access_rules", &["service", "method", "path"], views)?)
}

async fn show_rule(
    Call { core, caller, endpoint }: Call,
    Path((user_id, id)): Path<(String, String)>,
) -> Answer<Json<AccessRuleBody>> {
    let rule = application_credential::get_rule(&core, &caller, &user_id, &id).await?;
    let path = format!("users/{user_id}/access_rules");
    Ok(Json(AccessRuleBody { access_rule: linked_rule_view(&endpoint, &path, rule) }))
}

async fn delete_rule(
    Call { core, caller, .. }: Call,
    Path((user_id, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    application_credential::delete_rule(&core, &caller, &user_id, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
