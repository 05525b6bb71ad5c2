//! `/servers/{id}/tags`, from 2.26 on

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use updraft_core::compute::server::{self, change_tags};
use updraft_core::{Core, Error};

use crate::compute::version::Version;
use crate::http::{Answer, Body, Call};

const SINCE: u16 = 26;

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/servers/{id}/tags", get(list).put(replace).delete(clear))
        .route("/servers/{id}/tags/{tag}", get(has).put(add).delete(remove))
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Tags {
    tags: Vec<String>,
}

fn missing(tag: &str) -> Error {
    Error::not_found("ServerTagNotFound", format!("Server has no tag '{tag}'"))
}

async fn list(call: Call, version: Version, Path(id): Path<String>) -> Answer<Json<Tags>> {
    version.since(SINCE)?;
    let tags = server::get(&call.core, &call.caller, &id).await?.server.spec.tags;
    Ok(Json(Tags { tags }))
}

async fn replace(
    call: Call,
    version: Version,
    Path(id): Path<String>,
    Body(body): Body<Tags>,
) -> Answer<Json<Tags>> {
    version.since(SINCE)?;
    let replace = move |tags: &mut Vec<String>| {
        *tags = body.tags;
        Ok(())
    };
    let tags = change_tags(&call.core, &call.caller, &id, replace).await?;
    Ok(Json(Tags { tags }))
}

async fn clear(call: Call, version: Version, Path(id): Path<String>) -> Answer<StatusCode> {
    version.since(SINCE)?;
    let clear = |tags: &mut Vec<String>| {
        tags.clear();
        Ok(())
    };
    change_tags(&call.core, &call.caller, &id, clear).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn has(call: Call, version: Version, Path((id, tag)): Path<(String, String)>) -> Answer<StatusCode> {
    version.since(SINCE)?;
    let tags = server::get(&call.core, &call.caller, &id).await?.server.spec.tags;
    if tags.contains(&tag) { Ok(StatusCode::NO_CONTENT) } else { Err(missing(&tag).into()) }
}

/// 201 with the tag's place when it is new, 204 when it was there.
async fn add(
    call: Call,
    version: Version,
    Path((id, tag)): Path<(String, String)>,
) -> Answer<(StatusCode, HeaderMap)> {
    version.since(SINCE)?;
    let before = server::get(&call.core, &call.caller, &id).await?.server.spec.tags;
    let mut headers = HeaderMap::new();
    if before.contains(&tag) {
        return Ok((StatusCode::NO_CONTENT, headers));
    }
    let location = format!("{}/compute/v2.1/servers/{id}/tags/{tag}", call.endpoint);
    let add = move |tags: &mut Vec<String>| {
        tags.push(tag);
        Ok(())
    };
    change_tags(&call.core, &call.caller, &id, add).await?;
    if let Ok(location) = HeaderValue::from_str(&location) {
        headers.insert(header::LOCATION, location);
    }
    Ok((StatusCode::CREATED, headers))
}

async fn remove(call: Call, version: Version, Path((id, tag)): Path<(String, String)>) -> Answer<StatusCode> {
    version.since(SINCE)?;
    let remove = move |tags: &mut Vec<String>| {
        let index = tags.iter().position(|existing| *existing == tag).ok_or_else(|| missing(&tag))?;
        tags.remove(index);
        Ok(())
    };
    change_tags(&call.core, &call.caller, &id, remove).await?;
    Ok(StatusCode::NO_CONTENT)
}
