//! `/v3/auth`: tokens, and what a token's bearer may scope to.

mod login;
mod signed;

pub(super) mod view;

#[cfg(test)]
mod tests;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use updraft_core::identity::catalog::Bearer;
use updraft_core::identity::login::{self as logins, Login, Outcome};
use updraft_core::identity::token::{self, TokenUse};
use updraft_core::identity::{domain, project};
use updraft_core::policy::Target;
use updraft_core::{Core, Error};
use updraft_wire::identity::{AuthRequest, CatalogBody, DomainList, ProjectList, SelfLink};

use super::{catalog, domains, projects};
use crate::http::{Answer, Body, Call, Form, PublicEndpoint};
use crate::routes::{Routes, get};

/// For what was proved so far, when that is not enough.
const AUTH_RECEIPT: HeaderName = HeaderName::from_static("openstack-auth-receipt");
/// What a middleware that heeds access rules says when it validates a token.
const ACCESS_RULES: HeaderName = HeaderName::from_static("openstack-identity-access-rules");
/// The token that is made, shown or revoked; `X-Auth-Token` is the caller's.
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/auth/tokens", get(show).post(create).public().status(201).delete(revoke))
        .route("/auth/catalog", get(own_catalog))
        .route("/auth/projects", get(own_projects))
        .route("/auth/domains", get(own_domains))
        .route("/auth/system", get(own_system))
        .merge(signed::routes())
}

#[derive(Debug, Deserialize, JsonSchema)]
struct TokenQuery {
    /// Present, whatever its value: leave the catalog out.
    nocatalog: Option<String>,
    /// For services that finish long work with a token that has expired meanwhile.
    allow_expired: Option<String>,
}

/// `POST /v3/auth/tokens`: 201, the token in `X-Subject-Token` alone. 401 with a receipt when the user must prove
/// more; it comes back with the rest.
async fn create(
    State(core): State<Core>,
    PublicEndpoint(endpoint): PublicEndpoint,
    headers: HeaderMap,
    Form(query): Form<TokenQuery>,
    Body(request): Body<AuthRequest>,
) -> Answer {
    let receipt = headers.get(AUTH_RECEIPT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let wanted = Login { receipt, ..login::login(request.auth)? };
    let outcome = logins::login(&core, wanted).await?;
    outcome_answer(&core, &endpoint, outcome, query.nocatalog.is_none()).await
}

/// The token, or 401 with a receipt for who must prove more.
pub(super) async fn outcome_answer(
    core: &Core,
    endpoint: &str,
    outcome: Outcome,
    with_catalog: bool,
) -> Answer {
    match outcome {
        Outcome::Token(token, live) => {
            let body = view::token(core, endpoint, &live, with_catalog).await?;
            Ok((StatusCode::CREATED, token_headers(&token), Json(body)).into_response())
        }
        Outcome::Unfinished(unfinished) => {
            let receipt = HeaderValue::from_str(&unfinished.receipt).map_err(Error::internal)?;
            let body = view::receipt(*unfinished);
            Ok((StatusCode::UNAUTHORIZED, [(AUTH_RECEIPT, receipt)], Json(body)).into_response())
        }
    }
}

/// `GET` and `HEAD /v3/auth/tokens`: 404 for a subject token that is not alive.
async fn show(method: Method, call: Call, headers: HeaderMap, Form(query): Form<TokenQuery>) -> Answer {
    let asked = token::Asked {
        usage: if method == Method::HEAD { TokenUse::Check } else { TokenUse::Validate },
        allow_expired: query.allow_expired.as_deref().is_some_and(is_true),
        knows_access_rules: knows_access_rules(&headers),
    };
    let subject = subject_token(&call, &headers, asked.usage)?;
    let live = token::show(&call.core, &call.caller, subject, asked).await?;
    let body = view::token(&call.core, &call.endpoint, &live, query.nocatalog.is_none()).await?;
    Ok((token_headers(subject), Json(body)).into_response())
}

/// `DELETE /v3/auth/tokens`: 204.
async fn revoke(call: Call, headers: HeaderMap) -> Answer<StatusCode> {
    let asked = token::Asked { usage: TokenUse::Revoke, allow_expired: false, knows_access_rules: true };
    let subject = subject_token(&call, &headers, asked.usage)?;
    let live = token::show(&call.core, &call.caller, subject, asked).await?;
    token::revoke(&call.core, &live).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Without one: 403 for who may ask about its own tokens alone, else 404.
fn subject_token<'a>(call: &Call, headers: &'a HeaderMap, usage: TokenUse) -> Result<&'a str, Error> {
    if let Some(subject) = headers.get(SUBJECT_TOKEN).and_then(|value| value.to_str().ok()) {
        return Ok(subject);
    }
    call.caller.enforce(usage.rule(), &Target::default())?;
    Err(Error::not_found("NotFound", "Could not find token: No token in the request."))
}

