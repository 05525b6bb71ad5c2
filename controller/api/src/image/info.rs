//! What this image service can do and where it keeps data: `/v2/info/*`, `/v2/stores/*`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};
use updraft_core::image::import::{METHODS, STORE};
use updraft_core::image::{self, Usage, location};

use crate::http::{Answer, Call, NoBody};
use crate::routes::{Routes, delete, get};

/// Pieces in which the store hands data out, in bytes.
const CHUNK_BYTES: u64 = 256 << 10;
const DESCRIPTION: &str = "The controller's own disk";

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/info/import", get(import_methods))
        .route("/info/stores", get(stores))
        .route("/info/stores/detail", get(stores_detail))
        .route("/info/usage", get(usage))
        .route("/stores/{store_id}/{image_id}", delete(delete_from_store))
}

async fn import_methods(_call: Call) -> Json<Value> {
    Json(json!({
        "import-methods": {"description": "Import methods available.", "type": "array", "value": METHODS},
    }))
}

async fn stores(_call: Call) -> Json<Value> {
    Json(json!({"stores": [{"id": STORE, "default": "true", "description": DESCRIPTION}]}))
}

/// The store's properties name no path: it is nobody's business but the operator's, who chose it.
async fn stores_detail(Call { caller, .. }: Call) -> Answer<Json<Value>> {
    location::may_see_stores(&caller)?;
    Ok(Json(json!({"stores": [{
        "id": STORE,
        "type": "file",
        "default": "true",
        "description": DESCRIPTION,
        "weight": 0,
        "properties": {"chunk_size": CHUNK_BYTES, "thin_provisioning": true},
    }]})))
}

async fn usage(Call { core, caller, .. }: Call) -> Answer<Json<Value>> {
    let one = |(name, Usage { limit, usage })| (name, json!({"limit": limit, "usage": usage}));
    let usage = image::usage(&core, &caller).await?;
    Ok(Json(json!({"usage": usage.into_iter().map(one).collect::<BTreeMap<_, _>>()})))
}

async fn delete_from_store(
    Call { core, caller, .. }: Call,
    Path((store_id, image_id)): Path<(String, String)>,
    _: NoBody,
) -> Answer<StatusCode> {
    image::delete_from_store(&core, &caller, &store_id, &image_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
