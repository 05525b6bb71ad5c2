//! `/v3/services`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use updraft_core::Core;
use updraft_core::identity::catalog;
use updraft_model::identity::Service;
use updraft_wire::identity::{ServiceBody, ServiceList, ServiceRequest, ServiceView};

use super::{list_links, required, self_link};
use crate::http::{Answer, Body, Call, Form};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/services", get(list).post(create))
        .route("/services/{service_id}", get(show).patch(update).delete(delete))
}

fn view(endpoint: &str, service: Service) -> ServiceView {
    ServiceView {
        links: self_link(endpoint, "services", &service.id),
        id: service.id,
        kind: service.kind,
        name: service.name,
        description: service.description,
        enabled: service.enabled,
    }
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
}

async fn list(
    Call { core, caller, endpoint }: Call,
    Form(query): Form<ListQuery>,
) -> Answer<Json<ServiceList>> {
    let found = catalog::list_services(&core, &caller, query.kind.as_deref(), query.name.as_deref()).await?;
    let services = found.into_iter().map(|service| view(&endpoint, service)).collect();
    Ok(Json(ServiceList { services, links: list_links(&endpoint, "services") }))
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(ServiceRequest { service: fields }): Body<ServiceRequest>,
) -> Answer<(StatusCode, Json<ServiceBody>)> {
    let service = Service {
        id: String::new(),
        kind: required(fields.kind, "type")?,
        name: fields.name.unwrap_or_default(),
        description: fields.description.unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
    };
    let service = catalog::create_service(&core, &caller, service).await?;
    Ok((StatusCode::CREATED, Json(ServiceBody { service: view(&endpoint, service) })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<ServiceBody>> {
    Ok(Json(ServiceBody { service: view(&endpoint, catalog::get_service(&core, &caller, &id).await?) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(ServiceRequest { service: fields }): Body<ServiceRequest>,
) -> Answer<Json<ServiceBody>> {
    let change = move |service: &mut Service| {
        service.kind = fields.kind.unwrap_or(std::mem::take(&mut service.kind));
        service.name = fields.name.unwrap_or(std::mem::take(&mut service.name));
        service.description = fields.description.unwrap_or(std::mem::take(&mut service.description));
        service.enabled = fields.enabled.unwrap_or(service.enabled);
    };
    let service = catalog::update_service(&core, &caller, &id, change).await?;
    Ok(Json(ServiceBody { service: view(&endpoint, service) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    catalog::delete_service(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
