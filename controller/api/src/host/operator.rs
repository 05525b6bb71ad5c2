//! What `updraft doctor` and `updraft status` ask, with an administrator's token.

use axum::Json;
use updraft_core::host::doctor::{Finding, doctor as examine};
use updraft_core::host::status::{Status, status as look};

use crate::http::{Answer, Call};

/// `GET /host/v1/doctor`: an empty list when all is well.
pub(super) async fn doctor(call: Call) -> Answer<Json<Vec<Finding>>> {
    Ok(Json(examine(&call.core, &call.caller).await?))
}

/// `GET /host/v1/status`
pub(super) async fn status(call: Call) -> Answer<Json<Status>> {
    Ok(Json(look(&call.core, &call.caller).await?))
}
