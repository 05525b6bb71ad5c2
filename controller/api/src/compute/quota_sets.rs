//! `/os-quota-sets`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::compute::quota;
use updraft_wire::compute::limits::{quota_set, read_quota_set};

use super::query::{self, Holds, Pairs, Parameter};
use super::version::Version;
use crate::http::{Answer, Body, Call, Form};
use crate::routes::{Routes, SchemaOf, get};

/// A user's part of the quota is not told apart: the key is taken and has no effect.
const QUERY: &[Parameter] = &[Parameter::new("user_id", Holds::Text)];

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/os-quota-sets/{project_id}",
            get(show).put(update).takes(quota_set_schema()).delete(reset).status(202),
        )
        .route("/os-quota-sets/{project_id}/detail", get(detail))
        .route("/os-quota-sets/{project_id}/defaults", get(defaults))
}

/// New limits by resource; -1 is no limit.
fn quota_set_schema() -> SchemaOf {
    let limits = json!({"type": "object", "properties": {"force": {"type": "boolean"}},
                        "additionalProperties": {"type": "integer", "minimum": -1}});
    SchemaOf::json(limits).under("quota_set")
}

async fn show(
    call: Call,
    Version(version): Version,
    Path(id): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    query::read(pairs, QUERY, version)?;
    let quotas = quota::get(&call.core, &call.caller, &id, false).await?;
    Ok(Json(quota_set(&quotas, version, Some(&id), false)))
}

async fn detail(
    call: Call,
    Version(version): Version,
    Path(id): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    query::read(pairs, QUERY, version)?;
    let quotas = quota::get(&call.core, &call.caller, &id, true).await?;
    Ok(Json(quota_set(&quotas, version, Some(&id), true)))
}

async fn defaults(call: Call, Version(version): Version, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(quota_set(&quota::defaults(&call.core, &call.caller, &id).await?, version, Some(&id), false)))
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
