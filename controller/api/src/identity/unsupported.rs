//! Calls of identity's API reference that this cloud does not have: 501 in Keystone's words, 401 without a token.

use axum::Router;
use axum::routing::any;
use updraft_core::{Core, Error, ErrorKind};

use crate::http::{Answer, Call};

/// Configuration of single domains (there is one identity store), OAuth 1, groups of endpoints, and
/// policies of endpoints.
const PATHS: [&str; 10] = [
    "/domains/{domain_id}/config",
    "/domains/{domain_id}/config/{group}",
    "/domains/{domain_id}/config/{group}/{option}",
    "/domains/config/default",
    "/domains/config/{group}/default",
    "/domains/config/{group}/{option}/default",
    "/policies/{policy_id}/OS-ENDPOINT-POLICY/{*rest}",
    "/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy",
    "/OS-OAUTH1/{*rest}",
    "/OS-EP-FILTER/{*rest}",
];

pub(super) fn routes() -> Router<Core> {
    PATHS.iter().fold(Router::new(), |router, path| router.route(path, any(not_implemented)))
}

async fn not_implemented(_call: Call) -> Answer<()> {
    let message = "The action you have requested has not been implemented.";
    Err(Error::new(ErrorKind::NotImplemented, "NotImplemented", message).into())
}
