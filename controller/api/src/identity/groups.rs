//! `/v3/groups`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::Deserialize;
use updraft_core::Core;
use updraft_core::identity::{group, user};
use updraft_model::identity::Group;
use updraft_wire::identity::{GroupBody, GroupList, GroupRequest, GroupView, UserList};

use super::{list_links, required, self_link, users};
use crate::http::{Answer, Body, Call, Form};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/groups", get(list).post(create))
        .route("/groups/{group_id}", get(show).patch(update).delete(delete))
        .route("/groups/{group_id}/users", get(list_users))
        .route("/groups/{group_id}/users/{user_id}", put(add_user).get(check_user).delete(remove_user))
}

fn view(endpoint: &str, group: Group) -> GroupView {
    GroupView {
        links: self_link(endpoint, "groups", &group.id),
        id: group.id,
        name: group.name,
        domain_id: group.domain_id,
        description: group.description,
    }
}

/// A list of groups as the API shows it; `path` is where it is served.
pub(super) fn list_view(endpoint: &str, path: &str, groups: Vec<Group>) -> Json<GroupList> {
    let groups = groups.into_iter().map(|group| view(endpoint, group)).collect();
    Json(GroupList { groups, links: list_links(endpoint, path) })
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    domain_id: Option<String>,
    name: Option<String>,
}

async fn list(
    Call { core, caller, endpoint }: Call,
    Form(query): Form<ListQuery>,
) -> Answer<Json<GroupList>> {
    let found = group::list(&core, &caller, query.domain_id.as_deref(), query.name.as_deref()).await?;
    Ok(list_view(&endpoint, "groups", found))
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(GroupRequest { group: fields }): Body<GroupRequest>,
) -> Answer<(StatusCode, Json<GroupBody>)> {
    let name = required(fields.name, "name")?;
    let description = fields.description.unwrap_or_default();
    let group = group::create(&core, &caller, name, fields.domain_id, description).await?;
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
    let group = group::update(&core, &caller, &id, fields.name, fields.description).await?;
    Ok(Json(GroupBody { group: view(&endpoint, group) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    group::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_users(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<UserList>> {
    let found = user::list_of_group(&core, &caller, &id).await?;
    Ok(users::list_view(&endpoint, &format!("groups/{id}/users"), found))
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
