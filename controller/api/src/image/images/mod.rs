//! `/v2/images`

mod data;
mod import;
mod list;
mod locations;
mod patch;
pub(super) mod query;

pub use data::send;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use updraft_core::image::import::{METHODS, STORE};
use updraft_core::{Caller, image};
use updraft_model::image::{HASH_ALGORITHM, Image};
use updraft_wire::image::patch as json_patch;
use updraft_wire::image::{ImageView, schemas};

use crate::http::{Answer, Body, Call, NoBody};
use crate::routes::{BYTES, Routes, SchemaOf, get, post, put};

const IMPORT_METHODS: HeaderName = HeaderName::from_static("openstack-image-import-methods");
const STORE_IDS: HeaderName = HeaderName::from_static("openstack-image-store-ids");

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/images",
            get(list::list)
                .queries(query::PARAMETERS)
                .post(create)
                .status(201)
                .takes(SchemaOf::json(schemas::image())),
        )
        .route(
            "/images/{image_id}",
            get(show).patch(patch::patch).takes_as(json_patch::V2_1, patch::body()).delete(delete),
        )
        .route(
            "/images/{image_id}/file",
            get(data::download).gives(BYTES).or_status(204).or_status(206).put(data::upload).takes_bytes(),
        )
        .route("/images/{image_id}/stage", put(data::stage).takes_bytes())
        .route("/images/{image_id}/import", post(import::import).status(202).takes(import::body()))
        .route("/images/{image_id}/tasks", get(import::tasks))
        .route(
            "/images/{image_id}/locations",
            get(locations::list).post(locations::add).status(202).takes(locations::body()),
        )
        .route("/images/{image_id}/tags/{tag}", put(add_tag).delete(remove_tag))
        .route("/images/{image_id}/actions/deactivate", post(deactivate))
        .route("/images/{image_id}/actions/reactivate", post(reactivate))
}

/// An image as the API shows it. URLs are relative to the service, as Glance has them.
fn view(caller: &Caller, image: Image) -> ImageView {
    let path = format!("/v2/images/{}", image.id);
    let (data, size) = (image.data.as_ref(), image.size_bytes());
    let sees_stores = image::sees_stores(caller, &image);
    ImageView {
        name: image.name,
        status: image.status.as_str(),
        visibility: image.visibility.as_str(),
        protected: image.protected,
        os_hidden: image.hidden,
        owner: image.owner,
        disk_format: image.disk_format.map(|format| format.as_str()),
        container_format: image.container_format.map(|format| format.as_str()),
        min_disk: image.min_disk_gib,
        min_ram: image.min_ram_mib,
        size,
        virtual_size: data.and_then(|data| data.virtual_size_bytes),
        checksum: data.map(|data| data.md5.clone()),
        os_hash_algo: data.map(|_| HASH_ALGORITHM),
        os_hash_value: data.map(|data| data.sha512.clone()),
        stores: data.filter(|_| sees_stores).map(|_| STORE),
        tags: image.tags.into_iter().collect(),
        created_at: image.created_at.seconds_z(),
        updated_at: image.updated_at.seconds_z(),
        file: format!("{path}/file"),
        this: path,
        schema: "/v2/schemas/image",
        id: image.id,
        properties: image.properties,
    }
}

/// `POST /v2/images`: 201 with the image's URL.
async fn create(
    Call { core, caller, endpoint }: Call,
    Body(fields): Body<BTreeMap<String, Value>>,
) -> Answer<(StatusCode, HeaderMap, Json<ImageView>)> {
    let image = image::create(&core, &caller, fields).await?;
    let mut headers = HeaderMap::new();
    if let Ok(location) = HeaderValue::from_str(&format!("{endpoint}/image/v2/images/{}", image.id)) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(STORE_IDS, HeaderValue::from_static(STORE));
    if let Ok(methods) = HeaderValue::from_str(&METHODS.join(",")) {
        headers.insert(IMPORT_METHODS, methods);
    }
    Ok((StatusCode::CREATED, headers, Json(view(&caller, image))))
}

async fn show(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<Json<ImageView>> {
    Ok(Json(view(&caller, image::get(&core, &caller, &id).await?)))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>, _: NoBody) -> Answer<StatusCode> {
    image::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn add_tag(
    Call { core, caller, .. }: Call,
    Path((id, tag)): Path<(String, String)>,
    _: NoBody,
) -> Answer<StatusCode> {
    image::add_tag(&core, &caller, &id, tag).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_tag(
    Call { core, caller, .. }: Call,
    Path((id, tag)): Path<(String, String)>,
    _: NoBody,
) -> Answer<StatusCode> {
    image::remove_tag(&core, &caller, &id, tag).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn deactivate(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
    _: NoBody,
) -> Answer<StatusCode> {
    image::deactivate(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reactivate(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
    _: NoBody,
) -> Answer<StatusCode> {
    image::reactivate(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
