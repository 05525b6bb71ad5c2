//! `PUT /servers/{id}`

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::compute::server;
use updraft_wire::compute::server::{Place, UpdateServer};

use super::view;
use crate::compute::version::Version;
use crate::http::{Answer, Body, Call};

pub(super) async fn update(
    call: Call,
    Version(version): Version,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<Json<Value>> {
    let request = UpdateServer::read(body, version).map_err(Error::from)?;
    let detail = server::update(&call.core, &call.caller, &id, request).await?;
    let admin = call.caller.is_admin();
    Ok(Json(json!({"server": view::of(detail).render(&call.endpoint, version, Place::Update, admin)})))
}
