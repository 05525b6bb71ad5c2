//! `/v3/regions`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use updraft_core::Core;
use updraft_core::identity::catalog;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::Region;
use updraft_wire::identity::{RegionBody, RegionList, RegionRequest, RegionView};

use super::{list_links, self_link};
use crate::http::{Answer, Body, Call, Form};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/regions", get(list).post(create))
        .route("/regions/{region_id}", get(show).put(create_with_id).patch(update).delete(delete))
}

fn view(endpoint: &str, region: Region) -> RegionView {
    RegionView {
        links: self_link(endpoint, "regions", &region.id),
        id: region.id,
        description: region.description,
        parent_region_id: region.parent_region_id,
    }
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    parent_region_id: Option<String>,
}

async fn list(Call { core, endpoint, .. }: Call, Form(query): Form<ListQuery>) -> Answer<Json<RegionList>> {
    let found = catalog::list_regions(&core, query.parent_region_id.as_deref()).await?;
    let regions = found.into_iter().map(|region| view(&endpoint, region)).collect();
    Ok(Json(RegionList { regions, links: list_links(&endpoint, "regions") }))
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(RegionRequest { region: fields }): Body<RegionRequest>,
) -> Answer<(StatusCode, Json<RegionBody>)> {
    let region = Region {
        id: fields.id.filter(|id| !id.is_empty()).unwrap_or_else(new_keystone_id),
        description: fields.description.unwrap_or_default(),
        parent_region_id: fields.parent_region_id.flatten(),
    };
    let region = catalog::create_region(&core, &caller, region).await?;
    Ok((StatusCode::CREATED, Json(RegionBody { region: view(&endpoint, region) })))
}

async fn create_with_id(
    call: Call,
    Path(id): Path<String>,
    Body(mut request): Body<RegionRequest>,
) -> Answer<(StatusCode, Json<RegionBody>)> {
    request.region.id = Some(id);
    create(call, Body(request)).await
}

async fn show(Call { core, endpoint, .. }: Call, Path(id): Path<String>) -> Answer<Json<RegionBody>> {
    Ok(Json(RegionBody { region: view(&endpoint, catalog::get_region(&core, &id).await?) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(RegionRequest { region: fields }): Body<RegionRequest>,
) -> Answer<Json<RegionBody>> {
    let region =
        catalog::update_region(&core, &caller, &id, fields.description, fields.parent_region_id).await?;
    Ok(Json(RegionBody { region: view(&endpoint, region) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    catalog::delete_region(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
