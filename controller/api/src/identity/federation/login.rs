//! `/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth`, and what its token may scope to.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::routing::get;
use updraft_core::identity::federation::login;
use updraft_core::{Core, Error};

use crate::http::{Answer, PublicEndpoint};
use crate::identity::auth;

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route(
            "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth",
            get(create).post(create),
        )
        .route("/OS-FEDERATION/projects", get(auth::own_projects))
        .route("/OS-FEDERATION/domains", get(auth::own_domains))
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
