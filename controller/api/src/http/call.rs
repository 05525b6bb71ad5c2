use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use updraft_core::{Caller, Core};

use super::auth::Auth;
use super::endpoint::endpoint_of;
use super::fault::Fault;

/// What nearly every handler needs: who calls, the use cases, and the start of links.
#[derive(Clone, Debug)]
pub struct Call {
    pub core: Core,
    pub caller: Caller,
    /// The URL under which the client reached us, without a slash at the end.
    pub endpoint: String,
}

impl<S> FromRequestParts<S> for Call
where
    S: Send + Sync,
    Core: FromRef<S>,
{
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let Auth(caller) = Auth::from_request_parts(parts, state).await?;
        let core = Core::from_ref(state);
        let endpoint = endpoint_of(&core, &parts.headers);
        Ok(Self { core, caller, endpoint })
    }
}
