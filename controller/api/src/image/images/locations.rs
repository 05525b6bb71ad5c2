//! `/v2/images/{id}/locations`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::Error;
use updraft_core::image::location;

use crate::http::{Answer, Body, Call};

pub(super) async fn list(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
) -> Answer<Json<Vec<Value>>> {
    Ok(Json(location::list(&core, &caller, &id).await?))
}

pub(super) async fn add(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<StatusCode> {
    if !body.get("url").is_some_and(Value::is_string) {
        let message = "Provided object does not match schema 'location': 'url' is a required property";
        return Err(Error::bad_request("Invalid", message).into());
    }
    location::add(&core, &caller, &id).await?;
    Ok(StatusCode::ACCEPTED)
}
