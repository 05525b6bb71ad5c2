//! `/v3/regions`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::Error;
use updraft_core::identity::catalog;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::Region;
use updraft_wire::identity::{RegionBody, RegionRequest, RegionView, extra};

use super::list::ListCall;
use super::{same_id, self_link, some_change};
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/regions", get(list).queries(["parent_region_id"]).post(create))
        .route("/regions/{region_id}", get(show).put(create_with_id).patch(update).delete(delete))
}

fn view(endpoint: &str, region: Region) -> RegionView {
    RegionView {
        links: self_link(endpoint, "regions", &region.id),
        id: region.id,
        description: region.description,
        parent_region_id: region.parent_region_id,
        extra: region.extra,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let found = catalog::list_regions(&core, &caller, call.get("parent_region_id")).await?;
    let views = found.into_iter().map(|region| view(&endpoint, region)).collect();
    Ok(call.answer(&endpoint, "regions", "regions", &["parent_region_id"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(RegionRequest { region: fields }): Body<RegionRequest>,
) -> Answer<(StatusCode, Json<RegionBody>)> {
    let region = Region {
        id: fields.id.filter(|id| !id.is_empty()).unwrap_or_else(new_keystone_id),
        description: fields.description.flatten().unwrap_or_default(),
        parent_region_id: fields.parent_region_id.flatten(),
        extra: extra(fields.rest),
    };
    let region = catalog::create_region(&core, &caller, region).await?;
    Ok((StatusCode::CREATED, Json(RegionBody { region: view(&endpoint, region) })))
}

/// `PUT`: the id of the path; the body may repeat it.
async fn create_with_id(
    call: Call,
    Path(id): Path<String>,
    Body(mut request): Body<RegionRequest>,
) -> Answer<(StatusCode, Json<RegionBody>)> {
    if let Some(other) = request.region.id.as_ref().filter(|other| **other != id) {
        let message = format!("Conflicting region IDs specified: \"{id}\" != \"{other}\"");
        return Err(Error::bad_request("ValidationError", message).into());
    }
    request.region.id = Some(id);
    create(call, Body(request)).await
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<RegionBody>> {
    Ok(Json(RegionBody { region: view(&endpoint, catalog::get_region(&core, &caller, &id).await?) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(RegionRequest { region: fields }): Body<RegionRequest>,
) -> Answer<Json<RegionBody>> {
    some_change(&fields)?;
    same_id(fields.id.as_deref(), &id)?;
    let change = move |region: &mut Region| {
        if let Some(description) = fields.description {
            region.description = description.unwrap_or_default();
        }
        region.parent_region_id = fields.parent_region_id.unwrap_or(region.parent_region_id.take());
        region.extra.extend(extra(fields.rest));
    };
    let region = catalog::update_region(&core, &caller, &id, change).await?;
    Ok(Json(RegionBody { region: view(&endpoint, region) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    catalog::delete_region(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
