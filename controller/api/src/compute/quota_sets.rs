//! `/os-quota-sets`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::compute::quota;
use updraft_core::{Core, Error};
use updraft_wire::compute::limits::{quota_set, read_quota_set};

use super::version::Version;
use crate::http::{Answer, Body, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/os-quota-sets/{project_id}", get(show).put(update).delete(reset))
        .route("/os-quota-sets/{project_id}/detail", get(detail))
        .route("/os-quota-sets/{project_id}/defaults", get(defaults))
}

async fn show(call: Call, Version(version): Version, Path(id): Path<String>) -> Answer<Json<Value>> {
    let quotas = quota::get(&call.core, &call.caller, Some(&id)).await?;
    Ok(Json(quota_set(&quotas, version, Some(&id), false)))
}

async fn detail(call: Call, Version(version): Version, Path(id): Path<String>) -> Answer<Json<Value>> {
    let quotas = quota::get(&call.core, &call.caller, Some(&id)).await?;
    Ok(Json(quota_set(&quotas, version, Some(&id), true)))
}

async fn defaults(call: Call, Version(version): Version, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(quota_set(&quota::defaults(&call.caller)?, version, Some(&id), false)))
}

async fn update(
    call: Call,
    Version(version): Version,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<Json<Value>> {
    let (limits, force) = read_quota_set(&body, version).map_err(Error::from)?;
    let quotas = quota::set(&call.core, &call.caller, &id, limits, force).await?;
    Ok(Json(quota_set(&quotas, version, None, false)))
}

async fn reset(call: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    quota::reset(&call.core, &call.caller, &id).await?;
    Ok(StatusCode::ACCEPTED)
}
