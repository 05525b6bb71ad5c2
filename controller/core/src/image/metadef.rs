//! Metadata definitions. By default everybody reads public namespaces and those of the own project, and administrators
//! write.

mod rules;
mod stock;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use updraft_model::image::metadef::{Item, ItemKind, Namespace, ResourceType};
use updraft_store::image::metadef as rows;
use updraft_store::{Conn, StoreError, StoreErrorKind, Tx};
use updraft_wire::image::metadef::NamespaceBody;

use crate::{Caller, Core, Error, Result};
use rules::{Verb, enforce, enforce_new, item_rule, may};
pub use stock::ensure as ensure_stock;

/// What a request says about a namespace.
#[derive(Clone, Debug)]
pub struct NamespaceFields {
    pub namespace: String,
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub public: bool,
    pub protected: bool,
    /// The caller's project when it is not said.
    pub owner: Option<String>,
}

/// What a request says about something in a namespace.
#[derive(Clone, Debug)]
pub struct NewItem {
    pub kind: ItemKind,
    pub name: String,
    pub body: Value,
}

/// Everything that a namespace is said to hold.
pub fn contents(body: NamespaceBody) -> Vec<NewItem> {
    let of = |kind, name: &str, body: Value| NewItem { kind, name: name.to_owned(), body };
    let associations = body
        .resource_type_associations
        .iter()
        .map(|association| of(ItemKind::ResourceType, &association.name, json!(association)));
    let objects = body.objects.iter().map(|object| of(ItemKind::Object, &object.name, json!(object)));
    let properties = body.properties.iter().map(|(name, value)| of(ItemKind::Property, name, value.clone()));
    let tags = body.tags.iter().map(|tag| of(ItemKind::Tag, &tag.name, Value::Null));
    associations.chain(objects).chain(properties).chain(tags).collect()
}

/// What a list of namespaces asks for.
#[derive(Clone, Debug, Default)]
pub struct NamespaceQuery {
    pub public: Option<bool>,
    /// Associated with one of these; empty: any.
    pub resource_types: Vec<String>,
    /// By the name instead of the time of creation.
    pub by_name: bool,
    pub ascending: bool,
    /// The last namespace of the page before.
    pub marker: Option<String>,
    pub limit: usize,
}

/// Makes a namespace with everything in it: all of it, or nothing. 409 when there is one of that name.
pub async fn create(
    core: &Core,
    caller: &Caller,
    fields: NamespaceFields,
    items: Vec<NewItem>,
) -> Result<(Namespace, Vec<Item>)> {
    enforce_new(caller, "add_metadef_namespace")?;
    for new in &items {
        enforce_new(caller, item_rule(Verb::Add, new.kind))?;
    }
    let (caller, now) = (caller.clone(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let namespace = Namespace {
                owner: owner(&caller, fields.owner),
                namespace: fields.namespace,
                public: fields.public,
                protected: fields.protected,
                display_name: fields.display_name,
                description: fields.description,
                created_at: now,
                updated_at: now,
            };
            let name = namespace.namespace.clone();
            rows::insert_namespace(tx, &namespace).await.map_err(|error| duplicate(error, &name))?;
            let mut made = Vec::new();
            for new in items {
                made.push(insert(tx, &name, new, now).await?);
            }
            Ok((namespace, made))
        })
    })
    .await
}

/// The page of namespaces with their associations, and whether more follow.
pub async fn list(
    core: &Core,
    caller: &Caller,
    query: &NamespaceQuery,
) -> Result<(Vec<(Namespace, Vec<Item>)>, bool)> {
    enforce_new(caller, "get_metadef_namespaces")?;
    enforce_new(caller, "list_metadef_resource_types")?;
    let mut conn = core.read().await?;
    let mut namespaces = rows::list_namespaces(&mut conn).await?;
    let mut associations: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for item in rows::list_items(&mut conn, None, Some(ItemKind::ResourceType)).await? {
        associations.entry(item.namespace.clone()).or_default().push(item);
    }
    namespaces.retain(|namespace| {
        let of_it = associations.get(&namespace.namespace).map(Vec::as_slice).unwrap_or_default();
        let is_wanted = query.resource_types.is_empty()
            || of_it.iter().any(|association| query.resource_types.contains(&association.name));
        may(caller, namespace, "get_metadef_namespace")
            && query.public.is_none_or(|public| namespace.public == public)
            && is_wanted
    });
    if !query.by_name {
        namespaces.sort_by_key(|namespace| namespace.created_at);
    }
    if !query.ascending {
        namespaces.reverse();
    }
    let start = match &query.marker {
        None => 0,
        Some(marker) => match namespaces.iter().position(|namespace| namespace.namespace == *marker) {
            Some(position) => position + 1,
            None => return Err(not_found(marker)),
        },
    };
    let mut page = namespaces.split_off(start);
    let more = page.len() > query.limit;
    page.truncate(query.limit);
    let page = page.into_iter().map(|namespace| {
        let of_it = associations.remove(&namespace.namespace).unwrap_or_default();
        (namespace, of_it)
    });
    Ok((page.collect(), more))
}

