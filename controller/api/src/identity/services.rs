//! `/v3/services`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::Core;
use updraft_core::identity::catalog;
use updraft_model::identity::Service;
use updraft_wire::identity::{ServiceBody, ServiceRequest, ServiceView, extra};

use super::list::ListCall;
use super::{id_of, required, same_id, self_link};
use crate::http::{Answer, Body, Call};

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
        extra: service.extra,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let found = catalog::list_services(&core, &caller, call.get("type"), call.get("name")).await?;
    let views = found.into_iter().map(|service| view(&endpoint, service)).collect();
    Ok(call.answer(&endpoint, "services", "services", &["type", "name"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(ServiceRequest { service: fields }): Body<ServiceRequest>,
) -> Answer<(StatusCode, Json<ServiceBody>)> {
    let service = Service {
        id: String::new(),
        kind: required(fields.kind, "type")?,
        name: fields.name.unwrap_or_default(),
        description: fields.description.flatten().unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
        extra: extra(fields.rest),
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
    same_id(id_of(&fields.rest), &id)?;
    let change = move |service: &mut Service| {
        service.kind = fields.kind.unwrap_or(std::mem::take(&mut service.kind));
        service.name = fields.name.unwrap_or(std::mem::take(&mut service.name));
        if let Some(description) = fields.description {
            service.description = description.unwrap_or_default();
        }
        service.enabled = fields.enabled.unwrap_or(service.enabled);
        service.extra.extend(extra(fields.rest));
    };
    let service = catalog::update_service(&core, &caller, &id, change).await?;
    Ok(Json(ServiceBody { service: view(&endpoint, service) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    catalog::delete_service(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
