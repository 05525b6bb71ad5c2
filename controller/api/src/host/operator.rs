//! What `updraft doctor`, `status`, `ops` and `why` ask, with an administrator's token.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::audit;
use updraft_core::host::doctor::{Finding, doctor as examine};
use updraft_core::host::enrol::{self, Trusted};
use updraft_core::host::status::{Status, status as look};

use updraft_core::journal::{self, Op, OpsQuery, Story};
use updraft_model::Timestamp;
use updraft_model::audit::AuditQuery;

use crate::http::{Answer, Body, Call, Form, flag};

/// `GET /host/v1/doctor`: an empty list when all is well.
pub(super) async fn doctor(call: Call) -> Answer<Json<Vec<Finding>>> {
    Ok(Json(examine(&call.core, &call.caller).await?))
}

/// `GET /host/v1/status`
pub(super) async fn status(call: Call) -> Answer<Json<Status>> {
    Ok(Json(look(&call.core, &call.caller).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct NewHost {
    name: String,
}

/// `GET /host/v1/hosts`: who is trusted, and who may come for a credential.
pub(super) async fn hosts(call: Call) -> Answer<Json<Vec<Trusted>>> {
    Ok(Json(enrol::list(&call.core, &call.caller).await?))
}

/// `POST /host/v1/hosts` `{"name"}`: 201 with the secret that the host comes with.
pub(super) async fn add_host(call: Call, Body(host): Body<NewHost>) -> Answer<(StatusCode, Json<Value>)> {
    let secret = enrol::add(&call.core, &call.caller, &host.name).await?;
    Ok((StatusCode::CREATED, Json(json!({"name": host.name, "enrolment_secret": secret}))))
}

/// `DELETE /host/v1/hosts/{name}`: 204; the host is trusted no more.
pub(super) async fn revoke_host(call: Call, Path(name): Path<String>) -> Answer<StatusCode> {
    enrol::revoke(&call.core, &call.caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a list may be narrowed to.
#[derive(Debug, Deserialize)]
pub(super) struct Narrowed {
    project: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    failed: Option<bool>,
    /// ISO 8601, with a zone.
    since: Option<String>,
    request: Option<String>,
    subject: Option<String>,
    limit: Option<u32>,
}

impl Narrowed {
    fn since(&self) -> Result<Option<Timestamp>, Error> {
        let wrong = || Error::bad_request("BadTime", "'since' is a time such as 2026-01-02T03:04:05Z.");
        self.since.as_deref().map(|text| Timestamp::parse(text).ok_or_else(wrong)).transpose()
    }
}

/// `GET /host/v1/ops?project=&failed=&since=`: what is under way, and what ended lately.
pub(super) async fn ops(call: Call, Form(query): Form<Narrowed>) -> Answer<Json<Vec<Op>>> {
    let wanted = OpsQuery {
        failed_only: query.failed.unwrap_or(false),
        since: query.since()?,
        project_id: query.project,
    };
    Ok(Json(journal::list(&call.core, &call.caller, &wanted).await?))
}

/// `GET /host/v1/why/{id}`: the story of a server, task, request, or of anything that a request named or made.
pub(super) async fn why(call: Call, Path(id): Path<String>) -> Answer<Json<Story>> {
    Ok(Json(journal::why(&call.core, &call.caller, &id).await?))
}

/// `GET /host/v1/audit?project=&failed=&since=&request=&subject=&limit=`: CADF events, the newest first.
pub(super) async fn audit_events(call: Call, Form(query): Form<Narrowed>) -> Answer<Json<Value>> {
    let wanted = AuditQuery {
        failed_only: query.failed.unwrap_or(false),
        since: query.since()?,
        project_id: query.project,
        request_id: query.request,
        subject: query.subject,
        limit: query.limit,
    };
    let events = audit::list(&call.core, &call.caller, &wanted).await?;
    let documents: Vec<Value> = events.into_iter().map(|event| event.document).collect();
    Ok(Json(json!({ "events": documents })))
}
