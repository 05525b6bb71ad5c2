//! `/v2.0/quotas`

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use updraft_core::network::quota;
use updraft_core::{Core, Error};

use super::answer::Names;
use crate::http::{Answer, Body, Call};

const NAMES: Names = Names { one: "quota", many: "quotas" };

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/quotas", get(list))
        .route("/quotas/{id}", get(show).put(update).delete(delete))
        .route("/quotas/{id}/default", get(defaults))
        // Horizon and neutronclient have always sent a suffix here.
        .route("/quotas/{id}/details", get(details))
        .route("/quotas/{id}/details.json", get(details))
}

async fn list(call: Call) -> Answer<Json<Value>> {
    let view = |(project, limits): (String, BTreeMap<String, i64>)| {
        let mut view = json!(limits);
        view["tenant_id"] = project.clone().into();
        view["project_id"] = project.into();
        view
    };
    let quotas = quota::list(&call.core, &call.caller).await?;
    Ok(Json(json!({"quotas": quotas.into_iter().map(view).collect::<Vec<Value>>()})))
}

/// `tenant` and `project` stand for the caller's own.
async fn show(call: Call, Path(id): Path<String>) -> Answer<Json<Value>> {
    if matches!(id.as_str(), "tenant" | "project") {
        let project = call.caller.project_id.as_deref().unwrap_or_default();
        return Ok(Json(json!({"tenant": {"tenant_id": project, "project_id": project}})));
    }
    Ok(Json(json!({"quota": quota::get(&call.core, &call.caller, &id).await?})))
}

async fn defaults(_call: Call, Path(_id): Path<String>) -> Json<Value> {
    Json(json!({"quota": quota::defaults()}))
}

async fn details(call: Call, Path(id): Path<String>) -> Answer<Json<Value>> {
    let usage = quota::usage(&call.core, &call.caller, &id).await?;
    let view = |(resource, usage): (String, quota::Usage)| {
        (resource, json!({"limit": usage.limit, "used": usage.used, "reserved": 0}))
    };
    Ok(Json(json!({"quota": usage.into_iter().map(view).collect::<BTreeMap<String, Value>>()})))
}

async fn update(call: Call, Path(id): Path<String>, Body(body): Body<Value>) -> Answer<Json<Value>> {
    let fields: BTreeMap<String, Value> = NAMES.item(body)?;
    let mut change = BTreeMap::new();
    for (resource, value) in fields {
        // Clients send who asks along with what; `force` and `check_limit` say how, and there is one way.
        if matches!(resource.as_str(), "tenant_id" | "project_id" | "force" | "check_limit") {
            continue;
        }
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        let number = number.ok_or_else(|| {
            let message = format!("Invalid input for {resource}. Reason: '{value}' is not an integer.");
            Error::bad_request("HTTPBadRequest", message)
        })?;
        change.insert(resource, number);
    }
    Ok(Json(json!({"quota": quota::update(&call.core, &call.caller, &id, change).await?})))
}

async fn delete(call: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    quota::reset(&call.core, &call.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
