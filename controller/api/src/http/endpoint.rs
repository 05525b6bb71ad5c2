use std::convert::Infallible;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use updraft_core::Core;

/// The URL under which the client reached us, without a slash at the end: the start of every link.
#[derive(Clone, Debug)]
pub struct PublicEndpoint(pub String);

impl<S> FromRequestParts<S> for PublicEndpoint
where
    S: Send + Sync,
    Core: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self(endpoint_of(&Core::from_ref(state), &parts.headers)))
    }
}

/// The configured endpoint; without one, what the proxy in front says, else the host that the client named.
pub fn endpoint_of(core: &Core, headers: &HeaderMap) -> String {
    if let Some(configured) = &core.config.public_endpoint {
        return configured.trim_end_matches('/').to_owned();
    }
    let header = |name: &str| first_value(headers, name);
    let scheme = header("x-forwarded-proto").filter(|scheme| matches!(scheme.as_str(), "http" | "https"));
    let host = header("x-forwarded-host").or_else(|| header(header::HOST.as_str()));
    format!("{}://{}", scheme.as_deref().unwrap_or("http"), host.as_deref().unwrap_or("localhost"))
}

/// The first value of a list header, if it has the characters of a host or a scheme and nothing else: it
/// becomes part of links.
fn first_value(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    (!value.is_empty() && value.bytes().all(plain)).then(|| value.to_owned())
}
