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

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};
use updraft_core::compute::{server, server_action};
use updraft_wire::compute::server::{Place, RemoteConsole, UpdateServer};

use super::version::Version;
use crate::http::{Answer, Call};
use crate::routes::{Routes, SchemaOf, get, post};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/servers",
            get(list::brief)
                .queries(list::parameters())
                .post(create::create)
                .status(202)
                .takes(create::body()),
        )
        .route("/servers/detail", get(list::detail).queries(list::parameters()))
        .route(
            "/servers/{id}",
            get(show)
                .put(update::update)
                .takes(SchemaOf::of::<UpdateServer>().under("server"))
                .delete(delete),
        )
        .route("/servers/{id}/action", post(action::action).status(202).or_status(200).takes(action::body()))
        .route("/servers/{id}/ips", get(interfaces::ips))
        .route("/servers/{id}/ips/{network}", get(interfaces::ips_of_network))
        .route("/servers/{id}/os-interface", get(interfaces::list))
        .route("/servers/{id}/os-interface/{port_id}", get(interfaces::show))
        .route("/servers/{id}/os-volume_attachments", get(interfaces::volumes))
        .route("/servers/{id}/os-security-groups", get(interfaces::security_groups))
        .route("/servers/{id}/os-instance-actions", get(instance_actions::list))
        .route("/servers/{id}/os-instance-actions/{request_id}", get(instance_actions::show))
        .route(
            "/servers/{id}/remote-consoles",
            post(remote_consoles::create)
                .status(200)
                .takes(SchemaOf::of::<RemoteConsole>().under("remote_console")),
        )
        .merge(metadata::routes())
        .merge(tags::routes())
}

async fn show(call: Call, Version(version): Version, Path(id): Path<String>) -> Answer<Json<Value>> {
    let detail = server::get(&call.core, &call.caller, &id).await?;
    let sight = server::sight(&call.caller, Some(&detail.server));
    Ok(Json(json!({"server": view::of(detail).render(&call.endpoint, version, Place::Show, sight)})))
}

async fn delete(call: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    server_action::delete(&call.core, &call.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
