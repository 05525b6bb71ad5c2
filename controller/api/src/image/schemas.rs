//! `/v2/schemas`

use axum::routing::get;
use axum::{Json, Router};
use updraft_core::Core;
use updraft_wire::image::schemas;

use crate::http::Call;

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/schemas/image", get(async |_: Call| Json(schemas::image())))
        .route("/schemas/images", get(async |_: Call| Json(schemas::images())))
        .route("/schemas/member", get(async |_: Call| Json(schemas::member())))
        .route("/schemas/members", get(async |_: Call| Json(schemas::members())))
}