/// What Python's clients mean by yes.
fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "1" | "t" | "true" | "on" | "y" | "yes")
}

/// Whether whoever validates a token says that it heeds the access rules in it, version 1.0 or newer.
fn knows_access_rules(headers: &HeaderMap) -> bool {
    let version = headers.get(ACCESS_RULES).and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
    version.is_some_and(|version| version >= 1.0)
}

pub(super) fn token_headers(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(token) {
        headers.insert(SUBJECT_TOKEN, value);
    }
    headers.insert(header::VARY, HeaderValue::from_static("X-Auth-Token"));
    headers
}

/// `GET /v3/auth/catalog`: the catalog of the caller's own token.
async fn own_catalog(call: Call) -> Answer<Json<CatalogBody>> {
    let Call { core, caller, endpoint } = call;
    caller.enforce("identity:get_auth_catalog", &Target::default())?;
    let project_id = caller.project_id.as_deref().ok_or_else(|| {
        Error::forbidden("A project-scoped token is required to produce a service catalog.")
    })?;
    let bearer = Bearer { user_id: &caller.user_id, project_id: Some(project_id) };
    let catalog = catalog::entries(&core, &endpoint, bearer).await?;
    Ok(Json(CatalogBody {
        catalog,
        links: SelfLink { this: format!("{endpoint}/identity/v3/auth/catalog") },
    }))
}

/// `GET /v3/auth/projects`: where the caller may scope to.
async fn own_projects(call: Call) -> Answer<Json<ProjectList>> {
    projects_by(call, "identity:get_auth_projects", "auth/projects").await
}

/// The same, also at its path of old.
pub(super) async fn projects_by(call: Call, rule: &str, path: &str) -> Answer<Json<ProjectList>> {
    let Call { core, caller, endpoint } = call;
    caller.enforce(rule, &Target::default())?;
    let found = project::list_of_caller(&core, &caller).await?;
    Ok(projects::list_view(&endpoint, path, found))
}

/// `GET /v3/auth/domains`: where the caller may scope to.
async fn own_domains(call: Call) -> Answer<Json<DomainList>> {
    domains_by(call, "identity:get_auth_domains", "auth/domains").await
}

/// The same, also at its path of old.
pub(super) async fn domains_by(call: Call, rule: &str, path: &str) -> Answer<Json<DomainList>> {
    let Call { core, caller, endpoint } = call;
    caller.enforce(rule, &Target::default())?;
    let found = domain::list_of_caller(&core, &caller).await?;
    Ok(domains::list_view(&endpoint, path, found))
}

/// `GET /v3/auth/system`: whether the caller may scope to the system.
async fn own_system(Call { core, caller, endpoint }: Call) -> Answer<Json<Value>> {
    caller.enforce("identity:get_auth_system", &Target::default())?;
    let may = token::may_scope_to_system(&core, &caller).await?;
    let system: Vec<Value> = may.then(|| json!({"all": true})).into_iter().collect();
    Ok(Json(json!({"system": system, "links": {"self": format!("{endpoint}/identity/v3/auth/system")}})))
}
