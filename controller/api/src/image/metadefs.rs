//! `/v2/metadefs/*`

mod items;
mod namespaces;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use updraft_core::Error;
use updraft_model::image::metadef::{Item, ItemKind};
use updraft_wire::image::metadef::{AssociationBody, NamespaceBody, ObjectBody, TagBody, TagsBody};

use crate::routes::{Routes, SchemaOf, delete, get};

pub(super) fn routes() -> Routes {
    let tag = get(items::show_tag)
        .post(items::create_tag)
        .put(items::update_tag)
        .takes(SchemaOf::of::<TagBody>())
        .delete(items::delete_tag);
    Routes::new()
        .route("/metadefs/resource_types", get(items::all_resource_types))
        .route(
            "/metadefs/namespaces",
            get(namespaces::list).post(namespaces::create).takes(SchemaOf::of::<NamespaceBody>()),
        )
        .route(
            "/metadefs/namespaces/{namespace}",
            get(namespaces::show)
                .put(namespaces::update)
                .takes(SchemaOf::of::<NamespaceBody>())
                .delete(namespaces::delete),
        )
        .route(
            "/metadefs/namespaces/{namespace}/resource_types",
            get(items::associations).post(items::associate).takes(SchemaOf::of::<AssociationBody>()),
        )
        .route("/metadefs/namespaces/{namespace}/resource_types/{name}", delete(items::dissociate))
        .route(
            "/metadefs/namespaces/{namespace}/properties",
            get(items::list_properties)
                .post(items::create_property)
                .takes(property())
                .delete(items::delete_properties),
        )
        .route(
            "/metadefs/namespaces/{namespace}/properties/{name}",
            get(items::show_property)
                .put(items::update_property)
                .takes(property())
                .delete(items::delete_property),
        )
        .route(
            "/metadefs/namespaces/{namespace}/objects",
            get(items::list_objects)
                .post(items::create_object)
                .takes(SchemaOf::of::<ObjectBody>())
                .delete(items::delete_objects),
        )
        .route(
            "/metadefs/namespaces/{namespace}/objects/{name}",
            get(items::show_object)
                .put(items::update_object)
                .takes(SchemaOf::of::<ObjectBody>())
                .delete(items::delete_object),
        )
        .route(
            "/metadefs/namespaces/{namespace}/tags",
            get(items::list_tags)
                .post(items::create_tags)
                .takes(SchemaOf::of::<TagsBody>())
                .delete(items::delete_tags),
        )
        .route("/metadefs/namespaces/{namespace}/tags/{name}", tag)
}

/// A JSON Schema of what images may have, by the name that it goes by.
fn property() -> SchemaOf {
    let text = json!({"type": "string"});
    SchemaOf::json(json!({
        "type": "object",
        "properties": {"name": text, "title": text, "type": text, "description": text},
        "required": ["name", "title", "type"],
    }))
}

/// What the cloud alone writes.
const READ_ONLY: [&str; 4] = ["self", "schema", "created_at", "updated_at"];

/// A body of the form `T`: 403 when it sets what is read-only, 400 when it is not of that form.
fn read<T: DeserializeOwned>(body: Value) -> Result<T, Error> {
    if let Some(key) = READ_ONLY.iter().find(|key| body.get(**key).is_some()) {
        return Err(Error::forbidden(format!("Attribute '{key}' is read-only.")));
    }
    serde_json::from_value(body).map_err(|error| invalid(&error.to_string()))
}

/// What is null is not the same as what is not there: 400.
fn without_nulls(body: Value) -> Result<Value, Error> {
    let null = body.as_object().and_then(|fields| fields.iter().find(|(_, value)| value.is_null()));
    match null {
        Some((key, _)) => Err(invalid(&format!("'{key}' must not be null"))),
        None => Ok(body),
    }
}

fn invalid(problem: &str) -> Error {
    Error::bad_request("Invalid", format!("Provided object does not match schema: {problem}"))
}

/// The fields of an item's body, with its name and what else belongs to its kind.
fn view(item: &Item) -> Value {
    let mut fields = item.body.as_object().cloned().unwrap_or_default();
    fields.insert("name".into(), json!(item.name));
    if item.kind != ItemKind::Property {
        fields.insert("created_at".into(), json!(item.created_at.seconds_z()));
        fields.insert("updated_at".into(), json!(item.updated_at.seconds_z()));
    }
    if item.kind == ItemKind::Object {
        let this = format!("/v2/metadefs/namespaces/{}/objects/{}", item.namespace, item.name);
        fields.insert("self".into(), json!(this));
        fields.insert("schema".into(), json!("/v2/schemas/metadefs/object"));
    }
    Value::Object(fields)
}

/// Properties by name, each without its own.
fn properties(items: &[Item]) -> Map<String, Value> {
    let of_kind = items.iter().filter(|item| item.kind == ItemKind::Property);
    of_kind.map(|item| (item.name.clone(), item.body.clone())).collect()
}

fn of_kind(items: &[Item], kind: ItemKind) -> impl Iterator<Item = &Item> {
    items.iter().filter(move |item| item.kind == kind)
}

/// What an association of this resource type puts before the names of properties.
fn prefix(items: &[Item], resource_type: &str) -> Option<String> {
    let association = of_kind(items, ItemKind::ResourceType).find(|item| item.name == resource_type)?;
    association.body.get("prefix")?.as_str().map(str::to_owned)
}
