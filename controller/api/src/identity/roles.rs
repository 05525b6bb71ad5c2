//! `/v3/roles`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::identity::role::{self, NewRole, RoleChange};
use updraft_model::identity::Role;
use updraft_wire::identity::{RoleBody, RoleRequest, RoleView, extra};

use super::list::ListCall;
use super::{id_of, required, same_id, self_link};
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/roles", get(list).queries(["domain_id", "name"]).post(create))
        .route("/roles/{role_id}", get(show).patch(update).delete(delete))
}

pub(super) fn view(endpoint: &str, role: Role) -> RoleView {
    RoleView {
        links: self_link(endpoint, "roles", &role.id),
        id: role.id,
        name: role.name,
        domain_id: role.domain_id,
        description: role.description,
        options: role.options,
        extra: role.extra,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    call.require_values(&["domain_id", "name"])?;
    let found = role::list(&core, &caller, call.get("domain_id"), call.get("name")).await?;
    let views = found.into_iter().map(|role| view(&endpoint, role)).collect();
    Ok(call.answer(&endpoint, "roles", "roles", &["name"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(RoleRequest { role: fields }): Body<RoleRequest>,
) -> Answer<(StatusCode, Json<RoleBody>)> {
    let new = NewRole {
        name: required(fields.name, "name")?,
        domain_id: fields.domain_id.flatten(),
        description: fields.description.flatten(),
        options: fields.options.unwrap_or_default(),
        extra: extra(fields.rest),
    };
    let role = role::create(&core, &caller, new).await?;
    Ok((StatusCode::CREATED, Json(RoleBody { role: view(&endpoint, role) })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<RoleBody>> {
    Ok(Json(RoleBody { role: view(&endpoint, role::get(&core, &caller, &id).await?) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(RoleRequest { role: fields }): Body<RoleRequest>,
) -> Answer<Json<RoleBody>> {
    same_id(id_of(&fields.rest), &id)?;
    let change = RoleChange {
        domain_id: fields.domain_id,
        name: fields.name,
        description: fields.description,
        options: fields.options,
        extra: extra(fields.rest),
    };
    let role = role::update(&core, &caller, &id, change).await?;
    Ok(Json(RoleBody { role: view(&endpoint, role) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    role::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
