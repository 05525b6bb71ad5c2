//! `/v3/OS-FEDERATION/mappings`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::Core;
use updraft_core::identity::federation::mapping;
use updraft_model::identity::Mapping;
use updraft_wire::identity::{MappingBody, MappingRequest, MappingView};

use crate::http::{Answer, Body, Call};
use crate::identity::list::ListCall;
use crate::identity::self_link;

const PATH: &str = "OS-FEDERATION/mappings";

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/OS-FEDERATION/mappings", get(list))
        .route("/OS-FEDERATION/mappings/{mapping_id}", get(show).put(create).patch(update).delete(delete))
}

fn view(endpoint: &str, mapping: Mapping) -> MappingView {
    MappingView {
        links: self_link(endpoint, PATH, &mapping.id),
        id: mapping.id,
        rules: mapping.rules,
        schema_version: mapping.schema_version,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let found = mapping::list(&core, &caller).await?;
    let views = found.into_iter().map(|mapping| view(&endpoint, mapping)).collect();
    Ok(call.answer(&endpoint, PATH, "mappings", &[], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(MappingRequest { mapping: fields }): Body<MappingRequest>,
) -> Answer<(StatusCode, Json<MappingBody>)> {
    let made = mapping::create(&core, &caller, &id, fields.rules, fields.schema_version).await?;
    Ok((StatusCode::CREATED, Json(MappingBody { mapping: view(&endpoint, made) })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<MappingBody>> {
    Ok(Json(MappingBody { mapping: view(&endpoint, mapping::get(&core, &caller, &id).await?) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(MappingRequest { mapping: fields }): Body<MappingRequest>,
) -> Answer<Json<MappingBody>> {
    let changed = mapping::update(&core, &caller, &id, fields.rules, fields.schema_version).await?;
    Ok(Json(MappingBody { mapping: view(&endpoint, changed) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    mapping::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
