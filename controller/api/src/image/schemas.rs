//! `/v2/schemas`

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::Core;
use updraft_wire::image::{metadef_schemas, schemas};

use crate::http::{Answer, Call, Fault};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/schemas/image", get(async |_: Call| Json(schemas::image())))
        .route("/schemas/images", get(async |_: Call| Json(schemas::images())))
        .route("/schemas/member", get(async |_: Call| Json(schemas::member())))
        .route("/schemas/members", get(async |_: Call| Json(schemas::members())))
        .route("/schemas/{name}", get(async |call: Call, Path(name): Path<String>| other(call, &name)))
        .route(
            "/schemas/metadefs/{name}",
            get(async |call: Call, Path(name): Path<String>| other(call, &format!("metadefs/{name}"))),
        )
}

fn other(_: Call, name: &str) -> Answer<Json<Value>> {
    metadef_schemas::by_name(name).map(Json).ok_or_else(Fault::no_such_path)
}