/// A namespace and everything in it.
pub async fn get(core: &Core, caller: &Caller, name: &str) -> Result<(Namespace, Vec<Item>)> {
    let mut conn = core.read().await?;
    let namespace = allowed(&mut conn, caller, name, "get_metadef_namespace").await?;
    for kind in [ItemKind::ResourceType, ItemKind::Object, ItemKind::Property, ItemKind::Tag] {
        enforce(caller, &namespace, item_rule(Verb::List, kind))?;
    }
    let items = rows::list_items(&mut conn, Some(name), None).await?;
    Ok((namespace, items))
}

/// What an association of a resource type puts before the names of a namespace's properties; empty when there is none.
pub async fn prefix(core: &Core, caller: &Caller, namespace: &str, resource_type: &str) -> Result<String> {
    let mut conn = core.read().await?;
    allowed(&mut conn, caller, namespace, item_rule(Verb::Get, ItemKind::ResourceType)).await?;
    let association = find(&mut conn, namespace, ItemKind::ResourceType, resource_type).await?;
    let prefix = association.body.get("prefix").and_then(Value::as_str);
    Ok(prefix.unwrap_or_default().to_owned())
}

/// Replaces what is said of a namespace; what is in it stays, under its new name if it gets one.
pub async fn update(core: &Core, caller: &Caller, name: &str, fields: NamespaceFields) -> Result<Namespace> {
    let (caller, name, now) = (caller.clone(), name.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let old = allowed(tx, &caller, &name, "modify_metadef_namespace").await?;
            let namespace = Namespace {
                owner: owner(&caller, fields.owner),
                namespace: fields.namespace,
                public: fields.public,
                protected: fields.protected,
                display_name: fields.display_name,
                description: fields.description,
                created_at: old.created_at,
                updated_at: now,
            };
            let updated = rows::update_namespace(tx, &name, &namespace).await;
            updated.map_err(|error| duplicate(error, &namespace.namespace))?;
            Ok(namespace)
        })
    })
    .await
}

/// Removes a namespace with everything in it; 403 while it is protected.
pub async fn delete(core: &Core, caller: &Caller, name: &str) -> Result<()> {
    let (caller, name) = (caller.clone(), name.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            removable(&allowed(tx, &caller, &name, "delete_metadef_namespace").await?)?;
            Ok(rows::delete_namespace(tx, &name).await?)
        })
    })
    .await
}

/// Adds something to a namespace; 409 when it has one of that kind and name.
pub async fn create_item(core: &Core, caller: &Caller, namespace: &str, new: NewItem) -> Result<Item> {
    let (caller, namespace, now) = (caller.clone(), namespace.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            allowed(tx, &caller, &namespace, item_rule(Verb::Add, new.kind)).await?;
            insert(tx, &namespace, new, now).await
        })
    })
    .await
}

/// Gives a namespace these tags: beside those that it has, or in their place.
pub async fn create_tags(
    core: &Core,
    caller: &Caller,
    namespace: &str,
    names: Vec<String>,
    beside: bool,
) -> Result<()> {
    let (caller, namespace, now) = (caller.clone(), namespace.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            allowed(tx, &caller, &namespace, "add_metadef_tags").await?;
            if !beside {
                rows::delete_items(tx, &namespace, ItemKind::Tag).await?;
            }
            for name in names {
                let new = NewItem { kind: ItemKind::Tag, name, body: Value::Null };
                insert(tx, &namespace, new, now).await?;
            }
            Ok(())
        })
    })
    .await
}

/// What a namespace has of a kind, by name.
pub async fn list_items(core: &Core, caller: &Caller, namespace: &str, kind: ItemKind) -> Result<Vec<Item>> {
    let mut conn = core.read().await?;
    let found = allowed(&mut conn, caller, namespace, item_rule(Verb::List, kind)).await?;
    if !may(caller, &found, item_rule(Verb::Get, kind)) {
        return Ok(Vec::new());
    }
    Ok(rows::list_items(&mut conn, Some(namespace), Some(kind)).await?)
}

