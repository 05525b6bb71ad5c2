//! Version documents: the first thing that every client asks for, so they come from memory.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::json_home;
use crate::http::PublicEndpoint;

const JSON_HOME: &str = "application/json-home";
/// As every answer of Keystone says.
const VARY: &str = "X-Auth-Token";

/// `GET /` and `GET /identity`: 300 with the one version there is, or what is below it as a JSON Home document.
pub async fn versions(PublicEndpoint(endpoint): PublicEndpoint, headers: HeaderMap) -> Response {
    if wants_json_home(&headers) {
        return home("/v3");
    }
    let versions = json!({"versions": {"values": [document(&endpoint)]}});
    let location = format!("{endpoint}/identity/v3/");
    let headers = [(header::LOCATION, location), (header::VARY, VARY.to_owned())];
    (StatusCode::MULTIPLE_CHOICES, headers, Json(versions)).into_response()
}

/// `GET /v3`: 200.
pub async fn version(PublicEndpoint(endpoint): PublicEndpoint, headers: HeaderMap) -> Response {
    if wants_json_home(&headers) {
        return home("");
    }
    Json(json!({"version": document(&endpoint)})).into_response()
}

/// Named, and at least as welcome as plain JSON.
fn wants_json_home(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let quality = |wanted: &str| {
        accept
            .split(',')
            .filter(|range| range.split(';').next().map(str::trim) == Some(wanted))
            .map(weight)
            .max()
    };
    match (quality(JSON_HOME), quality("application/json")) {
        (Some(home), Some(json)) => home > json,
        (home, _) => home.is_some_and(|weight| weight > 0),
    }
}

/// The `q` of a media range in thousandths (RFC 9110, section 12.4.2).
fn weight(range: &str) -> u32 {
    let q = range.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    let Some(q) = q else { return 1000 };
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u32>().unwrap_or(0).min(1) * 1000 + fraction.parse::<u32>().unwrap_or(0)
}

fn home(prefix: &str) -> Response {
    let json_home = [(header::CONTENT_TYPE, JSON_HOME), (header::VARY, VARY)];
    (json_home, json_home::document(prefix).to_string()).into_response()
}

fn document(endpoint: &str) -> Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{endpoint}/identity/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::wants_json_home;

    #[test]
    fn json_home_is_for_those_who_ask() {
        for (accept, expected) in [
            ("*/*", false),
            ("application/json", false),
            ("application/json-home", true),
            ("application/json-home;q=0.5, application/json;q=0.2", true),
            ("application/json-home;q=0.1, application/json", false),
            ("application/json-home;q=0", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(wants_json_home(&headers), expected, "{accept}");
        }
    }
}
