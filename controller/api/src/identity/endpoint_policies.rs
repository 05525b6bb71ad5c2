//! `/v3/policies/{policy_id}/OS-ENDPOINT-POLICY` and `/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::Value;
use updraft_core::Core;
use updraft_core::identity::endpoint_policy;
use updraft_model::identity::PolicyPlace;
use updraft_wire::identity::PolicyBody;

use super::list::ListCall;
use super::{endpoints, policies};
use crate::http::{Answer, Call};

pub(super) fn routes() -> Router<Core> {
    let of_policy = "/policies/{policy_id}/OS-ENDPOINT-POLICY";
    let one_endpoint = place(|(policy_id, id): (String, String)| (policy_id, PolicyPlace::Endpoint(id)));
    let one_service = place(|(policy_id, id): (String, String)| (policy_id, PolicyPlace::Service(id)));
    let one_region = place(|(policy_id, service_id, region_id): (String, String, String)| {
        (policy_id, PolicyPlace::Region { service_id, region_id })
    });
    Router::new()
        .route(&format!("{of_policy}/endpoints"), get(list))
        .route(&format!("{of_policy}/endpoints/{{endpoint_id}}"), one_endpoint)
        .route(&format!("{of_policy}/services/{{service_id}}"), one_service)
        .route(&format!("{of_policy}/services/{{service_id}}/regions/{{region_id}}"), one_region)
        .route("/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", get(show))
}

/// `PUT`, `GET`, `HEAD` and `DELETE` of one association: all 204.
fn place<Ids, F>(of: F) -> MethodRouter<Core>
where
    Ids: DeserializeOwned + Send + 'static,
    F: Fn(Ids) -> (String, PolicyPlace) + Copy + Send + Sync + 'static,
{
    get(move |call: Call, Path(ids): Path<Ids>| check(call, of(ids)))
        .put(move |call: Call, Path(ids): Path<Ids>| associate(call, of(ids)))
        .delete(move |call: Call, Path(ids): Path<Ids>| dissociate(call, of(ids)))
}

async fn check(
    Call { core, caller, .. }: Call,
    (policy_id, place): (String, PolicyPlace),
) -> Answer<StatusCode> {
    endpoint_policy::check(&core, &caller, &policy_id, &place).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn associate(
    Call { core, caller, .. }: Call,
    (policy_id, place): (String, PolicyPlace),
) -> Answer<StatusCode> {
    endpoint_policy::associate(&core, &caller, &policy_id, place).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn dissociate(
    Call { core, caller, .. }: Call,
    (policy_id, place): (String, PolicyPlace),
) -> Answer<StatusCode> {
    endpoint_policy::dissociate(&core, &caller, &policy_id, place).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list(
    Call { core, caller, endpoint }: Call,
    Path(policy_id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = endpoint_policy::endpoints_of(&core, &caller, &policy_id).await?;
    let views = found.into_iter().map(|found| endpoints::view(&endpoint, found)).collect();
    let path = format!("policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints");
    Ok(call.answer(&endpoint, &path, "endpoints", &[], views)?)
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<PolicyBody>> {
    let policy = endpoint_policy::policy_of(&core, &caller, &id).await?;
    Ok(Json(PolicyBody { policy: policies::view(&endpoint, policy) }))
}
