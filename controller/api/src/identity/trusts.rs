//! `/v3/OS-TRUST/trusts`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::Core;
use updraft_core::identity::trust::{self, NewTrust, Shown, TrustFilter};
use updraft_model::identity::{Role, Trust};
use updraft_wire::identity::{RoleBody, TrustBody, TrustRequest, TrustView};

use super::application_credentials::role_ref;
use super::list::ListCall;
use super::{list_links, roles, self_link};
use crate::http::{Answer, Body, Call};

const PATH: &str = "OS-TRUST/trusts";

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/OS-TRUST/trusts", get(list).post(create))
        .route("/OS-TRUST/trusts/{trust_id}", get(show).delete(delete))
        .route("/OS-TRUST/trusts/{trust_id}/roles", get(list_roles))
        .route("/OS-TRUST/trusts/{trust_id}/roles/{role_id}", get(show_role))
}

fn view(endpoint: &str, trust: Trust, roles: Option<Vec<Role>>) -> TrustView {
    let roles_links = roles.as_ref().map(|_| list_links(endpoint, &format!("{PATH}/{}/roles", trust.id)));
    let shown = |roles: Vec<Role>| roles.into_iter().map(|role| roles::view(endpoint, role)).collect();
    TrustView {
        links: self_link(endpoint, PATH, &trust.id),
        id: trust.id,
        trustor_user_id: trust.trustor_user_id,
        trustee_user_id: trust.trustee_user_id,
        project_id: trust.project_id,
        impersonation: trust.impersonation,
        expires_at: trust.expires_at.map(|at| at.micros_z()),
        deleted_at: None,
        remaining_uses: trust.remaining_uses,
        redelegation_count: trust.redelegation_count,
        redelegated_trust_id: trust.redelegated_trust_id,
        roles: roles.map(shown),
        roles_links,
    }
}

fn body(endpoint: &str, Shown { trust, roles }: Shown) -> Json<TrustBody> {
    Json(TrustBody { trust: view(endpoint, trust, Some(roles)) })
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let filter = TrustFilter {
        trustor_user_id: call.owned("trustor_user_id"),
        trustee_user_id: call.owned("trustee_user_id"),
        redelegated_trust_id: None,
    };
    let found = trust::list(&core, &caller, &filter).await?;
    let views = found.into_iter().map(|trust| view(&endpoint, trust, None)).collect();
    Ok(call.answer(&endpoint, PATH, "trusts", &[], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(TrustRequest { trust: fields }): Body<TrustRequest>,
) -> Answer<(StatusCode, Json<TrustBody>)> {
    let roles = fields.roles.unwrap_or_default().into_iter().map(role_ref).collect::<Result<_, _>>()?;
    let new = NewTrust {
        trustor_user_id: fields.trustor_user_id,
        trustee_user_id: fields.trustee_user_id,
        project_id: fields.project_id.filter(|id| !id.is_empty()),
        impersonation: fields.impersonation,
        expires_at: fields.expires_at,
        remaining_uses: fields.remaining_uses,
        roles,
        allow_redelegation: fields.allow_redelegation.unwrap_or(false),
        redelegation_count: fields.redelegation_count,
    };
    Ok((StatusCode::CREATED, body(&endpoint, trust::create(&core, &caller, new).await?)))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<TrustBody>> {
    Ok(body(&endpoint, trust::get(&core, &caller, &id).await?))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    trust::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_roles(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = trust::list_roles(&core, &caller, &id).await?;
    let views = found.into_iter().map(|role| roles::view(&endpoint, role)).collect();
    Ok(call.answer(&endpoint, &format!("{PATH}/{id}/roles"), "roles", &[], views)?)
}

async fn show_role(
    Call { core, caller, endpoint }: Call,
    Path((id, role_id)): Path<(String, String)>,
) -> Answer<Json<RoleBody>> {
    let role = trust::get_role(&core, &caller, &id, &role_id).await?;
    Ok(Json(RoleBody { role: roles::view(&endpoint, role) }))
}
