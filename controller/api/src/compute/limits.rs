//! `/limits`

use axum::Json;
use serde_json::Value;
use updraft_core::compute::quota;
use updraft_wire::compute::limits;

use super::query::{self, Holds, Pairs, Parameter};
use super::version::Version;
use crate::http::{Answer, Call, Form};
use crate::routes::{Routes, get};

const QUERY: &[Parameter] =
    &[Parameter::new("tenant_id", Holds::Text), Parameter::between("reserved", 1, 74, Holds::Text)];

pub(super) fn routes() -> Routes {
    Routes::new().route("/limits", get(show))
}

async fn show(call: Call, Version(version): Version, Form(pairs): Form<Pairs>) -> Answer<Json<Value>> {
    let pairs = query::read(pairs, QUERY, version)?;
    let project_id = query::value(&pairs, "tenant_id");
    let quotas = quota::limits(&call.core, &call.caller, project_id).await?;
    Ok(Json(limits::limits(&quotas, version)))
}
