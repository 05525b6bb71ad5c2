//! `/v2.0/quotas`

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::network::quota;

use super::answer::Names;
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get};

const NAMES: Names = Names { one: "quota", many: "quotas" };

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/quotas", get(list))
        .route(
            "/quotas/{id}",
            get(show).put(update).takes(NAMES.item_schema::<BTreeMap<String, i64>>()).delete(delete),
        )
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
    let own = call.caller.project_id.as_deref().unwrap_or_default();
    match id.as_str() {
        "tenant" => return Ok(Json(json!({"tenant": {"tenant_id": own}}))),
        "project" => return Ok(Json(json!({"project": {"project_id": own}}))),
        _ => {}
    }
    Ok(Json(json!({"quota": quota::get(&call.core, &call.caller, &id).await?})))
}

async fn defaults(call: Call, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(json!({"quota": quota::defaults_for(&call.caller, &id)?})))
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
    let (mut change, mut force) = (BTreeMap::new(), false);
    for (resource, value) in fields {
        // Clients send who asks along with what; what `check_limit` asks for is so without it.
        if matches!(resource.as_str(), "tenant_id" | "project_id" | "check_limit") {
            continue;
        }
        if resource == "force" {
            force = value == true;
            continue;
        }
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        let number = number.ok_or_else(|| {
            let value = if value.is_null() { "None".to_owned() } else { value.to_string() };
            let value = value.trim_matches('"');
            Error::bad_request(
                "InvalidInput",
                format!("Invalid input for operation: '{value}' is not an integer."),
            )
        })?;
        change.insert(resource, number);
    }
    Ok(Json(json!({"quota": quota::update(&call.core, &call.caller, &id, change, force).await?})))
}

async fn delete(call: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    quota::reset(&call.core, &call.caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
