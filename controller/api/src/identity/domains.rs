//! `/v3/domains`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Map, Value};
use updraft_core::identity::domain::{self, DomainChange, NewDomain};
use updraft_model::identity::Domain;
use updraft_wire::identity::{DomainBody, DomainList, DomainRequest, DomainView, extra};

use super::list::ListCall;
use super::{list_links, required, self_link};
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/domains", get(list).queries(["name", "enabled"]).post(create))
        .route("/domains/{domain_id}", get(show).patch(update).delete(delete))
}

fn view(endpoint: &str, domain: Domain) -> DomainView {
    DomainView {
        links: self_link(endpoint, "domains", &domain.id),
        id: domain.id,
        name: domain.name,
        description: domain.description,
        enabled: domain.enabled,
        tags: domain.tags,
        options: domain.options,
        extra: domain.extra,
    }
}

/// Attributes that Keystone does not know, but for those that say what a domain is as a project.
fn domain_extra(rest: Map<String, Value>) -> Map<String, Value> {
    let mut extra = extra(rest);
    extra.retain(|name, _| !matches!(name.as_str(), "domain_id" | "is_domain" | "parent_id"));
    extra
}

/// A list of domains as the API shows it; `path` is where it is served.
pub(super) fn list_view(endpoint: &str, path: &str, domains: Vec<Domain>) -> Json<DomainList> {
    let domains = domains.into_iter().map(|domain| view(endpoint, domain)).collect();
    Json(DomainList { domains, links: list_links(endpoint, path) })
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    call.require_values(&["name"])?;
    let found = domain::list(&core, &caller, call.get("name"), call.flag("enabled")?).await?;
    let views = found.into_iter().map(|domain| view(&endpoint, domain)).collect();
    Ok(call.answer(&endpoint, "domains", "domains", &["name", "enabled"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(DomainRequest { domain: fields }): Body<DomainRequest>,
) -> Answer<(StatusCode, Json<DomainBody>)> {
    let new = NewDomain {
        id: fields.explicit_domain_id,
        name: required(fields.name, "name")?,
        description: fields.description.flatten().unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
        tags: fields.tags.unwrap_or_default(),
        options: fields.options.unwrap_or_default(),
        extra: domain_extra(fields.rest),
    };
    let domain = domain::create(&core, &caller, new).await?;
    Ok((StatusCode::CREATED, Json(DomainBody { domain: view(&endpoint, domain) })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<DomainBody>> {
    let domain = domain::get(&core, &caller, &id).await?;
    Ok(Json(DomainBody { domain: view(&endpoint, domain) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(DomainRequest { domain: fields }): Body<DomainRequest>,
) -> Answer<Json<DomainBody>> {
    let change = DomainChange {
        name: fields.name,
        description: fields.description.map(Option::unwrap_or_default),
        enabled: fields.enabled,
        tags: fields.tags,
        options: fields.options,
        extra: domain_extra(fields.rest),
    };
    let domain = domain::update(&core, &caller, &id, change).await?;
    Ok(Json(DomainBody { domain: view(&endpoint, domain) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    domain::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
