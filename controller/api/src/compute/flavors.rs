//! `/flavors`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use updraft_core::compute::flavor::{self, FlavorFilter};
use updraft_core::{Core, Error};
use updraft_model::compute::Flavor;
use updraft_wire::compute::Microversion;
use updraft_wire::compute::flavor::{
    CreateFlavor, FlavorAction, FlavorView, UpdateFlavor, access, read_extra_spec, read_extra_specs,
};

use super::query::{self, Pairs};
use super::version::Version;
use crate::http::{Answer, Body, Call, Form};

/// Items in one answer.
const MOST: u32 = 1000;
/// From 2.7 on a public flavor cannot be given to a project.
const PUBLIC_IS_CONFLICT_SINCE: u16 = 7;

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/flavors", get(list).post(create))
        .route("/flavors/detail", get(detail))
        .route("/flavors/{id}", get(show).put(update).delete(delete))
        .route("/flavors/{id}/action", post(action))
        .route("/flavors/{id}/os-flavor-access", get(list_access))
        .route("/flavors/{id}/os-extra_specs", get(list_specs).post(add_specs))
        .route("/flavors/{id}/os-extra_specs/{key}", get(show_spec).put(set_spec).delete(delete_spec))
}

fn view(flavor: Flavor) -> FlavorView {
    FlavorView {
        id: flavor.id,
        name: flavor.name,
        vcpus: flavor.vcpus,
        memory_mib: flavor.memory_mib,
        disk_gib: flavor.disk_gib,
        ephemeral_gib: flavor.ephemeral_gib,
        swap_mib: flavor.swap_mib,
        rxtx_factor: flavor.rxtx_factor,
        is_public: flavor.is_public,
        disabled: flavor.disabled,
        description: flavor.description,
        extra_specs: flavor.extra_specs,
    }
}

fn one(call: &Call, version: Microversion, flavor: Flavor) -> Json<Value> {
    Json(json!({"flavor": view(flavor).render(&call.endpoint, version)}))
}

async fn list(call: Call, Version(version): Version, Form(pairs): Form<Pairs>) -> Answer<Json<Value>> {
    listed(call, version, pairs, "flavors", FlavorView::brief).await
}

async fn detail(call: Call, Version(version): Version, Form(pairs): Form<Pairs>) -> Answer<Json<Value>> {
    listed(call, version, pairs, "flavors/detail", FlavorView::render).await
}

async fn listed(
    call: Call,
    version: Microversion,
    pairs: Pairs,
    path: &str,
    render: fn(&FlavorView, &str, Microversion) -> Value,
) -> Answer<Json<Value>> {
    // Members see public flavors and their own; administrators the public ones unless they say otherwise.
    let is_public = match query::value(&pairs, "is_public") {
        Some("None" | "none") => None,
        _ => Some(query::flag(&pairs, "is_public")?.unwrap_or(true)),
    };
    let filter = FlavorFilter {
        is_public,
        min_disk_gib: query::number(&pairs, "minDisk")?.map(i64::from),
        min_memory_mib: query::number(&pairs, "minRam")?.map(i64::from),
        usable_by: None,
    };
    let flavors = flavor::list(&call.core, &call.caller, filter).await?;
    let (flavors, more) = query::page(flavors, &pairs, MOST, |flavor| &flavor.id)?;
    let last = flavors.last().map(|flavor| flavor.id.clone());
    let views: Vec<Value> =
        flavors.into_iter().map(|flavor| render(&view(flavor), &call.endpoint, version)).collect();
    let mut answer = json!({ "flavors": views });
    if let Some(last) = last.filter(|_| more) {
        answer["flavors_links"] = query::next_link(&call.endpoint, path, &pairs, &last);
    }
    Ok(Json(answer))
}

