//! `/v3/projects`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use updraft_core::identity::project::{self, NewProject, ProjectChange};
use updraft_core::{Core, Error};
use updraft_model::identity::Project;
use updraft_wire::identity::{ProjectBody, ProjectList, ProjectRequest, ProjectView};

use super::{list_links, required, self_link};
use crate::http::{Answer, Body, Call, Form, flag};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/projects", get(list).post(create))
        .route("/projects/{project_id}", get(show).patch(update).delete(delete))
}

/// A project as the API shows it.
fn view(endpoint: &str, project: Project) -> ProjectView {
    ProjectView {
        links: self_link(endpoint, "projects", &project.id),
        id: project.id,
        name: project.name,
        domain_id: project.domain_id,
        description: project.description,
        enabled: project.enabled,
        parent_id: project.parent_id,
        is_domain: false,
        tags: project.tags,
        options: serde_json::Map::new(),
    }
}

/// A list of projects as the API shows it; `path` is where it is served.
pub(super) fn list_view(endpoint: &str, path: &str, projects: Vec<Project>) -> Json<ProjectList> {
    let projects = projects.into_iter().map(|project| view(endpoint, project)).collect();
    Json(ProjectList { projects, links: list_links(endpoint, path) })
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    domain_id: Option<String>,
    parent_id: Option<String>,
    name: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "flag")]
    is_domain: Option<bool>,
}

async fn list(
    Call { core, caller, endpoint }: Call,
    Form(query): Form<ListQuery>,
) -> Answer<Json<ProjectList>> {
    let filter = project::ProjectFilter {
        ids: query.is_domain.filter(|wanted| *wanted).map(|_| Vec::new()),
        domain_id: query.domain_id,
        parent_id: query.parent_id,
        name: query.name,
        enabled: query.enabled,
    };
    Ok(list_view(&endpoint, "projects", project::list(&core, &caller, &filter).await?))
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(ProjectRequest { project: fields }): Body<ProjectRequest>,
) -> Answer<(StatusCode, Json<ProjectBody>)> {
    let name = required(fields.name, "name")?;
    if fields.is_domain == Some(true) {
        return Err(Error::bad_request("ValidationError", "A domain is made with POST /v3/domains.").into());
    }
    let new = NewProject {
        name,
        domain_id: fields.domain_id,
        parent_id: fields.parent_id,
        description: fields.description.unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
        tags: fields.tags.unwrap_or_default(),
    };
    let project = project::create(&core, &caller, new).await?;
    Ok((StatusCode::CREATED, Json(ProjectBody { project: view(&endpoint, project) })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<ProjectBody>> {
    let project = project::get(&core, &caller, &id).await?;
    Ok(Json(ProjectBody { project: view(&endpoint, project) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(ProjectRequest { project: fields }): Body<ProjectRequest>,
) -> Answer<Json<ProjectBody>> {
    let change = ProjectChange {
        name: fields.name,
        description: fields.description,
        enabled: fields.enabled,
        tags: fields.tags,
    };
    let project = project::update(&core, &caller, &id, change).await?;
    Ok(Json(ProjectBody { project: view(&endpoint, project) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    project::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
