//! `/servers`

mod action;
mod create;
mod instance_actions;
mod interfaces;
mod list;
mod metadata;
mod remote_consoles;
mod tags;
mod update;
mod view;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use updraft_core::Core;
use updraft_core::compute::{server, server_action};
use updraft_wire::compute::server::Place;

use super::version::Version;
use crate::http::{Answer, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/servers", get(list::brief).post(create::create))
        .route("/servers/detail", get(list::detail))
        .route("/servers/{id}", get(show).put(update::update).delete(delete))
        .route("/servers/{id}/action", post(action::action))
        .route("/servers/{id}/ips", get(interfaces::ips))
        .route("/servers/{id}/ips/{network}", get(interfaces::ips_of_network))
        .route("/servers/{id}/os-interface", get(interfaces::list))
        .route("/servers/{id}/os-interface/{port_id}", get(interfaces::show))
        .route("/servers/{id}/os-volume_attachments", get(interfaces::volumes))
        .route("/servers/{id}/os-security-groups", get(interfaces::security_groups))
        .route("/servers/{id}/os-instance-actions", get(instance_actions::list))
        .route("/servers/{id}/os-instance-actions/{request_id}", get(instance_actions::show))
        .route("/servers/{id}/remote-consoles", post(remote_consoles::create))
        .merge(metadata::routes())
        .merge(tags::routes())
}

async fn show(call: Call, Version(version): Version, Path(id): Path<String>) -> Answer<Json<Value>> {
    let detail = server::get(&call.core, &call.caller, &id).await?;
    let admin = call.caller.is_admin();
    Ok(Json(json!({"server": view::of(detail).render(&call.endpoint, version, Place::Show, admin)})))
}

async fn delete(call: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    server_action::delete(&call.core, &call.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
