use axum::Json;
use axum::extract::{FromRequest, Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use updraft_core::image::{self, Change};
use updraft_core::{Error, ErrorKind};
use updraft_wire::image::patch::{self as json_patch, Operation};

use super::view;
use crate::http::{Answer, Body, Call, Fault};
use crate::routes::SchemaOf;

/// Operations of RFC 6902, of those three kinds, on properties.
pub(super) fn body() -> SchemaOf {
    let operation = json!({
        "type": "object",
        "properties": {
            "op": {"enum": ["add", "replace", "remove"]},
            "path": {"type": "string", "pattern": "^/."},
            "value": {},
        },
        "required": ["op", "path"],
    });
    SchemaOf::json(json!({"type": "array", "items": operation}))
}

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const MEDIA_TYPES: &str =
    "application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch";

/// `PATCH /v2/images/{id}`: 415 for any media type but the two of the image API, whatever the body is, and it says
/// which those are.
pub(super) async fn patch(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
    request: Request,
) -> Answer<Response> {
    let Some(media_type) = media_type(request.headers()) else { return Ok(unsupported()) };
    let Body(body) = Body::<Value>::from_request(request, &()).await?;
    let operations =
        json_patch::parse(media_type, &body).map_err(|problem| Error::bad_request("Invalid", problem))?;
    if operations.is_empty() {
        return Ok(Json(view(&caller, image::get(&core, &caller, &id).await?)).into_response());
    }
    let changes = operations.into_iter().map(|operation| match operation {
        Operation::Add { name, value } => Change::Add { name, value },
        Operation::AddNew { name, value } => Change::AddNew { name, value },
        Operation::Replace { name, value } => Change::Replace { name, value },
        Operation::Remove { name } => Change::Remove { name },
    });
    let image = image::update(&core, &caller, &id, changes.collect()).await?;
    Ok(Json(view(&caller, image)).into_response())
}

fn media_type(headers: &HeaderMap) -> Option<&'static str> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = sent.split(';').next().unwrap_or_default().trim();
    [json_patch::V2_1, json_patch::V2_0].into_iter().find(|known| sent.eq_ignore_ascii_case(known))
}

fn unsupported() -> Response {
    let message = format!("Image PATCH expects Content-Type one of: {MEDIA_TYPES}");
    let error = Error::new(ErrorKind::UnsupportedMediaType, "UnsupportedMediaType", message);
    let mut response = Fault::from(error).into_response();
    response.headers_mut().insert(ACCEPT_PATCH, HeaderValue::from_static(MEDIA_TYPES));
    response
}
