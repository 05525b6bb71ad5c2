//! `/v3/policies`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::identity::policy_blob;
use updraft_core::{Core, Error};
use updraft_model::identity::PolicyBlob;
use updraft_wire::identity::{PolicyBody, PolicyRequest, PolicyView};

use super::list::ListCall;
use super::{required, self_link};
use crate::http::{Answer, Body, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/policies", get(list).post(create))
        .route("/policies/{policy_id}", get(show).patch(update).delete(delete))
}

pub(super) fn view(endpoint: &str, policy: PolicyBlob) -> PolicyView {
    PolicyView {
        links: self_link(endpoint, "policies", &policy.id),
        id: policy.id,
        blob: policy.blob,
        kind: policy.kind,
    }
}

/// A document as text.
fn text(blob: Value) -> Result<String, Error> {
    match blob {
        Value::String(text) => Ok(text),
        Value::Object(_) => Ok(blob.to_string()),
        _ => Err(Error::bad_request("ValidationError", "Invalid input for field 'blob': it is a string.")),
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let found = policy_blob::list(&core, &caller, call.get("type")).await?;
    let views = found.into_iter().map(|policy| view(&endpoint, policy)).collect();
    Ok(call.answer(&endpoint, "policies", "policies", &["type"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(PolicyRequest { policy: fields }): Body<PolicyRequest>,
) -> Answer<(StatusCode, Json<PolicyBody>)> {
    let blob = text(required(fields.blob, "blob")?)?;
    let kind = required(fields.kind, "type")?;
    let policy = policy_blob::create(&core, &caller, blob, kind).await?;
    Ok((StatusCode::CREATED, Json(PolicyBody { policy: view(&endpoint, policy) })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<PolicyBody>> {
    Ok(Json(PolicyBody { policy: view(&endpoint, policy_blob::get(&core, &caller, &id).await?) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(PolicyRequest { policy: fields }): Body<PolicyRequest>,
) -> Answer<Json<PolicyBody>> {
    let blob = fields.blob.map(text).transpose()?;
    let policy = policy_blob::update(&core, &caller, &id, blob, fields.kind).await?;
    Ok(Json(PolicyBody { policy: view(&endpoint, policy) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    policy_blob::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
