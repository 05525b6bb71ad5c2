//! `/v3/groups`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::identity::group::{self, GroupChange, NewGroup};
use updraft_core::identity::user;
use updraft_model::identity::Group;
use updraft_wire::identity::{GroupBody, GroupRequest, GroupView, extra};

use super::list::ListCall;
use super::{id_of, required, same_id, self_link, users};
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get, put};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/groups", get(list).queries(["domain_id", "name"]).post(create))
        .route("/groups/{group_id}", get(show).patch(update).delete(delete))
        .route("/groups/{group_id}/users", get(list_users))
        .route("/groups/{group_id}/users/{user_id}", put(add_user).get(check_user).delete(remove_user))
}

pub(super) fn view(endpoint: &str, group: Group) -> GroupView {
    GroupView {
        links: self_link(endpoint, "groups", &group.id),
        id: group.id,
        name: group.name,
        domain_id: group.domain_id,
        description: group.description,
        extra: group.extra,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    call.require_values(&["domain_id", "name"])?;
    let found = group::list(&core, &caller, call.get("domain_id"), call.get("name")).await?;
    let views = found.into_iter().map(|group| view(&endpoint, group)).collect();
    Ok(call.answer(&endpoint, "groups", "groups", &["domain_id", "name"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(GroupRequest { group: fields }): Body<GroupRequest>,
) -> Answer<(StatusCode, Json<GroupBody>)> {
    let new = NewGroup {
        name: required(fields.name, "name")?,
        domain_id: fields.domain_id,
        description: fields.description.flatten().unwrap_or_default(),
        extra: extra(fields.rest),
    };
    let group = group::create(&core, &caller, new).await?;
    Ok((StatusCode::CREATED, Json(GroupBody { group: view(&endpoint, group) })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<GroupBody>> {
    Ok(Json(GroupBody { group: view(&endpoint, group::get(&core, &caller, &id).await?) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(GroupRequest { group: fields }): Body<GroupRequest>,
) -> Answer<Json<GroupBody>> {
    same_id(id_of(&fields.rest), &id)?;
    let change = GroupChange {
        domain_id: fields.domain_id,
        name: fields.name,
        description: fields.description.map(Option::unwrap_or_default),
        extra: extra(fields.rest),
    };
    let group = group::update(&core, &caller, &id, change).await?;
    Ok(Json(GroupBody { group: view(&endpoint, group) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    group::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_users(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = user::list_of_group(&core, &caller, &id).await?;
    Ok(users::answer(&call, &endpoint, &format!("groups/{id}/users"), found)?)
}

async fn add_user(
    Call { core, caller, .. }: Call,
    Path((group_id, user_id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    group::add_member(&core, &caller, &group_id, &user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn check_user(
    Call { core, caller, .. }: Call,
    Path((group_id, user_id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    group::check_member(&core, &caller, &group_id, &user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_user(
    Call { core, caller, .. }: Call,
    Path((group_id, user_id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    group::remove_member(&core, &caller, &group_id, &user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
