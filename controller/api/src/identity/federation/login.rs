//! `/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth`, and what its token may scope to.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use updraft_core::identity::federation::login;
use updraft_core::{Core, Error};

use crate::http::{Answer, Call, PublicEndpoint};
use crate::identity::auth;
use crate::routes::{Routes, get};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth",
            get(create).public().status(201).post(create).public().status(201),
        )
        .route(
            "/OS-FEDERATION/projects",
            get(|call: Call| {
                auth::projects_by(call, "identity:list_projects_for_user", "OS-FEDERATION/projects")
            }),
        )
        .route(
            "/OS-FEDERATION/domains",
            get(|call: Call| {
                auth::domains_by(call, "identity:list_domains_for_user", "OS-FEDERATION/domains")
            }),
        )
}

/// The ID token is the bearer token (RFC 6750) of the request; the answer is that of `POST /v3/auth/tokens`.
async fn create(
    State(core): State<Core>,
    PublicEndpoint(endpoint): PublicEndpoint,
    Path((idp_id, protocol_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, id_token) = value.and_then(|value| value.split_once(' ')).ok_or_else(Error::unauthorized)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::unauthorized().into());
    }
    let outcome = login::login(&core, &idp_id, &protocol_id, id_token.trim()).await?;
    auth::outcome_answer(&core, &endpoint, outcome, true).await
}
