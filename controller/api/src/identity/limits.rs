//! `/v3/limits`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::identity::limit::{self, LimitFilter, NewLimit};
use updraft_core::{Core, Error, Result};
use updraft_model::identity::{Limit, LimitOwner};
use updraft_wire::identity::{
    LimitBody, LimitFields, LimitModelBody, LimitModelView, LimitRequest, LimitView, LimitsMade,
    LimitsRequest,
};

use super::list::ListCall;
use super::{required, self_link};
use crate::http::{Answer, Body, Call};

/// What a list may be filtered by.
const FILTERS: [&str; 5] = ["service_id", "region_id", "resource_name", "project_id", "domain_id"];

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/limits", get(list).post(create))
        .route("/limits/model", get(model))
        .route("/limits/{limit_id}", get(show).patch(update).delete(delete))
}

fn view(endpoint: &str, limit: Limit) -> LimitView {
    let (project_id, domain_id) = match limit.owner {
        LimitOwner::Project(id) => (Some(id), None),
        LimitOwner::Domain(id) => (None, Some(id)),
    };
    LimitView {
        links: self_link(endpoint, "limits", &limit.id),
        id: limit.id,
        project_id,
        domain_id,
        service_id: limit.service_id,
        region_id: limit.region_id,
        resource_name: limit.resource_name,
        resource_limit: limit.resource_limit,
        description: limit.description,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let filter = LimitFilter {
        owner_id: call.owned("project_id").or(call.owned("domain_id")),
        service_id: call.owned("service_id"),
        region_id: call.owned("region_id"),
        resource_name: call.owned("resource_name"),
    };
    let found = limit::list(&core, &caller, filter).await?;
    let views = found.into_iter().map(|limit| view(&endpoint, limit)).collect();
    Ok(call.answer(&endpoint, "limits", "limits", &FILTERS, views)?)
}

fn new(fields: LimitFields) -> Result<NewLimit> {
    let owner = match (fields.project_id, fields.domain_id) {
        (Some(id), None) => LimitOwner::Project(id),
        (None, Some(id)) => LimitOwner::Domain(id),
        _ => {
            let message = "Invalid input for field 'limits': one of project_id and domain_id is required";
            return Err(Error::bad_request("ValidationError", message));
        }
    };
    Ok(NewLimit {
        owner,
        service_id: required(fields.service_id, "service_id")?,
        region_id: fields.region_id,
        resource_name: required(fields.resource_name, "resource_name")?,
        resource_limit: required(fields.resource_limit, "resource_limit")?,
        description: fields.description,
    })
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(request): Body<LimitsRequest>,
) -> Answer<(StatusCode, Json<LimitsMade>)> {
    if request.limits.is_empty() {
        return Err(
            Error::bad_request("ValidationError", "Invalid input for field 'limits': it is empty").into()
        );
    }
    let new: Vec<NewLimit> = request.limits.into_iter().map(new).collect::<Result<_>>()?;
    let made = limit::create(&core, &caller, new).await?;
    let limits = made.into_iter().map(|limit| view(&endpoint, limit)).collect();
    Ok((StatusCode::CREATED, Json(LimitsMade { limits })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<LimitBody>> {
    Ok(Json(LimitBody { limit: view(&endpoint, limit::get(&core, &caller, &id).await?) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(LimitRequest { limit: fields }): Body<LimitRequest>,
) -> Answer<Json<LimitBody>> {
    let limit = limit::update(&core, &caller, &id, fields.resource_limit, fields.description).await?;
    Ok(Json(LimitBody { limit: view(&endpoint, limit) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    limit::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How limits are meant to be enforced; anybody with a token may look.
async fn model(_call: Call) -> Json<LimitModelBody> {
    let (name, description) = limit::MODEL;
    Json(LimitModelBody { model: LimitModelView { name, description } })
}
