//! Calls of identity's API reference that this cloud does not have: 501 in Keystone's words, 401 without a token.

use axum::Router;
use axum::routing::{any, get};
use updraft_core::{Core, Error, ErrorKind};

use crate::http::{Answer, Call};

/// OAuth 1, and SAML in either direction.
const PATHS: [&str; 5] = [
    "/OS-OAUTH1/{*rest}",
    "/users/{user_id}/OS-OAUTH1/{*rest}",
    "/auth/OS-FEDERATION/saml2",
    "/auth/OS-FEDERATION/saml2/ecp",
    "/OS-FEDERATION/saml2/metadata",
];

pub(super) fn routes() -> Router<Core> {
    let router = PATHS.iter().fold(Router::new(), |router, path| router.route(path, any(not_implemented)));
    GONE_PATHS.iter().fold(router, |router, path| router.route(path, get(gone)))
}

/// What Keystone had once: certificates of tokens that were signed, and the list of those that were revoked. Nobody
/// needs a token to be told.
const GONE_PATHS: [&str; 3] =
    ["/OS-SIMPLE-CERT/ca", "/OS-SIMPLE-CERT/certificates", "/auth/tokens/OS-PKI/revoked"];

async fn gone() -> Answer<()> {
    let message = "This API is no longer available due to the removal of support for PKI tokens.";
    Err(Error::new(ErrorKind::Gone, "Gone", message).into())
}

async fn not_implemented(_call: Call) -> Answer<()> {
    let message = "The action you have requested has not been implemented.";
    Err(Error::new(ErrorKind::NotImplemented, "NotImplemented", message).into())
}
