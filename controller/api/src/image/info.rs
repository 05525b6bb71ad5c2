//! `/v2/info`: what this deployment offers.

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use updraft_core::Core;

use crate::http::{Answer, Call};

/// The one place where images lie.
pub(super) const STORE: &str = "local";

pub(super) fn routes() -> Router<Core> {
    Router::new().route("/info/import", get(import)).route("/info/stores", get(stores))
}

/// Images are uploaded by `PUT file`; there is no import.
async fn import(_call: Call) -> Answer<Json<Value>> {
    Ok(Json(json!({
        "import-methods": {"description": "Import methods available.", "type": "array", "value": []},
    })))
}

async fn stores(_call: Call) -> Answer<Json<Value>> {
    Ok(Json(
        json!({"stores": [{"id": STORE, "default": "true", "description": "The controller's own disk"}]}),
    ))
}
