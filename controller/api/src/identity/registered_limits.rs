//! `/v3/registered_limits`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::identity::limit::{self, LimitFilter, RegisteredLimitChange};
use updraft_core::{Error, Result};
use updraft_model::identity::RegisteredLimit;
use updraft_wire::identity::{
    RegisteredLimitBody, RegisteredLimitFields, RegisteredLimitRequest, RegisteredLimitView,
    RegisteredLimitsMade, RegisteredLimitsRequest,
};

use super::list::ListCall;
use super::{required, self_link};
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get};

/// What a list may be filtered by.
const FILTERS: [&str; 3] = ["service_id", "region_id", "resource_name"];

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/registered_limits", get(list).queries(FILTERS).post(create))
        .route("/registered_limits/{registered_limit_id}", get(show).patch(update).delete(delete))
}

fn view(endpoint: &str, limit: RegisteredLimit) -> RegisteredLimitView {
    RegisteredLimitView {
        links: self_link(endpoint, "registered_limits", &limit.id),
        id: limit.id,
        service_id: limit.service_id,
        region_id: limit.region_id,
        resource_name: limit.resource_name,
        default_limit: limit.default_limit,
        description: limit.description,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    call.require_values(&["resource_name"])?;
    let filter = LimitFilter {
        owner_id: None,
        service_id: call.owned("service_id"),
        region_id: call.owned("region_id"),
        resource_name: call.owned("resource_name"),
    };
    let found = limit::list_registered(&core, &caller, &filter).await?;
    let views = found.into_iter().map(|limit| view(&endpoint, limit)).collect();
    Ok(call.answer(&endpoint, "registered_limits", "registered_limits", &FILTERS, views)?)
}

fn new(fields: RegisteredLimitFields) -> Result<RegisteredLimit> {
    Ok(RegisteredLimit {
        id: String::new(),
        service_id: required(fields.service_id, "service_id")?,
        region_id: fields.region_id.flatten(),
        resource_name: required(fields.resource_name, "resource_name")?,
        default_limit: required(fields.default_limit, "default_limit")?,
        description: fields.description.flatten(),
    })
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(request): Body<RegisteredLimitsRequest>,
) -> Answer<(StatusCode, Json<RegisteredLimitsMade>)> {
    if request.registered_limits.is_empty() {
        let message = "Invalid input for field 'registered_limits': it is empty";
        return Err(Error::bad_request("ValidationError", message).into());
    }
    let new: Vec<RegisteredLimit> = request.registered_limits.into_iter().map(new).collect::<Result<_>>()?;
    let made = limit::create_registered(&core, &caller, new).await?;
    let registered_limits = made.into_iter().map(|limit| view(&endpoint, limit)).collect();
    Ok((StatusCode::CREATED, Json(RegisteredLimitsMade { registered_limits })))
}

async fn show(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
) -> Answer<Json<RegisteredLimitBody>> {
    let found = limit::get_registered(&core, &caller, &id).await?;
    Ok(Json(RegisteredLimitBody { registered_limit: view(&endpoint, found) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(RegisteredLimitRequest { registered_limit: fields }): Body<RegisteredLimitRequest>,
) -> Answer<Json<RegisteredLimitBody>> {
    let change = RegisteredLimitChange {
        service_id: fields.service_id,
        region_id: fields.region_id,
        resource_name: fields.resource_name,
        default_limit: fields.default_limit,
        description: fields.description,
    };
    let changed = limit::update_registered(&core, &caller, &id, change).await?;
    Ok(Json(RegisteredLimitBody { registered_limit: view(&endpoint, changed) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    limit::delete_registered(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
