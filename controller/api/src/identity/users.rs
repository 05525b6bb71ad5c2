//! `/v3/users`

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use updraft_core::Core;
use updraft_core::identity::user::{self, NewUser, UserChange, UserFilter};
use updraft_core::identity::{group, project};
use updraft_model::identity::User;
use updraft_wire::identity::{
    GroupList, PasswordRequest, ProjectList, UserBody, UserList, UserRequest, UserView,
};

use super::{groups, list_links, projects, required, self_link};
use crate::http::{Answer, Body, Call, Form, flag};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/users", get(list).post(create))
        .route("/users/{user_id}", get(show).patch(update).delete(delete))
        .route("/users/{user_id}/password", post(change_password))
        .route("/users/{user_id}/projects", get(list_projects))
        .route("/users/{user_id}/groups", get(list_groups))
}

fn view(endpoint: &str, user: User) -> UserView {
    UserView {
        links: self_link(endpoint, "users", &user.id),
        id: user.id,
        name: user.name,
        domain_id: user.domain_id,
        enabled: user.enabled,
        description: user.description,
        email: user.email,
        default_project_id: user.default_project_id,
        password_expires_at: None,
        options: serde_json::Map::new(),
    }
}

/// A list of users as the API shows it; `path` is where it is served.
pub(super) fn list_view(endpoint: &str, path: &str, users: Vec<User>) -> Json<UserList> {
    let users = users.into_iter().map(|user| view(endpoint, user)).collect();
    Json(UserList { users, links: list_links(endpoint, path) })
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    domain_id: Option<String>,
    name: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    enabled: Option<bool>,
}

async fn list(Call { core, caller, endpoint }: Call, Form(query): Form<ListQuery>) -> Answer<Json<UserList>> {
    let filter =
        UserFilter { ids: None, domain_id: query.domain_id, name: query.name, enabled: query.enabled };
    Ok(list_view(&endpoint, "users", user::list(&core, &caller, &filter).await?))
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(UserRequest { user: fields }): Body<UserRequest>,
) -> Answer<(StatusCode, Json<UserBody>)> {
    let new = NewUser {
        name: required(fields.name, "name")?,
        domain_id: fields.domain_id,
        password: fields.password.flatten(),
        description: fields.description.flatten(),
        email: fields.email.flatten(),
        default_project_id: fields.default_project_id.flatten(),
        enabled: fields.enabled.unwrap_or(true),
    };
    let user = user::create(&core, &caller, new).await?;
    Ok((StatusCode::CREATED, Json(UserBody { user: view(&endpoint, user) })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<UserBody>> {
    Ok(Json(UserBody { user: view(&endpoint, user::get(&core, &caller, &id).await?) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(UserRequest { user: fields }): Body<UserRequest>,
) -> Answer<Json<UserBody>> {
    let change = UserChange {
        name: fields.name,
        password: fields.password,
        description: fields.description,
        email: fields.email,
        default_project_id: fields.default_project_id,
        enabled: fields.enabled,
    };
    Ok(Json(UserBody { user: view(&endpoint, user::update(&core, &caller, &id, change).await?) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    user::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The old password is the proof; a token is not asked for.
async fn change_password(
    State(core): State<Core>,
    Path(id): Path<String>,
    Body(PasswordRequest { user: fields }): Body<PasswordRequest>,
) -> Answer<StatusCode> {
    user::change_password(&core, &id, fields.original_password, fields.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_projects(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
) -> Answer<Json<ProjectList>> {
    let found = project::list_of_user(&core, &caller, &id).await?;
    Ok(projects::list_view(&endpoint, &format!("users/{id}/projects"), found))
}

async fn list_groups(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
) -> Answer<Json<GroupList>> {
    let found = group::list_of_user(&core, &caller, &id).await?;
    Ok(groups::list_view(&endpoint, &format!("users/{id}/groups"), found))
}
