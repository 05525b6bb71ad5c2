use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may keep the answer of a preflight.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// What scripts of the allowed origins may send.
const REQUEST_HEADERS: [&str; 15] = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "openstack-api-version",
    "openstack-auth-receipt",
    "range",
    "x-auth-token",
    "x-image-meta-store",
    "x-openstack-nova-api-version",
    "x-openstack-request-id",
    "x-service-token",
    "x-subject-token",
    "x-requested-with",
];

/// What scripts of the allowed origins may read, besides what browsers let all of them read.
const ANSWER_HEADERS: [&str; 16] = [
    "content-range",
    "etag",
    "location",
    "openstack-api-version",
    "openstack-auth-receipt",
    "openstack-image-import-methods",
    "openstack-image-store-ids",
    "retry-after",
    "www-authenticate",
    "x-compute-request-id",
    "x-image-meta-status",
    "x-openstack-nova-api-version",
    "x-openstack-request-id",
    "x-service-token",
    "x-subject-token",
    "idempotency-replayed",
];

/// Cross-origin requests from the configured origins; without any, no browser is let in from elsewhere. Cookies are
/// never used, so none are allowed.
pub(super) fn layer(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods(methods)
        .allow_headers(REQUEST_HEADERS.map(HeaderName::from_static))
        .expose_headers(ANSWER_HEADERS.map(HeaderName::from_static))
        .max_age(MAX_AGE);
    Some(cors)
}
