//! `/v3/roles/{prior_role_id}/implies` and `/v3/role_inferences`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use updraft_core::Core;
use updraft_core::identity::role::{self, Inference};
use updraft_model::identity::Role;
use updraft_wire::identity::{InferenceBody, InferenceList, InferenceView, RoleRef, SelfLink};

use super::self_link;
use crate::http::{Answer, Call};

/// Prior, implied.
type Ids = Path<(String, String)>;

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/roles/{role_id}/implies", get(list))
        .route(
            "/roles/{role_id}/implies/{implied_id}",
            get(show).head(check).put(imply).delete(stop_implying),
        )
        .route("/role_inferences", get(list_all))
}

fn view(endpoint: &str, role: Role) -> RoleRef {
    RoleRef { links: self_link(endpoint, "roles", &role.id), id: role.id, name: role.name }
}

fn inference_view(endpoint: &str, inference: Inference) -> InferenceView<Vec<RoleRef>> {
    InferenceView {
        prior_role: view(endpoint, inference.prior),
        implies: inference.implies.into_iter().map(|role| view(endpoint, role)).collect(),
    }
}

async fn list(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
) -> Answer<Json<InferenceBody<Vec<RoleRef>>>> {
    let inference = role::implied(&core, &caller, &id).await?;
    let links = SelfLink { this: format!("{endpoint}/identity/v3/roles/{id}/implies") };
    Ok(Json(InferenceBody { role_inference: inference_view(&endpoint, inference), links }))
}

/// Here `implies` is one role, not a list.
async fn show(
    Call { core, caller, endpoint }: Call,
    Path((id, implied_id)): Ids,
) -> Answer<Json<InferenceBody<RoleRef>>> {
    let rule = "identity:get_implied_role";
    let (prior, implied) = role::implication(&core, &caller, &id, &implied_id, rule).await?;
    let links = SelfLink { this: format!("{endpoint}/identity/v3/roles/{id}/implies/{implied_id}") };
    let inference = InferenceView { prior_role: view(&endpoint, prior), implies: view(&endpoint, implied) };
    Ok(Json(InferenceBody { role_inference: inference, links }))
}

async fn check(Call { core, caller, .. }: Call, Path((id, implied_id)): Ids) -> Answer<StatusCode> {
    role::implication(&core, &caller, &id, &implied_id, "identity:check_implied_role").await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn imply(
    Call { core, caller, endpoint }: Call,
    Path((id, implied_id)): Ids,
) -> Answer<(StatusCode, Json<InferenceBody<RoleRef>>)> {
    role::imply(&core, &caller, &id, &implied_id).await?;
    let shown = show(Call { core, caller, endpoint }, Path((id, implied_id))).await?;
    Ok((StatusCode::CREATED, shown))
}

async fn stop_implying(Call { core, caller, .. }: Call, Path((id, implied_id)): Ids) -> Answer<StatusCode> {
    role::stop_implying(&core, &caller, &id, &implied_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_all(Call { core, caller, endpoint }: Call) -> Answer<Json<InferenceList>> {
    let found = role::inferences(&core, &caller).await?;
    let role_inferences = found.into_iter().map(|inference| inference_view(&endpoint, inference)).collect();
    Ok(Json(InferenceList { role_inferences }))
}
