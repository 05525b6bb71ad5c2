//! `/v2.0/{collection}/{id}/tags`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use updraft_core::Core;
use updraft_core::network::tag::{self, Change, Kind};

use crate::http::{Answer, Body, Call, Fault};

pub(super) fn routes() -> Router<Core> {
    let mut routes = Router::new();
    for collection in
        ["networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security_groups"]
    {
        let Some(kind) = Kind::of_collection(collection) else { continue };
        routes = routes.merge(of_collection(collection, kind));
    }
    routes
}

fn of_collection(collection: &str, kind: Kind) -> Router<Core> {
    let all = get(move |call: Call, path: Path<String>| list(call, kind, path))
        .put(move |call: Call, path: Path<String>, body: Body<Tags>| replace(call, kind, path, body))
        .post(move |call: Call, path: Path<String>, body: Body<Tags>| add_all(call, kind, path, body))
        .delete(move |call: Call, path: Path<String>| clear(call, kind, path));
    let one = get(move |call: Call, path: Path<(String, String)>| confirm(call, kind, path))
        .put(move |call: Call, path: Path<(String, String)>| add(call, kind, path))
        .delete(move |call: Call, path: Path<(String, String)>| remove(call, kind, path));
    Router::new()
        .route(&format!("/{collection}/{{id}}/tags"), all)
        .route(&format!("/{collection}/{{id}}/tags/{{tag}}"), one)
}

#[derive(Debug, Deserialize)]
struct Tags {
    tags: Vec<String>,
}

async fn list(call: Call, kind: Kind, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(json!({"tags": tag::list(&call.core, &call.caller, kind, &id).await?})))
}

async fn replace(
    call: Call,
    kind: Kind,
    Path(id): Path<String>,
    Body(body): Body<Tags>,
) -> Answer<Json<Value>> {
    let tags = tag::change(&call.core, &call.caller, kind, &id, Change::Replace(body.tags)).await?;
    Ok(Json(json!({"tags": tags})))
}

async fn add_all(
    call: Call,
    kind: Kind,
    Path(id): Path<String>,
    Body(body): Body<Tags>,
) -> Answer<(StatusCode, Json<Value>)> {
    let tags = tag::change(&call.core, &call.caller, kind, &id, Change::Add(body.tags)).await?;
    Ok((StatusCode::CREATED, Json(json!({"tags": tags}))))
}

async fn clear(call: Call, kind: Kind, Path(id): Path<String>) -> Answer<StatusCode> {
    tag::change(&call.core, &call.caller, kind, &id, Change::Replace(Vec::new())).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn confirm(call: Call, kind: Kind, Path((id, tag)): Path<(String, String)>) -> Answer<StatusCode> {
    let tags = tag::list(&call.core, &call.caller, kind, &id).await?;
    if tags.contains(&tag) { Ok(StatusCode::NO_CONTENT) } else { Err(no_such_tag(&tag)) }
}

fn no_such_tag(tag: &str) -> Fault {
    updraft_core::Error::not_found("TagNotFound", format!("Tag {tag} could not be found.")).into()
}

async fn add(call: Call, kind: Kind, Path((id, tag)): Path<(String, String)>) -> Answer<StatusCode> {
    tag::change(&call.core, &call.caller, kind, &id, Change::Add(vec![tag])).await?;
    Ok(StatusCode::CREATED)
}

async fn remove(call: Call, kind: Kind, Path((id, tag)): Path<(String, String)>) -> Answer<StatusCode> {
    tag::change(&call.core, &call.caller, kind, &id, Change::Remove(tag)).await?;
    Ok(StatusCode::NO_CONTENT)
}
