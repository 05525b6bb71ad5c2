//! The access rules of application credentials, as keystonemiddleware enforces them in front of each service.

use axum::http::Method;
use updraft_core::{Caller, Error, Result};

/// (first segment of the path, type in the catalog).
const SERVICES: [(&str, &str); 6] = [
    ("compute", "compute"),
    ("identity", "identity"),
    ("image", "image"),
    ("network", "network"),
    ("placement", "placement"),
    ("v3", "identity"),
];

/// 401 unless the rules of the caller's application credential, if it has any, let the call through. A path counts
/// as the client sends it (`/compute/v2.1/servers`) and as the service alone would see it (`/v2.1/servers`).
pub(super) fn check(caller: &Caller, method: &Method, path: &str) -> Result<()> {
    let rules = caller.application_credential.as_ref().map(|credential| &credential.access_rules);
    let Some(rules) = rules.filter(|rules| !rules.is_empty()) else { return Ok(()) };
    let Some((service, own_path)) = split(path) else { return Err(Error::unauthorized()) };
    // A token can always be validated.
    if service == "identity" && method == Method::GET && own_path == "/v3/auth/tokens" {
        return Ok(());
    }
    let allows = |path: &str| rules.iter().any(|rule| rule.allows(service, method.as_str(), path));
    if allows(own_path) || allows(path) { Ok(()) } else { Err(Error::unauthorized()) }
}

/// The service's type, and the path below its prefix.
fn split(path: &str) -> Option<(&'static str, &str)> {
    let first = path.split('/').nth(1)?;
    let (_, service) = SERVICES.into_iter().find(|(prefix, _)| *prefix == first)?;
    let own_path = if first == "v3" { path } else { path.strip_prefix('/')?.strip_prefix(first)? };
    Some((service, own_path))
}
