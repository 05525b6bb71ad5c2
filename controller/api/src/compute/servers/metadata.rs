//! `/servers/{id}/metadata`

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use updraft_core::compute::server::{MetadataChange, change_metadata};
use updraft_core::{Core, Error};

use crate::http::{Answer, Body, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/servers/{id}/metadata", get(list).post(merge).put(replace))
        .route("/servers/{id}/metadata/{key}", get(show).put(set).delete(delete))
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Item {
    meta: BTreeMap<String, String>,
}

async fn list(call: Call, Path(id): Path<String>) -> Answer<Json<Metadata>> {
    let metadata = change_metadata(&call.core, &call.caller, &id, MetadataChange::Read).await?;
    Ok(Json(Metadata { metadata }))
}

async fn merge(call: Call, Path(id): Path<String>, Body(body): Body<Metadata>) -> Answer<Json<Metadata>> {
    let change = MetadataChange::Merge(body.metadata);
    let metadata = change_metadata(&call.core, &call.caller, &id, change).await?;
    Ok(Json(Metadata { metadata }))
}

async fn replace(call: Call, Path(id): Path<String>, Body(body): Body<Metadata>) -> Answer<Json<Metadata>> {
    let change = MetadataChange::Replace(body.metadata);
    let metadata = change_metadata(&call.core, &call.caller, &id, change).await?;
    Ok(Json(Metadata { metadata }))
}

async fn show(call: Call, Path((id, key)): Path<(String, String)>) -> Answer<Json<Item>> {
    let mut metadata = change_metadata(&call.core, &call.caller, &id, MetadataChange::Read).await?;
    let missing = || Error::not_found("MetadataItemNotFound", "Metadata item was not found");
    let value = metadata.remove(&key).ok_or_else(missing)?;
    Ok(Json(Item { meta: [(key, value)].into() }))
}

async fn set(
    call: Call,
    Path((id, key)): Path<(String, String)>,
    Body(body): Body<Item>,
) -> Answer<Json<Item>> {
    if body.meta.len() != 1 || !body.meta.contains_key(&key) {
        return Err(Error::bad_request("BadRequest", "Request body and URI mismatch").into());
    }
    change_metadata(&call.core, &call.caller, &id, MetadataChange::Merge(body.meta.clone())).await?;
    Ok(Json(body))
}

async fn delete(call: Call, Path((id, key)): Path<(String, String)>) -> Answer<StatusCode> {
    change_metadata(&call.core, &call.caller, &id, MetadataChange::Remove(key)).await?;
    Ok(StatusCode::NO_CONTENT)
}
