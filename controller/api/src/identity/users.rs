//! `/v3/users`

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::identity::user::{self, NewUser, UserChange, UserFilter};
use updraft_core::identity::{group, project};
use updraft_core::{Core, Error, Result};
use updraft_model::identity::User;
use updraft_wire::identity::{PasswordRequest, UserBody, UserRequest, UserView, extra};

use super::list::ListCall;
use super::{groups, projects, required, self_link};
use crate::http::{Answer, Body, Call};

/// What a list may be filtered by.
const FILTERS: [&str; 3] = ["domain_id", "enabled", "name"];

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/users", get(list).post(create))
        .route("/users/{user_id}", get(show).patch(update).delete(delete))
        .route("/users/{user_id}/password", post(change_password))
        .route("/users/{user_id}/projects", get(list_projects))
        .route("/users/{user_id}/groups", get(list_groups))
}

pub(super) fn view(endpoint: &str, user: User) -> UserView {
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
        options: user.options,
        extra: user.extra,
    }
}

/// A list of users as the API shows it; `path` is where it is served.
pub(super) fn answer(
    call: &ListCall,
    endpoint: &str,
    path: &str,
    mut users: Vec<User>,
) -> Result<Json<Value>> {
    if let Some(condition) = call.get("password_expires_at") {
        check_expiry(condition)?;
        // Passwords do not expire here, and what is null fits no condition.
        users.clear();
    }
    let views = users.into_iter().map(|user| view(endpoint, user)).collect();
    call.answer(endpoint, path, "users", &FILTERS, views)
}

/// `lt:2016-12-08T22:02:00Z`, and the other operators.
fn check_expiry(condition: &str) -> Result<()> {
    let fits = condition.split_once(':').is_some_and(|(operator, time)| {
        ["lt", "lte", "gt", "gte", "eq", "neq"].contains(&operator) && is_time(time)
    });
    if fits {
        Ok(())
    } else {
        Err(Error::bad_request("ValidationError", "Invalid operator or time in password_expires_at."))
    }
}

/// `YYYY-MM-DDTHH:mm:ssZ`
fn is_time(text: &str) -> bool {
    let pattern = b"0000-00-00T00:00:00Z";
    text.len() == pattern.len()
        && text.bytes().zip(pattern).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == *form,
        })
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let filter = UserFilter {
        ids: None,
        domain_id: call.owned("domain_id"),
        name: call.owned("name"),
        enabled: call.flag("enabled"),
    };
    let mut found = user::list(&core, &caller, filter).await?;
    // Of federated users, none is found by these yet.
    if ["idp_id", "protocol_id", "unique_id"].iter().any(|name| call.get(name).is_some()) {
        found.clear();
    }
    Ok(answer(&call, &endpoint, "users", found)?)
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
        options: fields.options.unwrap_or_default(),
        extra: extra(fields.rest),
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
        id: fields.id,
        domain_id: fields.domain_id,
        name: fields.name,
        password: fields.password,
        description: fields.description,
        email: fields.email,
        default_project_id: fields.default_project_id,
        enabled: fields.enabled,
        options: fields.options,
        extra: extra(fields.rest),
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
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = project::list_of_user(&core, &caller, &id).await?;
    let views = found.into_iter().map(|project| projects::view(&endpoint, project)).collect();
    Ok(call.answer(&endpoint, &format!("users/{id}/projects"), "projects", &FILTERS, views)?)
}

async fn list_groups(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = group::list_of_user(&core, &caller, &id).await?;
    let views = found.into_iter().map(|group| groups::view(&endpoint, group)).collect();
    Ok(call.answer(&endpoint, &format!("users/{id}/groups"), "groups", &["name"], views)?)
}
