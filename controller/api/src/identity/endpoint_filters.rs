//! `/v3/OS-EP-FILTER/projects` and `/v3/OS-EP-FILTER/endpoints`: which endpoints the catalog of a project shows.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::Core;
use updraft_core::identity::endpoint_filter;

use super::list::ListCall;
use super::{endpoint_groups, endpoints, projects};
use crate::http::{Answer, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/OS-EP-FILTER/endpoints/{endpoint_id}/projects", get(list_projects))
        .route("/OS-EP-FILTER/projects/{project_id}/endpoints", get(list_endpoints))
        .route("/OS-EP-FILTER/projects/{project_id}/endpoint_groups", get(list_groups))
        .route(
            "/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}",
            get(check).put(tie).delete(untie),
        )
}

async fn list_projects(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = endpoint_filter::projects_of_endpoint(&core, &caller, &id).await?;
    let views = found.into_iter().map(|project| projects::view(&endpoint, project)).collect();
    let path = format!("OS-EP-FILTER/endpoints/{id}/projects");
    Ok(call.answer(&endpoint, &path, "projects", &[], views)?)
}

async fn list_endpoints(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = endpoint_filter::endpoints_of_project(&core, &caller, &id).await?;
    let views = found.into_iter().map(|found| endpoints::view(&endpoint, found)).collect();
    let path = format!("OS-EP-FILTER/projects/{id}/endpoints");
    Ok(call.answer(&endpoint, &path, "endpoints", &[], views)?)
}

async fn list_groups(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = endpoint_filter::groups_of_project(&core, &caller, &id).await?;
    let views = found.into_iter().map(|group| endpoint_groups::view(&endpoint, group)).collect();
    let path = format!("OS-EP-FILTER/projects/{id}/endpoint_groups");
    Ok(call.answer(&endpoint, &path, "endpoint_groups", &[], views)?)
}

async fn check(
    Call { core, caller, .. }: Call,
    Path((project_id, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    endpoint_filter::check_endpoint(&core, &caller, &project_id, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn tie(
    Call { core, caller, .. }: Call,
    Path((project_id, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    endpoint_filter::tie_endpoint(&core, &caller, &project_id, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn untie(
    Call { core, caller, .. }: Call,
    Path((project_id, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    endpoint_filter::untie_endpoint(&core, &caller, &project_id, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
