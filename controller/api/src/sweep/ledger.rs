//! `tests/api/ledger.toml`: every call of the API references, and how far this cloud has it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use axum::http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::routes::Route;

const FILE: &str = "../../tests/api/ledger.toml";

/// Where the paths of a service start.
const PREFIXES: [(&str, &str); 6] = [
    ("cloud", ""),
    ("identity", ""),
    ("image", "/image"),
    ("compute", "/compute"),
    ("network", "/network"),
    ("host", "/host"),
];

/// How far a call is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Done,
    /// There, with something of it left out.
    Partial,
    /// Not routed, or refused whatever is asked.
    Absent,
}

/// One line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// `METHOD /path`, the path below the service's prefix. `#name` at the end is one of the actions of a path.
    pub call: String,
    pub state: State,
    /// What is left out, and why.
    pub why: Option<String>,
    /// The microversion from which on the call is there, and the last that has it (2.x).
    #[serde(default)]
    pub since: Option<u16>,
    #[serde(default)]
    pub until: Option<u16>,
    /// Whom the sweep sees let in, of [`super::world::CALLERS`]; `public` is everybody, `all` everybody with a token.
    pub who: Option<String>,
    /// What those who are let in get in the sweep's world, where that is not the success that is described.
    pub status: Option<u16>,
    /// `path::function` of tests that say more, or everything when there is no `who`.
    #[serde(default)]
    pub tests: Vec<String>,
    /// What the sweep sends: the body, headers, and parameters of the path that are not the fixtures' own.
    pub body: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    #[serde(skip)]
    pub service: &'static str,
}

impl Line {
    pub fn method(&self) -> Method {
        self.call.split(' ').next().and_then(|method| method.parse().ok()).expect("METHOD /path")
    }

    /// The whole path, without the name of an action.
    pub fn path(&self) -> String {
        let path = self.call.split(' ').nth(1).expect("METHOD /path");
        let path = path.split('#').next().unwrap_or(path);
        let (_, prefix) = PREFIXES.iter().find(|(service, _)| *service == self.service).expect("a service");
        match (*prefix, path) {
            ("", path) => path.to_owned(),
            (prefix, "/") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}{path}"),
        }
    }

    pub fn is_there(&self) -> bool {
        self.state != State::Absent
    }

    /// The body, with what it names put in.
    pub fn body_with(&self, values: &BTreeMap<String, String>) -> Option<Value> {
        let body = self.body.as_ref()?;
        let body =
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{}: {error}: {body}", self.call));
        Some(filled(body, values))
    }

    /// The route that serves it.
    pub fn route<'r>(&self, routes: &'r [Route]) -> Option<&'r Route> {
        let (method, path) = (self.method(), plain(&self.path()));
        // HEAD is GET without the body, unless it has a handler of its own.
        let method_matches = |route: &Route| match &route.method {
            None => true,
            Some(known) => *known == method || (method == Method::HEAD && known == Method::GET),
        };
        let exact = |route: &&Route| plain(&route.path) == path && method_matches(route);
        let own = |route: &&Route| exact(route) && route.method.as_ref() == Some(&method);
        let wild = |route: &&Route| {
            let start = route.path.split("{*").next().filter(|start| start.len() < route.path.len());
            start.is_some_and(|start| path.starts_with(&plain(start))) && method_matches(route)
        };
        let like =
            |route: &&Route| self.is_there() && is_like(&route.path, &self.path()) && method_matches(route);
        let found = routes.iter().find(own).or_else(|| routes.iter().find(exact));
        found.or_else(|| routes.iter().find(like)).or_else(|| routes.iter().find(wild))
    }
}

/// Whether a path that says more (`/v2/schemas/task`) is one of a template's (`/v2/schemas/{name}`).
fn is_like(template: &str, path: &str) -> bool {
    let (templates, segments): (Vec<&str>, Vec<&str>) =
        (template.split('/').collect(), path.split('/').collect());
    templates.len() == segments.len()
        && templates.iter().zip(segments).all(|(template, segment)| {
            *template == segment || template.starts_with('{') && (!template.starts_with("{*"))
        })
}

/// A path without the names of its parameters: `/v3/projects/{}`.
pub(super) fn plain(path: &str) -> String {
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| format!("{path}{{}}{}", part.split_once('}').map_or("", |(_, rest)| rest)))
}

/// Every `$name` in a text of `value`, replaced.
pub(super) fn filled(value: Value, values: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('$') {
            Some(name) => values.get(name).unwrap_or_else(|| panic!("no fixture ${name}")).clone().into(),
            None => text.into(),
        },
        Value::Array(items) => items.into_iter().map(|item| filled(item, values)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, filled(value, values))).collect()
        }
        other => other,
    }
}

/// All lines.
pub(super) fn read() -> Vec<Line> {
    let text = std::fs::read_to_string(FILE).unwrap();
    let services: BTreeMap<String, Vec<Line>> =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let mut lines = Vec::new();
    for (service, of_service) in services {
        let (name, _) = PREFIXES
            .iter()
            .find(|(known, _)| *known == service)
            .unwrap_or_else(|| panic!("{service} is no service"));
        lines.extend(of_service.into_iter().map(|line| Line { service: name, ..line }));
    }
    lines
}

/// What lines and routes say of each other that is not so.
pub(super) fn findings(lines: &[Line], routes: &[Route]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    let mut served = BTreeSet::new();
    for line in lines {
        let name = format!("{} {}", line.service, line.call);
        if !seen.insert((line.service, plain(&line.call))) {
            findings.push(format!("{name}: is there twice"));
        }
        let route = line.route(routes);
        if let Some(route) = route {
            served.insert((route.path.clone(), route.method.clone()));
        }
        match (line.state, route) {
            (State::Done | State::Partial, None) => findings.push(format!("{name}: has no route")),
            (State::Done | State::Partial, Some(route)) if route.shape.status.is_none() => {
                findings.push(format!("{name}: {} refuses whatever is asked", route.handler));
            }
            // A path of actions has one handler for all of them: the sweep tells them apart.
            (State::Absent, Some(route)) if route.shape.status.is_some() && !line.call.contains('#') => {
                findings.push(format!("{name}: is routed to {}, which answers", route.handler));
            }
            _ => {}
        }
        if line.state != State::Done && line.why.as_ref().is_none_or(|why| why.len() < 10) {
            findings.push(format!("{name}: say why it is {:?}", line.state));
        }
        if line.is_there() && line.who.is_none() && line.tests.is_empty() {
            findings.push(format!("{name}: has neither `who` for the sweep nor tests"));
        }
        findings.extend(
            line.tests
                .iter()
                .filter(|test| !exists(test))
                .map(|test| format!("{name}: {test} is not there; name a test as path::function")),
        );
    }
    for route in routes {
        if !served.contains(&(route.path.clone(), route.method.clone())) {
            let method = route.method.as_ref().map_or("ANY", Method::as_str);
            findings.push(format!("{method} {}: has no line in tests/api/ledger.toml", route.path));
        }
    }
    findings
}

fn exists(test: &str) -> bool {
    let root = Path::new("../..");
    test.rsplit_once("::").is_some_and(|(path, name)| {
        std::fs::read_to_string(root.join(path)).is_ok_and(|text| text.contains(&format!("fn {name}(")))
    })
}
