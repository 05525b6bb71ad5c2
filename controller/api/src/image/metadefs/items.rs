//! What namespaces hold: objects, properties, tags, associations with resource types.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use updraft_core::image::metadef::{self, NewItem};
use updraft_core::{Error, image};
use updraft_model::image::metadef::{Item, ItemKind};
use updraft_wire::image::metadef::{
    AssociationBody, ObjectBody, TagBody, TagsBody, check_name, check_property,
};

use super::{invalid, properties, read, view, without_nulls};
use crate::http::{Answer, Body, Call, NoBody};
use crate::image::images::query::{DEFAULT_PAGE, MAX_PAGE, Pairs};

type Made = (StatusCode, Json<Value>);
type Named = Path<(String, String)>;

fn object(body: Value) -> Result<NewItem, Error> {
    let body: ObjectBody = read(without_nulls(body)?)?;
    body.check().map_err(|problem| invalid(&problem))?;
    Ok(NewItem { kind: ItemKind::Object, name: body.name.clone(), body: json!(body) })
}

fn property(body: Value) -> Result<NewItem, Error> {
    let mut fields: serde_json::Map<String, Value> = read(body)?;
    check_property(&fields).map_err(|problem| invalid(&problem))?;
    let name = fields.remove("name");
    let name =
        name.as_ref().and_then(Value::as_str).ok_or_else(|| invalid("'name' is a required property"))?;
    check_name(name).map_err(|problem| invalid(&problem))?;
    Ok(NewItem { kind: ItemKind::Property, name: name.to_owned(), body: Value::Object(fields) })
}

fn tag(name: String) -> Result<NewItem, Error> {
    check_name(&name).map_err(|problem| invalid(&problem))?;
    Ok(NewItem { kind: ItemKind::Tag, name, body: Value::Null })
}

async fn make(call: Call, namespace: &str, new: NewItem) -> Answer<Made> {
    let item = metadef::create_item(&call.core, &call.caller, namespace, new).await?;
    Ok((StatusCode::CREATED, Json(view(&item))))
}

async fn change(call: Call, (namespace, name): (String, String), new: NewItem) -> Answer<Json<Value>> {
    let item = metadef::update_item(&call.core, &call.caller, &namespace, &name, new).await?;
    Ok(Json(view(&item)))
}

async fn show(call: Call, (namespace, name): (String, String), kind: ItemKind) -> Answer<Json<Value>> {
    let item = metadef::get_item(&call.core, &call.caller, &namespace, kind, &name).await?;
    Ok(Json(view(&item)))
}

