//! `/flavors`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::compute::flavor::{self, FlavorFilter};
use updraft_model::compute::Flavor;
use updraft_wire::compute::Microversion;
use updraft_wire::compute::flavor::{
    CreateFlavor, FlavorAction, FlavorView, UpdateFlavor, access, read_extra_spec, read_extra_specs,
};

use super::query::{self, Holds, Pairs, Parameter};
use super::version::Version;
use crate::http::{Answer, Body, Call, Form};
use crate::routes::{Routes, SchemaOf, get, post};

/// Items in one answer.
const MOST: u32 = 1000;
/// From 2.7 on a public flavor cannot be given to a project.
const PUBLIC_IS_CONFLICT_SINCE: u16 = 7;

/// Keys that flavors are sorted by.
const SORT_KEYS: [&str; 15] = [
    "created_at",
    "description",
    "disabled",
    "ephemeral_gb",
    "flavorid",
    "id",
    "is_public",
    "memory_mb",
    "name",
    "root_gb",
    "rxtx_factor",
    "swap",
    "updated_at",
    "vcpu_weight",
    "vcpus",
];

/// What a list may be asked.
const QUERY: &[Parameter] = &[
    Parameter::new("is_public", Holds::Text),
    Parameter::new("limit", Holds::Number),
    Parameter::new("marker", Holds::Text),
    Parameter::new("minDisk", Holds::Text),
    Parameter::new("minRam", Holds::Text),
    Parameter::new("sort_dir", Holds::OneOf(&[&["asc", "desc"]])),
    Parameter::new("sort_key", Holds::OneOf(&[&SORT_KEYS])),
];

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/flavors",
            get(list)
                .queries(QUERY.iter().map(Parameter::name))
                .post(create)
                .status(200)
                .takes(SchemaOf::of::<CreateFlavor>().under("flavor")),
        )
        .route("/flavors/detail", get(detail).queries(QUERY.iter().map(Parameter::name)))
        .route(
            "/flavors/{id}",
            get(show)
                .put(update)
                .takes(SchemaOf::of::<UpdateFlavor>().under("flavor"))
                .delete(delete)
                .status(202),
        )
        .route("/flavors/{id}/action", post(action).status(200))
        .route("/flavors/{id}/os-flavor-access", get(list_access))
        .route(
            "/flavors/{id}/os-extra_specs",
            get(list_specs).post(add_specs).status(200).takes(specs().under("extra_specs")),
        )
        .route(
            "/flavors/{id}/os-extra_specs/{key}",
            get(show_spec).put(set_spec).takes(specs()).delete(delete_spec).status(200).gives_nothing(),
        )
}

/// Texts, or numbers that are taken for texts, by their names.
fn specs() -> SchemaOf {
    SchemaOf::json(json!({"type": "object", "additionalProperties": {"type": ["string", "number"]}}))
}

fn view(flavor: Flavor, with_extra_specs: bool) -> FlavorView {
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
        extra_specs: Some(flavor.extra_specs).filter(|_| with_extra_specs),
    }
}

fn one(call: &Call, version: Microversion, flavor: Flavor) -> Json<Value> {
    let view = view(flavor, flavor::shows_extra_specs(&call.caller));
    Json(json!({"flavor": view.render(&call.endpoint, version)}))
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
    let pairs = query::read(pairs, QUERY, version)?;
    let filter = FlavorFilter {
        is_public: if flavor::chooses_public(&call.caller) { wanted_public(&pairs)? } else { None },
        min_disk_gib: least(&pairs, "minDisk")?,
        min_memory_mib: least(&pairs, "minRam")?,
        usable_by: None,
    };
    let mut flavors = flavor::list(&call.core, &call.caller, filter).await?;
    sort(&mut flavors, &pairs);
    let (flavors, more) = query::page(flavors, &pairs, MOST, |flavor| &flavor.id)?;
    let last = flavors.last().map(|flavor| flavor.id.clone());
    let with_extra_specs = flavor::shows_extra_specs(&call.caller);
    let one = |flavor| render(&view(flavor, with_extra_specs), &call.endpoint, version);
    let views: Vec<Value> = flavors.into_iter().map(one).collect();
    let mut answer = json!({ "flavors": views });
    if let Some(last) = last.filter(|_| more) {
        answer["flavors_links"] = query::next_link(&call.endpoint, path, &pairs, &last);
    }
    Ok(Json(answer))
}

