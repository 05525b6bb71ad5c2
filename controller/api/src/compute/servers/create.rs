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
use crate::routes::SchemaOf;

/// What [`create`] takes, in the newest microversion. Members that only older ones know are left out.
pub(super) fn body() -> SchemaOf {
    let text = json!({"type": "string"});
    let network = json!({
        "type": "object",
        "properties": {"uuid": text, "port": text, "fixed_ip": text, "tag": text},
    });
    let texts = json!({"type": "array", "items": text});
    let server = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 255},
            "imageRef": text,
            "flavorRef": text,
            "adminPass": text,
            "metadata": {"type": "object", "additionalProperties": text},
            "networks": {"anyOf": [{"enum": ["auto", "none"]}, {"type": "array", "items": network}]},
            "OS-DCF:diskConfig": {"enum": ["AUTO", "MANUAL"]},
            "accessIPv4": text,
            "accessIPv6": text,
            "availability_zone": text,
            "block_device_mapping_v2": {"type": "array", "items": {"type": "object"}},
            "config_drive": {"type": "boolean"},
            "key_name": text,
            "min_count": {"type": "integer", "minimum": 1},
            "max_count": {"type": "integer", "minimum": 1},
            "return_reservation_id": {"type": "boolean"},
            "security_groups": {"type": "array", "items": {"type": "object", "properties": {"name": text}}},
            "user_data": text,
            "description": {"type": ["string", "null"]},
            "tags": texts,
            "trusted_image_certificates": texts,
            "host": text,
            "hypervisor_hostname": text,
            "hostname": text,
        },
        "required": ["name", "flavorRef", "networks"],
        "additionalProperties": false,
    });
    SchemaOf::json(json!({
        "type": "object",
        "properties": {"server": server, "os:scheduler_hints": {"type": "object"}},
        "required": ["server"],
    }))
}

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
