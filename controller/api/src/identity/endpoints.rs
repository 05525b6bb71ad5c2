//! `/v3/endpoints`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::identity::catalog;
use updraft_core::{Core, Error};
use updraft_model::identity::{Endpoint, Interface};
use updraft_wire::identity::{EndpointBody, EndpointRequest, EndpointView, extra};

use super::list::ListCall;
use super::{id_of, required, same_id, self_link};
use crate::http::{Answer, Body, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/endpoints", get(list).post(create))
        .route("/endpoints/{endpoint_id}", get(show).patch(update).delete(delete))
}

/// The URL is shown with our own address filled in, and the project left open.
pub(super) fn view(public_endpoint: &str, endpoint: Endpoint) -> EndpointView {
    EndpointView {
        links: self_link(public_endpoint, "endpoints", &endpoint.id),
        id: endpoint.id,
        service_id: endpoint.service_id,
        interface: endpoint.interface.as_str(),
        region: endpoint.region_id.clone(),
        region_id: endpoint.region_id,
        url: endpoint.url.replace("$(public_endpoint)s", public_endpoint),
        enabled: endpoint.enabled,
        extra: endpoint.extra,
    }
}

fn interface(text: &str) -> Result<Interface, Error> {
    Interface::parse(text).ok_or_else(|| {
        Error::bad_request("ValidationError", "An interface is 'public', 'internal' or 'admin'.")
    })
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let wanted = call.get("interface").map(interface).transpose()?;
    let region = call.get("region_id").or(call.get("region"));
    let found = catalog::list_endpoints(&core, &caller, call.get("service_id"), wanted, region).await?;
    let views = found.into_iter().map(|found| view(&endpoint, found)).collect();
    Ok(call.answer(&endpoint, "endpoints", "endpoints", &["service_id", "region_id"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(EndpointRequest { endpoint: fields }): Body<EndpointRequest>,
) -> Answer<(StatusCode, Json<EndpointBody>)> {
    let named = fields.region_id.flatten();
    let makes_region = named.is_none();
    let new = Endpoint {
        id: String::new(),
        service_id: required(fields.service_id, "service_id")?,
        interface: interface(&required(fields.interface, "interface")?)?,
        region_id: named.or(fields.region),
        url: required(fields.url, "url")?,
        enabled: fields.enabled.unwrap_or(true),
        extra: extra(fields.rest),
    };
    let made = catalog::create_endpoint(&core, &caller, new, makes_region).await?;
    Ok((StatusCode::CREATED, Json(EndpointBody { endpoint: view(&endpoint, made) })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<EndpointBody>> {
    let found = catalog::get_endpoint(&core, &caller, &id).await?;
    Ok(Json(EndpointBody { endpoint: view(&endpoint, found) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(EndpointRequest { endpoint: fields }): Body<EndpointRequest>,
) -> Answer<Json<EndpointBody>> {
    same_id(id_of(&fields.rest), &id)?;
    let wanted = fields.interface.as_deref().map(interface).transpose()?;
    let makes_region = fields.region_id.is_none();
    let change = move |stored: &mut Endpoint| {
        stored.service_id = fields.service_id.unwrap_or(std::mem::take(&mut stored.service_id));
        stored.interface = wanted.unwrap_or(stored.interface);
        stored.region_id = fields.region_id.unwrap_or(fields.region.or(stored.region_id.take()));
        stored.url = fields.url.unwrap_or(std::mem::take(&mut stored.url));
        stored.enabled = fields.enabled.unwrap_or(stored.enabled);
        stored.extra.extend(extra(fields.rest));
    };
    let changed = catalog::update_endpoint(&core, &caller, &id, makes_region, change).await?;
    Ok(Json(EndpointBody { endpoint: view(&endpoint, changed) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    catalog::delete_endpoint(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
