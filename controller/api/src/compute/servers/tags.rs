//! `/servers/{id}/tags`, from 2.26 on

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use updraft_core::compute::server::{self, TagChange, change_tags, no_tag};

use crate::compute::version::Version;
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get};

const SINCE: u16 = 26;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/servers/{id}/tags", get(list).put(replace).delete(clear))
        .route("/servers/{id}/tags/{tag}", get(has).put(add).delete(remove))
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Tags {
    tags: Vec<String>,
}

async fn list(call: Call, version: Version, Path(id): Path<String>) -> Answer<Json<Tags>> {
    version.since(SINCE)?;
    let tags = server::tags(&call.core, &call.caller, &id, false).await?;
    Ok(Json(Tags { tags }))
}

async fn replace(
    call: Call,
    version: Version,
    Path(id): Path<String>,
    Body(body): Body<Tags>,
) -> Answer<Json<Tags>> {
    version.since(SINCE)?;
    let (_, tags) = change_tags(&call.core, &call.caller, &id, TagChange::Replace(body.tags)).await?;
    Ok(Json(Tags { tags }))
}

async fn clear(call: Call, version: Version, Path(id): Path<String>) -> Answer<StatusCode> {
    version.since(SINCE)?;
    change_tags(&call.core, &call.caller, &id, TagChange::Clear).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn has(call: Call, version: Version, Path((id, tag)): Path<(String, String)>) -> Answer<StatusCode> {
    version.since(SINCE)?;
    let tags = server::tags(&call.core, &call.caller, &id, true).await?;
    if tags.contains(&tag) { Ok(StatusCode::NO_CONTENT) } else { Err(no_tag(&tag).into()) }
}

/// 201 with the tag's place when it is new, 204 when it was there.
async fn add(
    call: Call,
    version: Version,
    Path((id, tag)): Path<(String, String)>,
) -> Answer<(StatusCode, HeaderMap)> {
    version.since(SINCE)?;
    let (before, _) = change_tags(&call.core, &call.caller, &id, TagChange::Add(tag.clone())).await?;
    let mut headers = HeaderMap::new();
    if before.contains(&tag) {
        return Ok((StatusCode::NO_CONTENT, headers));
    }
    let location = format!("{}/compute/v2.1/servers/{id}/tags/{tag}", call.endpoint);
    if let Ok(location) = HeaderValue::from_str(&location) {
        headers.insert(header::LOCATION, location);
    }
    Ok((StatusCode::CREATED, headers))
}

async fn remove(call: Call, version: Version, Path((id, tag)): Path<(String, String)>) -> Answer<StatusCode> {
    version.since(SINCE)?;
    change_tags(&call.core, &call.caller, &id, TagChange::Remove(tag)).await?;
    Ok(StatusCode::NO_CONTENT)
}
