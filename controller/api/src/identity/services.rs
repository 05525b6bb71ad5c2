//! `/v3/services`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::Error;
use updraft_core::identity::catalog;
use updraft_model::identity::Service;
use updraft_wire::identity::{ServiceBody, ServiceRequest, ServiceView, extra};

use super::list::ListCall;
use super::{id_of, required, same_id, self_link};
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get};

/// Of a type and of a name.
const MAX_CHARS: usize = 255;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/services", get(list).queries(["type", "name"]).post(create))
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

/// 400 for a type or a name that is there and empty, or too long.
fn checked(text: Option<String>, field: &str) -> Result<Option<String>, Error> {
    let fits = |text: &String| (1..=MAX_CHARS).contains(&text.chars().count());
    match text.as_ref().is_none_or(fits) {
        true => Ok(text),
        false => Err(Error::bad_request(
            "ValidationError",
            format!("Invalid input for field '{field}': it has 1 to {MAX_CHARS} characters."),
        )),
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
        kind: required(checked(fields.kind, "type")?, "type")?,
        name: checked(fields.name, "name")?.unwrap_or_default(),
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
    let (kind, name) = (checked(fields.kind, "type")?, checked(fields.name, "name")?);
    let change = move |service: &mut Service| {
        service.kind = kind.unwrap_or(std::mem::take(&mut service.kind));
        service.name = name.unwrap_or(std::mem::take(&mut service.name));
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