async fn create(call: Call, Version(version): Version, Body(body): Body<Value>) -> Answer<Json<Value>> {
    let request = CreateFlavor::read(body, version).map_err(Error::from)?;
    let rxtx_factor = request.rxtx_factor().map_err(Error::from)?;
    let vcpus = u16::try_from(request.vcpus.unwrap_or(0))
        .map_err(|_| Error::bad_request("ValidationError", "Invalid input for field/attribute vcpus."))?;
    let flavor = Flavor {
        id: request.id.unwrap_or_default(),
        name: request.name,
        vcpus,
        memory_mib: request.memory_mib.unwrap_or(0),
        disk_gib: request.disk_gib.unwrap_or(0),
        ephemeral_gib: request.ephemeral_gib.unwrap_or(0),
        swap_mib: request.swap_mib.unwrap_or(0),
        rxtx_factor,
        is_public: request.is_public.unwrap_or(true),
        disabled: false,
        description: request.description,
        extra_specs: Default::default(),
    };
    let flavor = flavor::create(&call.core, &call.caller, flavor).await?;
    Ok(one(&call, version, flavor))
}

async fn show(call: Call, Version(version): Version, Path(id): Path<String>) -> Answer<Json<Value>> {
    let flavor = flavor::get(&call.core, &call.caller, &id).await?;
    Ok(one(&call, version, flavor))
}

async fn update(
    call: Call,
    version: Version,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<Json<Value>> {
    let version = version.since(55)?;
    let request = UpdateFlavor::read(body, version).map_err(Error::from)?;
    let flavor = flavor::set_description(&call.core, &call.caller, &id, request.description).await?;
    Ok(one(&call, version, flavor))
}

async fn delete(call: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    flavor::delete(&call.core, &call.caller, &id).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn action(
    call: Call,
    Version(version): Version,
    Path(id): Path<String>,
    Body(action): Body<FlavorAction>,
) -> Answer<Json<Value>> {
    let (project_id, allowed) = match action {
        FlavorAction::AddTenantAccess { tenant } => (tenant, true),
        FlavorAction::RemoveTenantAccess { tenant } => (tenant, false),
    };
    let conflict = version.at_least(PUBLIC_IS_CONFLICT_SINCE);
    let projects = flavor::set_access(&call.core, &call.caller, &id, project_id, allowed, conflict).await?;
    Ok(Json(access(&id, &projects)))
}

async fn list_access(call: Call, Path(id): Path<String>) -> Answer<Json<Value>> {
    let projects = flavor::list_access(&call.core, &call.caller, &id).await?;
    Ok(Json(access(&id, &projects)))
}

async fn list_specs(call: Call, Path(id): Path<String>) -> Answer<Json<Value>> {
    let flavor = flavor::get(&call.core, &call.caller, &id).await?;
    Ok(Json(json!({"extra_specs": flavor.extra_specs})))
}

async fn add_specs(call: Call, Path(id): Path<String>, Body(body): Body<Value>) -> Answer<Json<Value>> {
    let specs = read_extra_specs(&body).map_err(Error::from)?;
    let answer = json!({ "extra_specs": specs });
    flavor::add_extra_specs(&call.core, &call.caller, &id, specs).await?;
    Ok(Json(answer))
}

async fn show_spec(call: Call, Path((id, key)): Path<(String, String)>) -> Answer<Json<Value>> {
    let flavor = flavor::get(&call.core, &call.caller, &id).await?;
    let missing = || {
        let message = format!("Flavor {id} has no extra specs with key {key}.");
        Error::not_found("FlavorExtraSpecsNotFound", message)
    };
    let value = flavor.extra_specs.get(&key).ok_or_else(missing)?;
    Ok(Json(json!({ &key: value })))
}

async fn set_spec(
    call: Call,
    Path((id, key)): Path<(String, String)>,
    Body(body): Body<Value>,
) -> Answer<Json<Value>> {
    let value = read_extra_spec(&body, &key).map_err(Error::from)?;
    let answer = json!({ &key: value });
    flavor::add_extra_specs(&call.core, &call.caller, &id, [(key, value)].into()).await?;
    Ok(Json(answer))
}

async fn delete_spec(call: Call, Path((id, key)): Path<(String, String)>) -> Answer<StatusCode> {
    flavor::remove_extra_spec(&call.core, &call.caller, &id, &key).await?;
    Ok(StatusCode::OK)
}
