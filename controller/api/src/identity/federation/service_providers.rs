//! `/v3/OS-FEDERATION/service_providers`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::identity::federation::service_provider::{self, ServiceProviderFields};
use updraft_model::identity::ServiceProvider;
use updraft_wire::identity as wire;
use updraft_wire::identity::{ServiceProviderBody, ServiceProviderRequest, ServiceProviderView};

use crate::http::{Answer, Body, Call};
use crate::identity::list::ListCall;
use crate::identity::{self_link, some_change};
use crate::routes::{Routes, get};

const PATH: &str = "OS-FEDERATION/service_providers";

pub(super) fn routes() -> Routes {
    Routes::new().route("/OS-FEDERATION/service_providers", get(list)).route(
        "/OS-FEDERATION/service_providers/{provider_id}",
        get(show).put(create).patch(update).delete(delete),
    )
}

fn view(endpoint: &str, provider: ServiceProvider) -> ServiceProviderView {
    ServiceProviderView {
        links: self_link(endpoint, PATH, &provider.id),
        id: provider.id,
        auth_url: provider.auth_url,
        sp_url: provider.sp_url,
        description: provider.description,
        enabled: provider.enabled,
        relay_state_prefix: provider.relay_state_prefix,
    }
}

fn fields(fields: wire::ServiceProviderFields) -> ServiceProviderFields {
    ServiceProviderFields {
        auth_url: fields.auth_url,
        sp_url: fields.sp_url,
        description: fields.description,
        enabled: fields.enabled,
        relay_state_prefix: fields.relay_state_prefix,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let found = service_provider::list(&core, &caller, call.get("id"), call.flag("enabled")?).await?;
    let views = found.into_iter().map(|provider| view(&endpoint, provider)).collect();
    Ok(call.answer(&endpoint, PATH, "service_providers", &["id", "enabled"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(request): Body<ServiceProviderRequest>,
) -> Answer<(StatusCode, Json<ServiceProviderBody>)> {
    let made = service_provider::create(&core, &caller, &id, fields(request.service_provider)).await?;
    Ok((StatusCode::CREATED, Json(ServiceProviderBody { service_provider: view(&endpoint, made) })))
}

async fn show(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
) -> Answer<Json<ServiceProviderBody>> {
    let found = service_provider::get(&core, &caller, &id).await?;
    Ok(Json(ServiceProviderBody { service_provider: view(&endpoint, found) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(request): Body<ServiceProviderRequest>,
) -> Answer<Json<ServiceProviderBody>> {
    some_change(&request.service_provider)?;
    let changed = service_provider::update(&core, &caller, &id, fields(request.service_provider)).await?;
    Ok(Json(ServiceProviderBody { service_provider: view(&endpoint, changed) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    service_provider::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
