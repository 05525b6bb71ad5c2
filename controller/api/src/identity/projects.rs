//! `/v3/projects`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use updraft_core::identity::limit;
use updraft_core::identity::project::{self, NewProject, ProjectChange, ProjectFilter};
use updraft_core::{Caller, Core, Error, Result};
use updraft_model::identity::Project;
use updraft_wire::identity::{ProjectBody, ProjectList, ProjectRequest, ProjectView, extra};

use super::list::ListCall;
use super::{limits, list_links, required, self_link};
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get};

/// What a list may be filtered by.
const FILTERS: [&str; 4] = ["domain_id", "enabled", "name", "parent_id"];

const MORE_FILTERS: [&str; 5] = ["is_domain", "tags", "tags-any", "not-tags", "not-tags-any"];
/// Which relatives one may be shown with.
const RELATIVES: [&str; 5] =
    ["parents_as_list", "parents_as_ids", "subtree_as_list", "subtree_as_ids", WITH_LIMITS];
/// Those in a list are shown with their limits; of the project itself nothing more is shown.
const WITH_LIMITS: &str = "include_limits";

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/projects", get(list).queries(FILTERS).queries(MORE_FILTERS).post(create))
        .route("/projects/{project_id}", get(show).queries(RELATIVES).patch(update).delete(delete))
}

/// A project as the API shows it.
pub(super) fn view(endpoint: &str, project: Project) -> ProjectView {
    let unless_domain = |id: String| (!project.is_domain).then_some(id);
    ProjectView {
        links: self_link(endpoint, "projects", &project.id),
        id: project.id,
        name: project.name,
        domain_id: unless_domain(project.domain_id),
        description: project.description,
        enabled: project.enabled,
        parent_id: unless_domain(project.parent_id),
        is_domain: project.is_domain,
        tags: project.tags,
        options: project.options,
        parents: None,
        subtree: None,
        limits: None,
        extra: project.extra,
    }
}

/// A list of projects as the API shows it; `path` is where it is served.
pub(super) fn list_view(endpoint: &str, path: &str, projects: Vec<Project>) -> Json<ProjectList> {
    let projects = projects.into_iter().map(|project| view(endpoint, project)).collect();
    Json(ProjectList { projects, links: list_links(endpoint, path) })
}

/// `GET /v3/projects`; domains in the shape of projects with `is_domain`.
async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    call.require_values(&["domain_id", "name", "parent_id"])?;
    let mut found = match call.flag("is_domain")? {
        Some(true) => project::list_domains(&core, &caller).await?,
        Some(false) | None => project::list(&core, &caller, filter(&call)?).await?,
    };
    found.retain(|project| has_tags(&call, &project.tags));
    let views = found.into_iter().map(|project| view(&endpoint, project)).collect();
    Ok(call.answer(&endpoint, "projects", "projects", &FILTERS, views)?)
}

fn filter(call: &ListCall) -> Result<ProjectFilter> {
    Ok(ProjectFilter {
        ids: None,
        domain_id: call.owned("domain_id"),
        parent_id: call.owned("parent_id"),
        name: call.owned("name"),
        enabled: call.flag("enabled")?,
    })
}

/// The four filters by tags, each a list with commas between.
fn has_tags(call: &ListCall, tags: &[String]) -> bool {
    let has = |tag: &str| tags.iter().any(|known| known == tag);
    let all = |wanted: &str| wanted.split(',').all(has);
    let any = |wanted: &str| wanted.split(',').any(has);
    call.get("tags").is_none_or(all)
        && call.get("tags-any").is_none_or(any)
        && !call.get("not-tags").is_some_and(all)
        && !call.get("not-tags-any").is_some_and(any)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(ProjectRequest { project: fields }): Body<ProjectRequest>,
) -> Answer<(StatusCode, Json<ProjectBody>)> {
    let new = NewProject {
        name: required(fields.name, "name")?,
        domain_id: fields.domain_id.flatten(),
        parent_id: fields.parent_id.flatten(),
        description: fields.description.flatten().unwrap_or_default(),
        enabled: fields.enabled.unwrap_or(true),
        is_domain: fields.is_domain.unwrap_or(false),
        tags: fields.tags.unwrap_or_default(),
        options: fields.options.unwrap_or_default(),
        extra: extra(fields.rest),
    };
    let project = project::create(&core, &caller, new).await?;
    Ok((StatusCode::CREATED, Json(ProjectBody { project: view(&endpoint, project) })))
}

