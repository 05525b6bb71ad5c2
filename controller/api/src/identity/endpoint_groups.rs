//! `/v3/OS-EP-FILTER/endpoint_groups`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::Core;
use updraft_core::identity::endpoint_filter::{self, EndpointGroupChange};
use updraft_model::identity::EndpointGroup;
use updraft_wire::identity::{
    EndpointGroupBody, EndpointGroupRequest, EndpointGroupView, ProjectEndpointGroupBody,
    ProjectEndpointGroupView,
};

use super::list::ListCall;
use super::{endpoints, projects, required, same_id, self_link};
use crate::http::{Answer, Body, Call};

const PATH: &str = "OS-EP-FILTER/endpoint_groups";

pub(super) fn routes() -> Router<Core> {
    let one = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}";
    Router::new()
        .route("/OS-EP-FILTER/endpoint_groups", get(list).post(create))
        .route(one, get(show).patch(update).delete(delete))
        .route(&format!("{one}/endpoints"), get(list_endpoints))
        .route(&format!("{one}/projects"), get(list_projects))
        .route(&format!("{one}/projects/{{project_id}}"), get(show_tie).put(tie).delete(untie))
}

pub(super) fn view(endpoint: &str, group: EndpointGroup) -> EndpointGroupView {
    EndpointGroupView {
        links: self_link(endpoint, PATH, &group.id),
        id: group.id,
        name: group.name,
        description: group.description,
        filters: group.filters,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let found = endpoint_filter::list_groups(&core, &caller, call.get("name")).await?;
    let views = found.into_iter().map(|group| view(&endpoint, group)).collect();
    Ok(call.answer(&endpoint, PATH, "endpoint_groups", &["name"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(EndpointGroupRequest { endpoint_group: fields }): Body<EndpointGroupRequest>,
) -> Answer<(StatusCode, Json<EndpointGroupBody>)> {
    let name = required(fields.name, "name")?;
    let (description, filters) = (fields.description.flatten(), required(fields.filters, "filters")?);
    let made = endpoint_filter::create_group(&core, &caller, name, description, filters).await?;
    Ok((StatusCode::CREATED, Json(EndpointGroupBody { endpoint_group: view(&endpoint, made) })))
}

async fn show(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
) -> Answer<Json<EndpointGroupBody>> {
    let found = endpoint_filter::get_group(&core, &caller, &id).await?;
    Ok(Json(EndpointGroupBody { endpoint_group: view(&endpoint, found) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(EndpointGroupRequest { endpoint_group: fields }): Body<EndpointGroupRequest>,
) -> Answer<Json<EndpointGroupBody>> {
    same_id(fields.id.as_deref(), &id)?;
    let change =
        EndpointGroupChange { name: fields.name, description: fields.description, filters: fields.filters };
    let changed = endpoint_filter::update_group(&core, &caller, &id, change).await?;
    Ok(Json(EndpointGroupBody { endpoint_group: view(&endpoint, changed) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    endpoint_filter::delete_group(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_endpoints(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = endpoint_filter::endpoints_of_group(&core, &caller, &id).await?;
    let views = found.into_iter().map(|found| endpoints::view(&endpoint, found)).collect();
    Ok(call.answer(&endpoint, &format!("{PATH}/{id}/endpoints"), "endpoints", &[], views)?)
}

async fn list_projects(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = endpoint_filter::projects_of_group(&core, &caller, &id).await?;
    let views = found.into_iter().map(|project| projects::view(&endpoint, project)).collect();
    Ok(call.answer(&endpoint, &format!("{PATH}/{id}/projects"), "projects", &[], views)?)
}

async fn show_tie(
    Call { core, caller, endpoint }: Call,
    Path((id, project_id)): Path<(String, String)>,
) -> Answer<Json<ProjectEndpointGroupBody>> {
    endpoint_filter::check_group(&core, &caller, &id, &project_id).await?;
    let links = self_link(&endpoint, &format!("{PATH}/{id}/projects"), &project_id);
    let project_endpoint_group = ProjectEndpointGroupView { endpoint_group_id: id, project_id, links };
    Ok(Json(ProjectEndpointGroupBody { project_endpoint_group }))
}

async fn tie(
    Call { core, caller, .. }: Call,
    Path((id, project_id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    endpoint_filter::tie_group(&core, &caller, &id, &project_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn untie(
    Call { core, caller, .. }: Call,
    Path((id, project_id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    endpoint_filter::untie_group(&core, &caller, &id, &project_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
