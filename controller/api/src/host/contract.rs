//! What agents ask, each with its host's own credential.

use std::time::Duration;

use axum::Json;
use axum::body::Body as StreamBody;
use axum::extract::{FromRef, FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio_util::io::ReaderStream;
use updraft_compute_api::observed::HostObserved;
use updraft_compute_api::path::MAX_WAIT_S;
use updraft_core::host::enrol::Given;
use updraft_core::host::{self, HostCredential};
use updraft_core::{Core, Error};

use crate::http::{Answer, Body, Fault, Form};

/// Bytes of an image that are read at once.
const CHUNK: usize = 1 << 18;

/// The host behind the request's bearer token.
pub(super) struct Host(HostCredential);

impl<S> FromRequestParts<S> for Host
where
    S: Send + Sync,
    Core: FromRef<S>,
{
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        Ok(Self(host::authenticate(&Core::from_ref(state), bearer(&parts.headers)?).await?))
    }
}

impl Host {
    /// 409 before the host's first report: until then nobody knows which host it is.
    fn id(self) -> Result<String, Error> {
        let unknown =
            || Error::conflict("HostUnknown", "Report what is observed first: this host is not known yet.");
        self.0.host_id.ok_or_else(unknown)
    }
}

/// What follows `Bearer `; 401 without.
fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(Error::unauthorized)
}

/// `POST /host/v1/enrolment`, with the secret of `updraft host add` as bearer token: 201, the host's own credential.
pub(super) async fn enrol(State(core): State<Core>, headers: HeaderMap) -> Answer<(StatusCode, Json<Given>)> {
    Ok((StatusCode::CREATED, Json(host::enrol::enrol(&core, bearer(&headers)?).await?)))
}

/// `POST /host/v1/credential`: 201, a credential in place of the one that is shown.
pub(super) async fn rotate(
    State(core): State<Core>,
    Host(credential): Host,
) -> Answer<(StatusCode, Json<Given>)> {
    Ok((StatusCode::CREATED, Json(host::enrol::rotate(&core, credential).await?)))
}

#[derive(Debug, Deserialize)]
pub(super) struct PlanQuery {
    known: Option<u64>,
    #[serde(default)]
    wait_s: u64,
}

/// `GET /host/v1/plan`
pub(super) async fn plan(
    State(core): State<Core>,
    host: Host,
    Form(query): Form<PlanQuery>,
) -> Answer<Response> {
    let host_id = host.id()?;
    let Some(known) = query.known else {
        return Ok(Json(host::plan(&core, &host_id).await?).into_response());
    };
    let wait = Duration::from_secs(query.wait_s.min(MAX_WAIT_S));
    match host::wait_for_plan(&core, &host_id, known, wait).await? {
        Some(plan) => Ok(Json(plan).into_response()),
        None => Ok(StatusCode::NOT_MODIFIED.into_response()),
    }
}

/// `PUT /host/v1/observed`
pub(super) async fn observed(
    State(core): State<Core>,
    Host(credential): Host,
    Body(observed): Body<HostObserved>,
) -> Answer<StatusCode> {
    host::report(&core, credential, observed).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /host/v1/images/{id}/file`: only images of the host's own plan.
pub(super) async fn image(State(core): State<Core>, host: Host, Path(id): Path<String>) -> Answer<Response> {
    let host_id = host.id()?;
    if !host::has_image(&core, &host_id, &id).await? {
        return Err(Error::not_found("ImageNotFound", "No server in this host's plan has this image.").into());
    }
    let image = updraft_core::image::open_for_host(&core, &id).await?;
    let body = StreamBody::from_stream(ReaderStream::with_capacity(image.file, CHUNK));
    let length = HeaderValue::from(image.size_bytes);
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_LENGTH, length), (header::CONTENT_TYPE, kind)], body).into_response())
}
