//! `GET /v3/OS-REVOKE/events`: what was revoked and still matters, for services that check tokens by themselves.

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use updraft_core::identity::revocation::{self, RevokedTokens};
use updraft_core::{Core, Error};
use updraft_model::Timestamp;

use super::list::ListCall;
use crate::http::{Answer, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new().route("/OS-REVOKE/events", get(list))
}

/// `since` leaves out what was revoked before it.
async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let since = call.get("since").map(|text| {
        Timestamp::parse(text).ok_or_else(|| Error::bad_request("ValidationError", "invalid date format"))
    });
    let found = revocation::list(&core, &caller, since.transpose()?).await?;
    let events: Vec<Value> = found.into_iter().map(view).collect();
    let links =
        json!({"self": format!("{endpoint}/identity/v3/OS-REVOKE/events"), "next": null, "previous": null});
    Ok(Json(json!({"events": events, "links": links})))
}

/// An event names what its tokens have in common, and nothing else.
fn view(revoked: RevokedTokens) -> Value {
    let mut event = Map::from_iter([("issued_before".to_owned(), revoked.issued_before.micros_z().into())]);
    for (name, value) in [
        ("audit_id", revoked.audit_id),
        ("user_id", revoked.user_id),
        ("project_id", revoked.project_id),
        ("domain_id", revoked.domain_id),
    ] {
        event.extend(value.map(|value| (name.to_owned(), value.into())));
    }
    event.into()
}