/// `GET /v3/projects/{id}`, with its relatives if asked for: `parents_as_list`, `parents_as_ids`,
/// `subtree_as_list`, `subtree_as_ids`, the lists with limits by `include_limits`.
async fn show(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    call: ListCall,
) -> Answer<Json<ProjectBody>> {
    let found = project::get(&core, &caller, &id).await?;
    let mut shown = view(&endpoint, found);
    for side in ["parents", "subtree"] {
        let (as_list, as_ids) = (format!("{side}_as_list"), format!("{side}_as_ids"));
        let (as_list, as_ids) = match (call.is_on(&as_list), call.is_on(&as_ids)) {
            (true, true) => {
                let message = format!("Cannot use {as_list} and {as_ids} query params at the same time.");
                return Err(Error::bad_request("ValidationError", message).into());
            }
            wanted => wanted,
        };
        if !as_list && !as_ids {
            continue;
        }
        let is_up = side == "parents";
        let relatives = match is_up {
            true => project::ancestors(&core, &id).await?,
            false => project::descendants(&core, &id).await?,
        };
        let relatives = match (as_list, is_up) {
            (true, _) => views(&core, &caller, &endpoint, relatives, call.is_on(WITH_LIMITS)).await?,
            (false, true) => parents_as_ids(&relatives),
            (false, false) => subtree_as_ids(&id, &relatives),
        };
        *(if is_up { &mut shown.parents } else { &mut shown.subtree }) = Some(relatives);
    }
    Ok(Json(ProjectBody { project: shown }))
}

/// A list shows those alone on which the caller itself holds a role.
async fn views(
    core: &Core,
    caller: &Caller,
    endpoint: &str,
    relatives: Vec<Project>,
    with_limits: bool,
) -> Result<Value> {
    let held = project::held_by(core, caller, relatives).await?;
    let mut views: Vec<ProjectView> = held.into_iter().map(|project| view(endpoint, project)).collect();
    if with_limits {
        let ids: Vec<String> = views.iter().map(|view| view.id.clone()).collect();
        let mut found = limit::of_projects(core, &ids).await?;
        for view in &mut views {
            let own = found.remove(&view.id).unwrap_or_default();
            view.limits = Some(own.into_iter().map(limits::listed).collect());
        }
    }
    let bodies: Vec<ProjectBody> = views.into_iter().map(|project| ProjectBody { project }).collect();
    serde_json::to_value(bodies).map_err(Error::internal)
}

/// `{"nearest": {"next": {"domain": null}}}`
fn parents_as_ids(line: &[Project]) -> Value {
    line.iter().rev().fold(Value::Null, |above, project| json!({project.id.clone(): above}))
}

/// `{"child": {"grandchild": null}, "other child": null}`
fn subtree_as_ids(id: &str, below: &[Project]) -> Value {
    let children = below.iter().filter(|project| project.parent_id == id);
    let children: Map<String, Value> =
        children.map(|child| (child.id.clone(), subtree_as_ids(&child.id, below))).collect();
    if children.is_empty() { Value::Null } else { children.into() }
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(ProjectRequest { project: fields }): Body<ProjectRequest>,
) -> Answer<Json<ProjectBody>> {
    let change = ProjectChange {
        id: fields.id,
        domain_id: fields.domain_id,
        parent_id: fields.parent_id,
        is_domain: fields.is_domain,
        name: fields.name,
        description: fields.description.map(Option::unwrap_or_default),
        enabled: fields.enabled,
        tags: fields.tags,
        options: fields.options,
        extra: extra(fields.rest),
    };
    let project = project::update(&core, &caller, &id, change).await?;
    Ok(Json(ProjectBody { project: view(&endpoint, project) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    project::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
