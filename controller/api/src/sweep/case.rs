//! One request of a sweep: a line of the ledger, with everything that it names filled in.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use serde_json::Value;

use super::ledger::Line;
use super::world::Values;
use crate::routes::{Content, Route};

/// The newest microversion that compute offers.
const NEWEST: u16 = updraft_wire::compute::Microversion::MAX.0;

/// A request that can be sent more than once.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// The name of the fixture behind each parameter of a path: that of the collection in front of it.
pub(super) fn fixtures(route: &Route) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut before = "";
    for segment in route.path.split('/') {
        match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => found.push((name.to_owned(), before.to_owned())),
            None => before = segment,
        }
    }
    found
}

impl Case {
    /// The request of `line` on the things of `values`; `path_values` are those that the path names.
    pub fn new(line: &Line, route: &Route, values: &Values, path_values: &Values) -> Self {
        let mut path = route.path.clone();
        let line_path = line.path();
        let said: Vec<&str> = line_path.split('/').collect();
        for parameter in line.params.keys() {
            assert!(path.contains(&format!("{{{parameter}}}")), "{}: {path} has no {parameter}", line.call);
        }
        for (parameter, fixture) in fixtures(route) {
            let place = route.path.split('/').position(|segment| segment == format!("{{{parameter}}}"));
            let literal = place.and_then(|place| said.get(place)).filter(|segment| !segment.starts_with('{'));
            if let Some(literal) = literal {
                path = path.replacen(&format!("{{{parameter}}}"), literal, 1);
                continue;
            }
            let value = match line.params.get(&parameter) {
                Some(given) => match given.strip_prefix('$') {
                    Some(name) => value(line, path_values, name),
                    None => given.clone(),
                },
                None => value(line, path_values, &fixture),
            };
            path = path.replacen(&format!("{{{parameter}}}"), &escaped(&value), 1);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &line.headers {
            let value = value.strip_prefix('$').map_or(value, |name| &values[name]);
            headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        if line.service == "compute" {
            let minor = line.until.unwrap_or(NEWEST);
            headers.insert(
                "openstack-api-version",
                HeaderValue::try_from(format!("compute 2.{minor}")).unwrap(),
            );
        }
        let (media_type, body) = match (&route.shape.body, line.body_with(values)) {
            (Some(Content::Json(media_type, _)), Some(body)) => (*media_type, body.to_string().into_bytes()),
            (_, Some(body)) => ("application/json", body.to_string().into_bytes()),
            (Some(Content::Bytes), None) => ("application/octet-stream", vec![7; 1 << 16]),
            (_, None) => ("", Vec::new()),
        };
        if !media_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        Self { method: line.method(), path, headers, body }
    }

    pub fn request(&self, token: Option<&str>) -> Request<Body> {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.path);
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.clone());
            headers.insert(header::HOST, HeaderValue::from_static("cloud.test"));
            if let Some(token) = token {
                headers.insert("x-auth-token", HeaderValue::from_str(token).unwrap());
            }
        }
        request.body(Body::from(self.body.clone())).unwrap()
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

fn value(line: &Line, values: &Values, name: &str) -> String {
    values.get(name).unwrap_or_else(|| panic!("{} {}: no fixture ${name}", line.service, line.call)).clone()
}

/// What may not stand in a segment of a path as it is.
fn escaped(value: &str) -> String {
    value.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~:@$".contains(&b) => escaped.push(char::from(b)),
            b => escaped.push_str(&format!("%{b:02X}")),
        }
        escaped
    })
}
