use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use updraft_core::identity::token;
use updraft_core::{Caller, Core, Error};

use super::access_rule;
use super::fault::Fault;
use super::rate::{Counted, Limiter};
use super::request_id::RequestId;

/// Where clients send their token.
pub const TOKEN_HEADER: &str = "x-auth-token";
/// Where a service that passes a user's request on sends its own.
const SERVICE_TOKEN_HEADER: &str = "x-service-token";

/// The caller behind the request's token; 401 without a token that is alive.
///
/// Identity comes from the token alone: headers such as `X-Roles` or `X-User-Id` are never read.
#[derive(Clone, Debug)]
pub struct Auth(pub Caller);

impl<S> FromRequestParts<S> for Auth
where
    S: Send + Sync,
    Core: FromRef<S>,
{
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let token = parts.headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok());
        let token = token.ok_or_else(Error::unauthorized)?;
        let request_id = RequestId::of(&parts.extensions);
        let core = Core::from_ref(state);
        let caller = token::authenticate(&core, token, request_id.as_str()).await?;
        updraft_core::audit::identify(&caller);
        if let Some(limiter) = parts.extensions.get::<Arc<Limiter>>() {
            limiter.take(Counted::User(caller.user_id.clone())).map_err(Fault::too_many)?;
            if let Some(project_id) = &caller.project_id {
                limiter.take(Counted::Project(project_id.clone())).map_err(Fault::too_many)?;
            }
        }
        // Inside a nested router the request's own path is cut.
        let path = parts.extensions.get::<OriginalUri>().map_or(parts.uri.path(), |uri| uri.path());
        if let Err(refusal) = access_rule::check(&caller, &parts.method, path)
            && !is_service(&core, parts).await
        {
            return Err(refusal.into());
        }
        Ok(Self(caller))
    }
}

/// Whether a service of the cloud sent the request on: it bears a second token, of the service's own. Access rules
/// are for what users send.
async fn is_service(core: &Core, parts: &Parts) -> bool {
    let token = parts.headers.get(SERVICE_TOKEN_HEADER).and_then(|value| value.to_str().ok());
    let Some(token) = token else { return false };
    let request_id = RequestId::of(&parts.extensions);
    let found = token::authenticate(core, token, request_id.as_str()).await;
    found.is_ok_and(|caller| caller.is_service())
}
