//! `POST /servers`

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::compute::create_server;
use updraft_wire::compute::server::created;
use updraft_wire::compute::server_create::CreateServer;

use super::view::disk_config;
use crate::compute::version::Version;
use crate::http::{Answer, Body, Call};

pub(super) async fn create(
    call: Call,
    Version(version): Version,
    Body(body): Body<Value>,
) -> Answer<(StatusCode, HeaderMap, Json<Value>)> {
    let request = CreateServer::read(body, version).map_err(Error::from)?;
    let wants_reservation = request.server.return_reservation_id.unwrap_or(false);
    let made = create_server::create(&call.core, &call.caller, request).await?;
    let mut headers = HeaderMap::new();
    if wants_reservation {
        return Ok((StatusCode::ACCEPTED, headers, Json(json!({"reservation_id": made.reservation_id}))));
    }
    let location = format!("{}/compute/v2.1/servers/{}", call.endpoint, made.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        headers.insert(header::LOCATION, location);
    }
    let groups =
        if made.security_groups.is_empty() { vec!["default".to_owned()] } else { made.security_groups };
    let password = Some(made.admin_password.as_str());
    let answer = created(&call.endpoint, &made.id, disk_config(made.disk_config), password, &groups);
    Ok((StatusCode::ACCEPTED, headers, Json(answer)))
}
