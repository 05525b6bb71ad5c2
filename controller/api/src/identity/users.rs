//! `/v3/users`

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::identity::user::{self, NewUser, UserChange, UserFilter};
use updraft_core::identity::{group, project};
use updraft_core::{Core, Error, Result};
use updraft_model::Timestamp;
use updraft_model::identity::{FederatedName, User};
use updraft_wire::identity::{
    FederatedProtocolView, FederatedUserView, PasswordRequest, UserBody, UserGroupView, UserRequest,
    UserView, extra,
};

use super::list::ListCall;
use super::{groups, projects, required, self_link};
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get, post};

/// What a list may be filtered by.
const FILTERS: [&str; 3] = ["domain_id", "enabled", "name"];

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/users", get(list).queries(FILTERS).queries(["password_expires_at"]).post(create))
        .route("/users/{user_id}", get(show).patch(update).delete(delete))
        .route("/users/{user_id}/password", post(change_password).public())
        .route("/users/{user_id}/projects", get(list_projects).queries(FILTERS))
        .route("/users/{user_id}/groups", get(list_groups))
}

pub(super) fn view(endpoint: &str, user: User) -> UserView {
    UserView {
        links: self_link(endpoint, "users", &user.id),
        password_expires_at: expiry(&user).map(Timestamp::micros_bare),
        id: user.id,
        name: user.name,
        domain_id: user.domain_id,
        enabled: user.enabled,
        description: user.description,
        email: user.email,
        default_project_id: user.default_project_id,
        federated: Vec::new(),
        options: user.options,
        extra: user.extra,
    }
}

fn expiry(user: &User) -> Option<Timestamp> {
    user.password.as_ref().and_then(|password| password.expires_at)
}

/// A list of users as the API shows it; `path` is where it is served.
pub(super) fn answer(
    call: &ListCall,
    endpoint: &str,
    path: &str,
    mut users: Vec<User>,
) -> Result<Json<Value>> {
    if let Some(condition) = call.get("password_expires_at") {
        let condition = ExpiryCondition::parse(condition)?;
        // What never expires fits no condition.
        users.retain(|user| expiry(user).is_some_and(|end| condition.fits(end)));
    }
    let views = users.into_iter().map(|user| view(endpoint, user)).collect();
    call.answer(endpoint, path, "users", &FILTERS, views)
}

/// `lt:2016-12-08T22:02:00Z`, and the other operators.
struct ExpiryCondition {
    operator: Operator,
    time: Timestamp,
}

#[derive(Clone, Copy)]
enum Operator {
    Lt,
    Lte,
    Gt,
    Gte,
    Eq,
    Neq,
}

impl ExpiryCondition {
    fn parse(text: &str) -> Result<Self> {
        let parsed = text.split_once(':').and_then(|(operator, time)| {
            let operator = match operator {
                "lt" => Operator::Lt,
                "lte" => Operator::Lte,
                "gt" => Operator::Gt,
                "gte" => Operator::Gte,
                "eq" => Operator::Eq,
                "neq" => Operator::Neq,
                _ => return None,
            };
            let time = Timestamp::parse(time).filter(|_| is_time(time))?;
            Some(Self { operator, time })
        });
        parsed.ok_or_else(|| {
            Error::bad_request("ValidationError", "Invalid operator or time in password_expires_at.")
        })
    }

    fn fits(&self, at: Timestamp) -> bool {
        match self.operator {
            Operator::Lt => at < self.time,
            Operator::Lte => at <= self.time,
            Operator::Gt => at > self.time,
            Operator::Gte => at >= self.time,
            Operator::Eq => at == self.time,
            Operator::Neq => at != self.time,
        }
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
    call.require_values(&["domain_id", "name"])?;
    let [idp_id, protocol_id, unique_id] = ["idp_id", "protocol_id", "unique_id"].map(|name| call.get(name));
    let ids = match idp_id.or(protocol_id).or(unique_id) {
        Some(_) => Some(user::with_federated_name(&core, idp_id, protocol_id, unique_id).await?),
        None => None,
    };
    let filter = UserFilter {
        ids,
        domain_id: call.owned("domain_id"),
        name: call.owned("name"),
        enabled: call.flag("enabled")?,
    };
    let found = user::list(&core, &caller, filter).await?;
    Ok(answer(&call, &endpoint, "users", found)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(UserRequest { user: fields }): Body<UserRequest>,
) -> Answer<(StatusCode, Json<UserBody>)> {
    check_federated(fields.federated.as_deref())?;
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
    let found = user::get(&core, &caller, &id).await?;
    let names = user::federated_names(&core, &found).await?;
    Ok(Json(UserBody { user: UserView { federated: federated_view(names), ..view(&endpoint, found) } }))
}

/// By identity provider; the names come in its order.
fn federated_view(names: Vec<FederatedName>) -> Vec<FederatedUserView> {
    let mut views: Vec<FederatedUserView> = Vec::new();
    for FederatedName { idp_id, protocol_id, unique_id } in names {
        let protocol = FederatedProtocolView { protocol_id, unique_id };
        match views.last_mut().filter(|view| view.idp_id == idp_id) {
            Some(view) => view.protocols.push(protocol),
            None => views.push(FederatedUserView { idp_id, protocols: vec![protocol] }),
        }
    }
    views
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(UserRequest { user: fields }): Body<UserRequest>,
) -> Answer<Json<UserBody>> {
    check_federated(fields.federated.as_deref())?;
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

/// 400 for a user that is given names at identity providers: it would be taken for whoever has them there.
fn check_federated(names: Option<&[Value]>) -> Result<()> {
    match names {
        None | Some([]) => Ok(()),
        Some(_) => Err(Error::bad_request(
            "ValidationError",
            "Invalid input for field 'federated': users of identity providers are made when they log in.",
        )),
    }
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
    let membership =
        |group| UserGroupView { group: groups::view(&endpoint, group), membership_expires_at: None };
    let views = found.into_iter().map(membership).collect();
    Ok(call.answer(&endpoint, &format!("users/{id}/groups"), "groups", &["name"], views)?)
}