async fn remove(call: Call, (namespace, name): (String, String), kind: ItemKind) -> Answer<StatusCode> {
    metadef::delete_item(&call.core, &call.caller, &namespace, kind, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_all(call: Call, namespace: &str, kind: ItemKind) -> Answer<StatusCode> {
    metadef::delete_items(&call.core, &call.caller, namespace, kind).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the oldest come first; 400 for what is no direction.
fn ascending(pairs: &Pairs) -> Result<bool, Error> {
    match pairs.one("sort_dir") {
        None | Some("desc") => Ok(false),
        Some("asc") => Ok(true),
        Some(other) => Err(Error::bad_request("Invalid", format!("Invalid sort direction: {other}"))),
    }
}

/// In the order that is asked for; unless it is, the newest first.
fn sorted(mut items: Vec<Item>, pairs: &Pairs) -> Result<Vec<Item>, Error> {
    let ascending = ascending(pairs)?;
    match pairs.one("sort_key") {
        Some("name") => items.sort_by(|one, other| one.name.cmp(&other.name)),
        Some("updated_at") => {
            items.sort_by(|one, other| (one.updated_at, &one.name).cmp(&(other.updated_at, &other.name)));
        }
        _ => items.sort_by(|one, other| (one.created_at, &one.name).cmp(&(other.created_at, &other.name))),
    }
    if !ascending {
        items.reverse();
    }
    Ok(items)
}

/// `limit` and `marker`, which is the name of the last one seen.
fn page(items: Vec<Item>, pairs: &Pairs) -> Result<Vec<Item>, Error> {
    let limit: usize = pairs.one("limit").map_or(Ok(DEFAULT_PAGE), |text| {
        text.parse().map_err(|_| Error::bad_request("Invalid", "limit param must be a positive integer"))
    })?;
    let start = match pairs.one("marker") {
        None => 0,
        Some(marker) => items.iter().position(|item| item.name == marker).map_or_else(
            || Err(Error::not_found("NotFound", format!("There is no {marker}."))),
            |position| Ok(position + 1),
        )?,
    };
    Ok(items.into_iter().skip(start).take(limit.min(MAX_PAGE)).collect())
}

pub(super) async fn list_objects(
    Call { core, caller, .. }: Call,
    Path(namespace): Path<String>,
    RawQuery(text): RawQuery,
) -> Answer<Json<Value>> {
    let pairs = Pairs::parse(text.as_deref().unwrap_or_default());
    ascending(&pairs)?;
    if pairs.one("limit") == Some("0") {
        return Err(Error::bad_request("Invalid", "limit param must be positive").into());
    }
    let items = metadef::list_items(&core, &caller, &namespace, ItemKind::Object).await?;
    let objects: Vec<Value> = page(items, &pairs)?.iter().map(view).collect();
    let first = pairs.url_of(&format!("/v2/metadefs/namespaces/{namespace}/objects"), None);
    Ok(Json(json!({"objects": objects, "first": first, "schema": "/v2/schemas/metadefs/objects"})))
}

pub(super) async fn create_object(
    call: Call,
    Path(namespace): Path<String>,
    Body(body): Body<Value>,
) -> Answer<Made> {
    make(call, &namespace, object(body)?).await
}

pub(super) async fn show_object(call: Call, Path(named): Named) -> Answer<Json<Value>> {
    show(call, named, ItemKind::Object).await
}

pub(super) async fn update_object(
    call: Call,
    Path(named): Named,
    Body(body): Body<Value>,
) -> Answer<Json<Value>> {
    change(call, named, object(body)?).await
}

pub(super) async fn delete_object(call: Call, Path(named): Named, _: NoBody) -> Answer<StatusCode> {
    remove(call, named, ItemKind::Object).await
}

pub(super) async fn delete_objects(call: Call, Path(namespace): Path<String>) -> Answer<StatusCode> {
    remove_all(call, &namespace, ItemKind::Object).await
}

pub(super) async fn list_properties(
    Call { core, caller, .. }: Call,
    Path(namespace): Path<String>,
) -> Answer<Json<Value>> {
    let items = metadef::list_items(&core, &caller, &namespace, ItemKind::Property).await?;
    Ok(Json(json!({"properties": properties(&items)})))
}

pub(super) async fn create_property(
    call: Call,
    Path(namespace): Path<String>,
    Body(body): Body<Value>,
) -> Answer<Made> {
    make(call, &namespace, property(body)?).await
}

/// With `resource_type`, the name in the path has that type's prefix, and the answer has it without; 404 when the path
/// has not, or the type none.
pub(super) async fn show_property(
    call: Call,
    Path((namespace, name)): Named,
    RawQuery(text): RawQuery,
) -> Answer<Json<Value>> {
    let pairs = Pairs::parse(text.as_deref().unwrap_or_default());
    let Some(resource_type) = pairs.one("resource_type").filter(|name| !name.is_empty()) else {
        return show(call, (namespace, name), ItemKind::Property).await;
    };
    let prefix = metadef::prefix(&call.core, &call.caller, &namespace, resource_type).await?;
    let own = name.strip_prefix(&prefix).filter(|_| !prefix.is_empty()).map(str::to_owned);
    let Some(own) = own else {
        let message = format!("Property {name} does not start with the prefix '{prefix}'.");
        return Err(Error::not_found("NotFound", message).into());
    };
    show(call, (namespace, own), ItemKind::Property).await
}

pub(super) async fn update_property(
    call: Call,
    Path(named): Named,
    Body(body): Body<Value>,
) -> Answer<Json<Value>> {
    change(call, named, property(body)?).await
}

pub(super) async fn delete_property(call: Call, Path(named): Named) -> Answer<StatusCode> {
    remove(call, named, ItemKind::Property).await
}

pub(super) async fn delete_properties(call: Call, Path(namespace): Path<String>) -> Answer<StatusCode> {
    remove_all(call, &namespace, ItemKind::Property).await
}

pub(super) async fn list_tags(
    Call { core, caller, .. }: Call,
    Path(namespace): Path<String>,
    RawQuery(text): RawQuery,
) -> Answer<Json<Value>> {
    let pairs = Pairs::parse(text.as_deref().unwrap_or_default());
    let items = metadef::list_items(&core, &caller, &namespace, ItemKind::Tag).await?;
    let tags: Vec<Value> =
        page(sorted(items, &pairs)?, &pairs)?.into_iter().map(|tag| json!({"name": tag.name})).collect();
    let first = pairs.url_of(&format!("/v2/metadefs/namespaces/{namespace}/tags"), None);
    Ok(Json(json!({"tags": tags, "first": first, "schema": "/v2/schemas/metadefs/tags"})))
}

/// In the place of the tags that there are, unless `X-OpenStack-Append` is true.
pub(super) async fn create_tags(
    Call { core, caller, .. }: Call,
    Path(namespace): Path<String>,
    headers: HeaderMap,
    Body(body): Body<Value>,
) -> Answer<Made> {
    let body: TagsBody = read(body)?;
    for tag in &body.tags {
        check_name(&tag.name).map_err(|problem| invalid(&problem))?;
    }
    let append = headers.get("x-openstack-append").and_then(|value| value.to_str().ok());
    let append =
        append.is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on"));
    let names = body.tags.iter().map(|tag| tag.name.clone()).collect();
    metadef::create_tags(&core, &caller, &namespace, names, append).await?;
    Ok((StatusCode::CREATED, Json(json!(body))))
}

pub(super) async fn create_tag(call: Call, Path((namespace, name)): Named, _: NoBody) -> Answer<Made> {
    make(call, &namespace, tag(name)?).await
}

pub(super) async fn show_tag(call: Call, Path(named): Named) -> Answer<Json<Value>> {
    show(call, named, ItemKind::Tag).await
}

pub(super) async fn update_tag(
    call: Call,
    Path(named): Named,
    Body(body): Body<Value>,
) -> Answer<Json<Value>> {
    let body: TagBody = read(body)?;
    change(call, named, tag(body.name)?).await
}

pub(super) async fn delete_tag(call: Call, Path(named): Named, _: NoBody) -> Answer<StatusCode> {
    remove(call, named, ItemKind::Tag).await
}

pub(super) async fn delete_tags(call: Call, Path(namespace): Path<String>) -> Answer<StatusCode> {
    remove_all(call, &namespace, ItemKind::Tag).await
}

pub(super) async fn all_resource_types(Call { core, caller, .. }: Call) -> Answer<Json<Value>> {
    let types = image::metadef::list_resource_types(&core, &caller).await?;
    let types = types.into_iter().map(|kind| {
        json!({
            "name": kind.name,
            "created_at": kind.created_at.seconds_z(),
            "updated_at": kind.updated_at.seconds_z(),
        })
    });
    Ok(Json(json!({"resource_types": types.collect::<Vec<_>>()})))
}

pub(super) async fn associations(
    Call { core, caller, .. }: Call,
    Path(namespace): Path<String>,
) -> Answer<Json<Value>> {
    let items = metadef::list_items(&core, &caller, &namespace, ItemKind::ResourceType).await?;
    Ok(Json(json!({"resource_type_associations": items.iter().map(view).collect::<Vec<_>>()})))
}

pub(super) async fn associate(
    call: Call,
    Path(namespace): Path<String>,
    Body(body): Body<Value>,
) -> Answer<Made> {
    let body: AssociationBody = read(without_nulls(body)?)?;
    body.check().map_err(|problem| invalid(&problem))?;
    let new = NewItem { kind: ItemKind::ResourceType, name: body.name.clone(), body: json!(body) };
    make(call, &namespace, new).await
}

pub(super) async fn dissociate(call: Call, Path(named): Named, _: NoBody) -> Answer<StatusCode> {
    remove(call, named, ItemKind::ResourceType).await
}
