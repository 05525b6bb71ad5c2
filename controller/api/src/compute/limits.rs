//! `/limits`

use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::Core;
use updraft_core::compute::quota;
use updraft_wire::compute::limits;

use super::query::{self, Pairs};
use super::version::Version;
use crate::http::{Answer, Call, Form};

pub(super) fn routes() -> Router<Core> {
    Router::new().route("/limits", get(show))
}

async fn show(call: Call, Version(version): Version, Form(pairs): Form<Pairs>) -> Answer<Json<Value>> {
    let project_id = query::value(&pairs, "tenant_id");
    let quotas = quota::get(&call.core, &call.caller, project_id).await?;
    Ok(Json(limits::limits(&quotas, version)))
}
