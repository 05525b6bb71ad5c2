use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use serde_json::Value;
use updraft_core::image::{self, Change};
use updraft_core::{Error, ErrorKind};
use updraft_wire::image::ImageView;
use updraft_wire::image::patch::{self as json_patch, Operation};

use super::view;
use crate::http::{Answer, Body, Call};

/// `PATCH /v2/images/{id}`: 415 for any media type but the two of the image API.
pub(super) async fn patch(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<Value>,
) -> Answer<Json<ImageView>> {
    let media_type = media_type(&headers)?;
    let operations =
        json_patch::parse(media_type, &body).map_err(|problem| Error::bad_request("Invalid", problem))?;
    let changes = operations.into_iter().map(|operation| match operation {
        Operation::Add { name, value } => Change::Add { name, value },
        Operation::AddNew { name, value } => Change::AddNew { name, value },
        Operation::Replace { name, value } => Change::Replace { name, value },
        Operation::Remove { name } => Change::Remove { name },
    });
    Ok(Json(view(image::update(&core, &caller, &id, changes.collect()).await?)))
}

fn media_type(headers: &HeaderMap) -> Result<&'static str, Error> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = sent.split(';').next().unwrap_or_default().trim();
    let known =
        [json_patch::V2_1, json_patch::V2_0].into_iter().find(|known| sent.eq_ignore_ascii_case(known));
    known.ok_or_else(|| {
        let message = format!("Unsupported content type; use {}.", json_patch::V2_1);
        Error::new(ErrorKind::UnsupportedMediaType, "UnsupportedMediaType", message)
    })
}
