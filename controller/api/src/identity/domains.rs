//! `/v3/domains`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use updraft_core::Core;
use updraft_core::identity::domain::{self, DomainChange};
use updraft_model::identity::Domain;
use updraft_wire::identity::{DomainBody, DomainList, DomainRequest, DomainView};

use super::{list_links, required, self_link};
use crate::http::{Answer, Body, Call, Form, flag};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/domains", get(list).post(create))
        .route("/domains/{domain_id}", get(show).patch(update).delete(delete))
}

fn view(endpoint: &str, domain: Domain) -> DomainView {
    DomainView {
        links: self_link(endpoint, "domains", &domain.id),
        id: domain.id,
        name: domain.name,
        description: domain.description,
        enabled: domain.enabled,
        tags: Vec::new(),
        options: serde_json::Map::new(),
    }
}

/// A list of domains as the API shows it; `path` is where it is served.
pub(super) fn list_view(endpoint: &str, path: &str, domains: Vec<Domain>) -> Json<DomainList> {
    let domains = domains.into_iter().map(|domain| view(endpoint, domain)).collect();
    Json(DomainList { domains, links: list_links(endpoint, path) })
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    name: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    enabled: Option<bool>,
}

async fn list(
    Call { core, caller, endpoint }: Call,
    Form(query): Form<ListQuery>,
) -> Answer<Json<DomainList>> {
    let found = domain::list(&core, &caller, query.name.as_deref(), query.enabled).await?;
    Ok(list_view(&endpoint, "domains", found))
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(DomainRequest { domain: fields }): Body<DomainRequest>,
) -> Answer<(StatusCode, Json<DomainBody>)> {
    let name = required(fields.name, "name")?;
    let description = fields.description.unwrap_or_default();
    let domain = domain::create(&core, &caller, name, description, fields.enabled.unwrap_or(true)).await?;
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
    let change = DomainChange { name: fields.name, description: fields.description, enabled: fields.enabled };
    let domain = domain::update(&core, &caller, &id, change).await?;
    Ok(Json(DomainBody { domain: view(&endpoint, domain) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    domain::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
