//! `/v3/roles` and `/v3/role_inferences`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use updraft_core::identity::role::{self, Inference};
use updraft_core::{Core, Error};
use updraft_model::identity::Role;
use updraft_wire::identity::{
    InferenceBody, InferenceList, InferenceView, RoleBody, RoleList, RoleRequest, RoleView, SelfLink,
};

use super::{list_links, required, self_link};
use crate::http::{Answer, Body, Call, Form};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/roles", get(list).post(create))
        .route("/roles/{role_id}", get(show).patch(update).delete(delete))
        .route("/roles/{role_id}/implies", get(list_implied))
        .route("/roles/{role_id}/implies/{implied_id}", get(show_implied).put(imply).delete(stop_implying))
        .route("/role_inferences", get(list_inferences))
}

fn view(endpoint: &str, role: Role) -> RoleView {
    RoleView {
        links: self_link(endpoint, "roles", &role.id),
        id: role.id,
        name: role.name,
        domain_id: role.domain_id,
        description: role.description,
        options: serde_json::Map::new(),
    }
}

/// A list of roles as the API shows it; `path` is where it is served.
pub(super) fn list_view(endpoint: &str, path: &str, roles: Vec<Role>) -> Json<RoleList> {
    let roles = roles.into_iter().map(|role| view(endpoint, role)).collect();
    Json(RoleList { roles, links: list_links(endpoint, path) })
}

fn inference_view(endpoint: &str, inference: Inference) -> InferenceView {
    InferenceView {
        prior_role: view(endpoint, inference.prior),
        implies: inference.implies.into_iter().map(|role| view(endpoint, role)).collect(),
    }
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    domain_id: Option<String>,
    name: Option<String>,
}

async fn list(Call { core, caller, endpoint }: Call, Form(query): Form<ListQuery>) -> Answer<Json<RoleList>> {
    let found = role::list(&core, &caller, query.domain_id.as_deref(), query.name.as_deref()).await?;
    Ok(list_view(&endpoint, "roles", found))
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(RoleRequest { role: fields }): Body<RoleRequest>,
) -> Answer<(StatusCode, Json<RoleBody>)> {
    let name = required(fields.name, "name")?;
    let role = role::create(&core, &caller, name, fields.domain_id, fields.description).await?;
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
    let role = role::update(&core, &caller, &id, fields.name, fields.description).await?;
    Ok(Json(RoleBody { role: view(&endpoint, role) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    role::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_implied(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
) -> Answer<Json<InferenceBody>> {
    let inference = role::inference(&core, &caller, &id).await?;
    let links = SelfLink { this: format!("{endpoint}/identity/v3/roles/{id}/implies") };
    Ok(Json(InferenceBody { role_inference: inference_view(&endpoint, inference), links }))
}

async fn show_implied(
    Call { core, caller, endpoint }: Call,
    Path((id, implied_id)): Path<(String, String)>,
) -> Answer<Json<InferenceBody>> {
    let mut inference = role::inference(&core, &caller, &id).await?;
    inference.implies.retain(|role| role.id == implied_id);
    if inference.implies.is_empty() {
        return Err(
            Error::not_found("NotFound", format!("Could not find implied role: {implied_id}.")).into()
        );
    }
    let links = SelfLink { this: format!("{endpoint}/identity/v3/roles/{id}/implies/{implied_id}") };
    Ok(Json(InferenceBody { role_inference: inference_view(&endpoint, inference), links }))
}

async fn imply(
    Call { core, caller, endpoint }: Call,
    Path((id, implied_id)): Path<(String, String)>,
) -> Answer<(StatusCode, Json<InferenceBody>)> {
    role::imply(&core, &caller, &id, &implied_id).await?;
    let shown = show_implied(Call { core, caller, endpoint }, Path((id, implied_id))).await?;
    Ok((StatusCode::CREATED, shown))
}

async fn stop_implying(
    Call { core, caller, .. }: Call,
    Path((id, implied_id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    role::stop_implying(&core, &caller, &id, &implied_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_inferences(Call { core, caller, endpoint }: Call) -> Answer<Json<InferenceList>> {
    let found = role::inferences(&core, &caller).await?;
    let role_inferences = found.into_iter().map(|inference| inference_view(&endpoint, inference)).collect();
    let links = SelfLink { this: format!("{endpoint}/identity/v3/role_inferences") };
    Ok(Json(InferenceList { role_inferences, links }))
}