pub async fn get_item(
    core: &Core,
    caller: &Caller,
    namespace: &str,
    kind: ItemKind,
    name: &str,
) -> Result<Item> {
    let mut conn = core.read().await?;
    allowed(&mut conn, caller, namespace, item_rule(Verb::Get, kind)).await?;
    find(&mut conn, namespace, kind, name).await
}

/// Replaces something in a namespace; 409 when its new name is taken.
pub async fn update_item(
    core: &Core,
    caller: &Caller,
    namespace: &str,
    name: &str,
    new: NewItem,
) -> Result<Item> {
    let (caller, namespace, name) = (caller.clone(), namespace.to_owned(), name.to_owned());
    let now = core.clock.now();
    core.write(move |tx| {
        Box::pin(async move {
            allowed(tx, &caller, &namespace, item_rule(Verb::Modify, new.kind)).await?;
            let old = find(tx, &namespace, new.kind, &name).await?;
            let item = Item { name: new.name, body: new.body, updated_at: now, ..old };
            rows::update_item(tx, &name, &item).await.map_err(|error| duplicate(error, &item.name))?;
            Ok(item)
        })
    })
    .await
}

/// Removes something from a namespace; 403 while the namespace is protected.
pub async fn delete_item(
    core: &Core,
    caller: &Caller,
    namespace: &str,
    kind: ItemKind,
    name: &str,
) -> Result<()> {
    let (caller, namespace, name) = (caller.clone(), namespace.to_owned(), name.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            removable(&allowed(tx, &caller, &namespace, item_rule(Verb::Remove, kind)).await?)?;
            match rows::delete_item(tx, &namespace, kind, &name).await? {
                true => Ok(()),
                false => Err(no_item(&namespace, kind, &name)),
            }
        })
    })
    .await
}

/// Removes everything of a kind; 403 while the namespace is protected.
pub async fn delete_items(core: &Core, caller: &Caller, namespace: &str, kind: ItemKind) -> Result<()> {
    let (caller, namespace) = (caller.clone(), namespace.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            let found = allowed(tx, &caller, &namespace, "delete_metadef_namespace").await?;
            if kind == ItemKind::Tag {
                enforce(&caller, &found, "delete_metadef_tags")?;
            }
            removable(&found)?;
            Ok(rows::delete_items(tx, &namespace, kind).await?)
        })
    })
    .await
}

/// Every kind of resources that a namespace was ever associated with.
pub async fn list_resource_types(core: &Core, caller: &Caller) -> Result<Vec<ResourceType>> {
    enforce_new(caller, "list_metadef_resource_types")?;
    Ok(rows::list_resource_types(&mut core.read().await?).await?)
}

fn owner(caller: &Caller, said: Option<String>) -> String {
    said.or_else(|| caller.project_id.clone()).unwrap_or_default()
}

/// A namespace that the rule lets the caller do something with.
async fn allowed(conn: &mut Conn, caller: &Caller, name: &str, rule: &str) -> Result<Namespace> {
    let namespace = rows::get_namespace(conn, name).await?.ok_or_else(|| not_found(name))?;
    enforce(caller, &namespace, rule)?;
    Ok(namespace)
}

fn removable(namespace: &Namespace) -> Result<()> {
    if !namespace.protected {
        return Ok(());
    }
    let name = &namespace.namespace;
    let message = format!("Metadata definition namespace {name} is protected and cannot be deleted.");
    Err(Error::forbidden(message))
}

async fn insert(tx: &mut Tx, namespace: &str, new: NewItem, now: updraft_model::Timestamp) -> Result<Item> {
    if new.kind == ItemKind::ResourceType {
        rows::ensure_resource_type(tx, &new.name, now).await?;
    }
    let item = Item {
        namespace: namespace.to_owned(),
        kind: new.kind,
        name: new.name,
        body: new.body,
        created_at: now,
        updated_at: now,
    };
    rows::insert_item(tx, &item).await.map_err(|error| duplicate(error, &item.name))?;
    Ok(item)
}

async fn find(conn: &mut Conn, namespace: &str, kind: ItemKind, name: &str) -> Result<Item> {
    let found = rows::get_item(conn, namespace, kind, name).await?;
    found.ok_or_else(|| no_item(namespace, kind, name))
}

fn duplicate(error: StoreError, name: &str) -> Error {
    match error.kind {
        StoreErrorKind::Duplicate => Error::conflict("Duplicate", format!("{name} already exists.")),
        _ => error.into(),
    }
}

fn not_found(name: &str) -> Error {
    Error::not_found("NotFound", format!("Namespace {name} not found"))
}

fn no_item(namespace: &str, kind: ItemKind, name: &str) -> Error {
    let kind = kind.as_str();
    Error::not_found("NotFound", format!("The {kind} {name} could not be found in namespace {namespace}."))
}
