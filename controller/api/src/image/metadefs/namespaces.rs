use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use updraft_core::Error;
use updraft_core::image::metadef::{self, NamespaceFields, NamespaceQuery};
use updraft_model::image::metadef::{Item, ItemKind, Namespace};
use updraft_wire::image::metadef::{NamespaceBody, NamespaceList, NamespaceView, NamespaceVisibility};

use super::{invalid, of_kind, prefix, properties, read, without_nulls};
use crate::http::{Answer, Body, Call, NoBody};
use crate::image::images::query::{DEFAULT_PAGE, MAX_PAGE, Pairs};

const PATH: &str = "/v2/metadefs/namespaces";

fn view(namespace: Namespace, items: &[Item]) -> NamespaceView {
    NamespaceView {
        this: format!("{PATH}/{}", namespace.namespace),
        namespace: namespace.namespace,
        display_name: namespace.display_name,
        description: namespace.description,
        visibility: if namespace.public { "public" } else { "private" },
        protected: namespace.protected,
        owner: namespace.owner,
        created_at: namespace.created_at.seconds_z(),
        updated_at: namespace.updated_at.seconds_z(),
        schema: "/v2/schemas/metadefs/namespace",
        resource_type_associations: of_kind(items, ItemKind::ResourceType).map(super::view).collect(),
        properties: properties(items),
        objects: of_kind(items, ItemKind::Object).map(super::view).collect(),
        tags: of_kind(items, ItemKind::Tag).map(|tag| json!({"name": tag.name})).collect(),
    }
}

pub(super) async fn list(
    Call { core, caller, .. }: Call,
    RawQuery(text): RawQuery,
) -> Answer<Json<NamespaceList>> {
    let pairs = Pairs::parse(text.as_deref().unwrap_or_default());
    let (page, more) = metadef::list(&core, &caller, &query(&pairs)?).await?;
    let last = page.last().map(|(namespace, _)| namespace.namespace.clone());
    Ok(Json(NamespaceList {
        namespaces: page.into_iter().map(|(namespace, items)| view(namespace, &items)).collect(),
        first: pairs.url_of(PATH, None),
        next: last.filter(|_| more).map(|marker| pairs.url_of(PATH, Some(&marker))),
        schema: "/v2/schemas/metadefs/namespaces",
    }))
}

fn query(pairs: &Pairs) -> Result<NamespaceQuery, Error> {
    let refuse = |message: String| Error::bad_request("Invalid", message);
    let public = match pairs.one("visibility") {
        None => None,
        Some("public") => Some(true),
        Some("private") => Some(false),
        Some(other) => return Err(refuse(format!("Invalid visibility value: {other}"))),
    };
    let ascending = match pairs.one("sort_dir") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(other) => return Err(refuse(format!("Invalid sort direction: {other}"))),
    };
    let limit: usize = pairs.one("limit").map_or(Ok(DEFAULT_PAGE), |text| {
        text.parse().map_err(|_| refuse("limit param must be a positive integer".into()))
    })?;
    let types = pairs.one("resource_types").unwrap_or_default().split(',').filter(|name| !name.is_empty());
    Ok(NamespaceQuery {
        public,
        resource_types: types.map(str::to_owned).collect(),
        by_name: pairs.one("sort_key") == Some("namespace"),
        ascending,
        marker: pairs.one("marker").map(str::to_owned),
        limit: limit.min(MAX_PAGE),
    })
}

fn checked(body: Value) -> Result<NamespaceBody, Error> {
    let body: NamespaceBody = read(without_nulls(body)?)?;
    body.check().map_err(|problem| invalid(&problem))?;
    Ok(body)
}

fn fields(body: &NamespaceBody) -> NamespaceFields {
    NamespaceFields {
        namespace: body.namespace.clone(),
        display_name: body.display_name.clone(),
        description: body.description.clone(),
        public: body.visibility == Some(NamespaceVisibility::Public),
        protected: body.protected.unwrap_or(false),
        owner: body.owner.clone(),
    }
}

pub(super) async fn create(
    Call { core, caller, endpoint }: Call,
    Body(body): Body<Value>,
) -> Answer<(StatusCode, HeaderMap, Json<NamespaceView>)> {
    let body = checked(body)?;
    let fields = fields(&body);
    let (namespace, items) = metadef::create(&core, &caller, fields, metadef::contents(body)).await?;
    let mut headers = HeaderMap::new();
    if let Ok(location) = HeaderValue::from_str(&format!("{endpoint}/image{PATH}/{}", namespace.namespace)) {
        headers.insert(header::LOCATION, location);
    }
    Ok((StatusCode::CREATED, headers, Json(view(namespace, &items))))
}

/// With `resource_type`, the names of properties are as that type's association prefixes them.
pub(super) async fn show(
    Call { core, caller, .. }: Call,
    Path(name): Path<String>,
    RawQuery(text): RawQuery,
) -> Answer<Json<NamespaceView>> {
    let (namespace, items) = metadef::get(&core, &caller, &name).await?;
    let pairs = Pairs::parse(text.as_deref().unwrap_or_default());
    let mut view = view(namespace, &items);
    if let Some(prefix) = pairs.one("resource_type").and_then(|name| prefix(&items, name)) {
        view.properties = prefixed(&prefix, view.properties);
        for object in view.objects.iter_mut().filter_map(Value::as_object_mut) {
            if let Some(Value::Object(properties)) = object.remove("properties") {
                object.insert("properties".into(), Value::Object(prefixed(&prefix, properties)));
            }
            let required = object.get_mut("required").and_then(Value::as_array_mut);
            for name in required.into_iter().flatten() {
                *name = json!(format!("{prefix}{}", name.as_str().unwrap_or_default()));
            }
        }
    }
    Ok(Json(view))
}

fn prefixed(prefix: &str, properties: Map<String, Value>) -> Map<String, Value> {
    properties.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)).collect()
}

pub(super) async fn update(
    Call { core, caller, .. }: Call,
    Path(name): Path<String>,
    Body(body): Body<Value>,
) -> Answer<Json<NamespaceView>> {
    let fields = fields(&checked(body)?);
    Ok(Json(view(metadef::update(&core, &caller, &name, fields).await?, &[])))
}

pub(super) async fn delete(
    Call { core, caller, .. }: Call,
    Path(name): Path<String>,
    _: NoBody,
) -> Answer<StatusCode> {
    metadef::delete(&core, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