/// The last value of `key`, if it is there.
fn last<'a>(pairs: &'a Pairs, key: &str) -> Option<&'a str> {
    pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// Members see public flavors and their own; administrators the public ones unless they say otherwise.
fn wanted_public(pairs: &Pairs) -> Result<Option<bool>, Error> {
    match last(pairs, "is_public") {
        None => Ok(Some(true)),
        Some(text) if text.eq_ignore_ascii_case("none") => Ok(None),
        Some(text) => match query::flag(pairs, "is_public") {
            Ok(Some(public)) if !text.is_empty() => Ok(Some(public)),
            _ => Err(invalid("is_public", text)),
        },
    }
}

/// A number, which may be below zero.
fn least(pairs: &Pairs, key: &str) -> Result<Option<i64>, Error> {
    let Some(text) = last(pairs, key) else { return Ok(None) };
    text.trim().parse::<i64>().map(Some).map_err(|_| invalid(key, text))
}

fn invalid(key: &str, text: &str) -> Error {
    let text: String = text.chars().take(64).collect();
    Error::bad_request("BadRequest", format!("Invalid {key} filter [{text}]"))
}

/// By `sort_key` and `sort_dir`; by id when nothing is said.
fn sort(flavors: &mut [Flavor], pairs: &Pairs) {
    let key = last(pairs, "sort_key").unwrap_or("flavorid");
    flavors.sort_by(|one, other| {
        let ordering = match key {
            "description" => one.description.cmp(&other.description),
            "disabled" => one.disabled.cmp(&other.disabled),
            "ephemeral_gb" => one.ephemeral_gib.cmp(&other.ephemeral_gib),
            "flavorid" => one.id.cmp(&other.id),
            "is_public" => one.is_public.cmp(&other.is_public),
            "memory_mb" => one.memory_mib.cmp(&other.memory_mib),
            "name" => one.name.to_lowercase().cmp(&other.name.to_lowercase()),
            "root_gb" => one.disk_gib.cmp(&other.disk_gib),
            "rxtx_factor" => one.rxtx_factor.total_cmp(&other.rxtx_factor),
            "swap" => one.swap_mib.cmp(&other.swap_mib),
            "vcpus" => one.vcpus.cmp(&other.vcpus),
            _ => std::cmp::Ordering::Equal,
        };
        ordering.then_with(|| one.id.cmp(&other.id))
    });
    if last(pairs, "sort_dir") == Some("desc") {
        flavors.reverse();
    }
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
    let specs = flavor::extra_specs(&call.core, &call.caller, &id, false).await?;
    Ok(Json(json!({"extra_specs": specs})))
}

async fn add_specs(call: Call, Path(id): Path<String>, Body(body): Body<Value>) -> Answer<Json<Value>> {
    let specs = read_extra_specs(&body).map_err(Error::from)?;
    let answer = json!({ "extra_specs": body["extra_specs"] });
    flavor::add_extra_specs(&call.core, &call.caller, &id, specs, false).await?;
    Ok(Json(answer))
}

async fn show_spec(call: Call, Path((id, key)): Path<(String, String)>) -> Answer<Json<Value>> {
    let specs = flavor::extra_specs(&call.core, &call.caller, &id, true).await?;
    let missing = || {
        let message = format!("Flavor {id} has no extra specs with key {key}.");
        Error::not_found("FlavorExtraSpecsNotFound", message)
    };
    let value = specs.get(&key).ok_or_else(missing)?;
    Ok(Json(json!({ &key: value })))
}

async fn set_spec(
    call: Call,
    Path((id, key)): Path<(String, String)>,
    Body(body): Body<Value>,
) -> Answer<Json<Value>> {
    let value = read_extra_spec(&body, &key).map_err(Error::from)?;
    // Numbers are kept as texts, and answered as they came.
    let answer = json!({ &key: body[&key] });
    flavor::add_extra_specs(&call.core, &call.caller, &id, [(key, value)].into(), true).await?;
    Ok(Json(answer))
}

async fn delete_spec(call: Call, Path((id, key)): Path<(String, String)>) -> Answer<StatusCode> {
    flavor::remove_extra_spec(&call.core, &call.caller, &id, &key).await?;
    Ok(StatusCode::OK)
}
