use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use updraft_core::{Caller, Core, Error};

use super::fault::Fault;
use super::rate::{Counted, Limiter};
use super::request_id::RequestId;

/// Where clients send their token.
pub const TOKEN_HEADER: &str = "x-auth-token";

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
        let caller = updraft_core::identity::token::authenticate(&core, token, request_id.as_str()).await?;
        updraft_core::audit::identify(&caller);
        if let Some(limiter) = parts.extensions.get::<Arc<Limiter>>() {
            limiter.take(Counted::User(caller.user_id.clone())).map_err(Fault::too_many)?;
            if let Some(project_id) = &caller.project_id {
                limiter.take(Counted::Project(project_id.clone())).map_err(Fault::too_many)?;
            }
        }
        Ok(Self(caller))
    }
}
