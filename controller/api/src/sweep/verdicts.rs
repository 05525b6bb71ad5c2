//! Who may call what: each call of the ledger by each caller of the [`super::world`].

use axum::http::{HeaderValue, StatusCode};

use super::case::Case;
use super::ledger::{self, Line};
use super::world::{CALLERS, World};
use crate::routes::Route;
use crate::test_cloud::{Reply, TestCloud};

/// Whom a line lets in.
fn let_in(line: &Line) -> (Vec<&str>, bool) {
    match line.who.as_deref() {
        Some("public") => (CALLERS.to_vec(), true),
        Some("all") => (CALLERS.to_vec(), false),
        Some(names) => (names.split(' ').filter(|name| !name.is_empty()).collect(), false),
        None => (Vec::new(), false),
    }
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 404)
}

/// What is wrong with an answer to a caller who is let in.
fn wrong(reply: &Reply, line: &Line, route: &Route) -> Option<String> {
    let status = reply.status.as_u16();
    let shape = &route.shape;
    let described = line.status.or(shape.status);
    let expected =
        described == Some(status) || line.status.is_none() && shape.other_statuses.contains(&status);
    (!expected).then(|| {
        let body: String = String::from_utf8_lossy(&reply.bytes).chars().take(300).collect();
        format!("{status} where {described:?} is described: {body}")
    })
}

struct Sweep<'a> {
    world: &'a World,
    cloud: TestCloud,
    cases: usize,
    findings: Vec<String>,
}

impl Sweep<'_> {
    async fn send(&mut self, case: &Case, token: Option<&str>) -> Reply {
        self.cases += 1;
        let reply = self.cloud.send(case.request(token)).await;
        // A change that went through is forgotten: the next caller finds the world as it was made.
        if reply.status.is_success() && !case.method.is_safe() {
            self.cloud = self.world.open().await;
        }
        reply
    }

    /// In a microversion that did not have it yet, or has it no more, a call is not found.
    async fn before_its_time(&mut self, line: &Line, case: &Case) {
        let without = line.since.map(|since| since - 1).into_iter().chain(line.until.map(|until| until + 1));
        for minor in without {
            let mut case = case.clone();
            let version = HeaderValue::try_from(format!("compute 2.{minor}")).unwrap();
            case.headers.insert("openstack-api-version", version);
            let token = self.world.token("admin");
            let reply = self.send(&case, Some(token)).await;
            if reply.status != StatusCode::NOT_FOUND {
                self.findings.push(format!("{} in 2.{minor}: {}", line.call, reply.status));
            }
        }
    }

    async fn line(&mut self, line: &Line, route: &Route) {
        let name = format!("{} {}", line.service, line.call);
        let case = Case::new(line, route, &self.world.alpha, &self.world.alpha);
        let (allowed, is_public) = let_in(line);
        let anonymous = self.send(&case, None).await;
        if is_public != (anonymous.status != StatusCode::UNAUTHORIZED) {
            self.findings.push(format!("{name}: {} without a token", anonymous.status));
        }
        if let Some(problem) = super::shape_of_fault(&case, &anonymous) {
            self.findings.push(format!("{name} without a token: {problem}"));
        }
        self.before_its_time(line, &case).await;
        let mut seen = Vec::new();
        for caller in CALLERS {
            let world = self.world;
            let reply = self.send(&case, Some(world.token(caller))).await;
            // Who names nothing of its own may be told so instead of being refused.
            let lacks = reply.status == StatusCode::BAD_REQUEST && !allowed.contains(&caller);
            if is_refusal(reply.status) || lacks {
                if let Some(problem) = super::shape_of_fault(&case, &reply) {
                    self.findings.push(format!("{name} by {caller}: {problem}"));
                }
                if allowed.contains(&caller) {
                    let body: String = String::from_utf8_lossy(&reply.bytes).chars().take(300).collect();
                    self.findings.push(format!("{name} by {caller}: {} {body}", reply.status));
                }
                continue;
            }
            seen.push(caller);
            if let Some(problem) = wrong(&reply, line, route) {
                self.findings.push(format!("{name} by {caller}: {problem}"));
            }
        }
        if seen != allowed {
            let seen = if seen.len() == CALLERS.len() { "all".to_owned() } else { seen.join(" ") };
            self.findings.push(format!("{name}: who = \"{seen}\""));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_lets_in_whom_the_ledger_says_and_nobody_else() {
    let (routes, lines) = (super::routes(), ledger::read());
    let world = World::shared().await;
    let cloud = world.open().await;
    let mut sweep = Sweep { world: &world, cloud, cases: 0, findings: Vec::new() };
    let mut swept = 0;
    for line in lines.iter().filter(|line| line.is_there() && line.who.is_some()) {
        let route = line.route(&routes).unwrap_or_else(|| panic!("{}: no route", line.call));
        sweep.line(line, route).await;
        swept += 1;
    }
    println!("{swept} calls, {} cases", sweep.cases);
    assert!(sweep.findings.is_empty(), "{} findings\n{}\n", sweep.findings.len(), sweep.findings.join("\n"));
    assert!(swept > 250, "only {swept} calls are swept");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_calls_absent_is_refused_to_everybody() {
    let (routes, lines) = (super::routes(), ledger::read());
    let world = World::shared().await;
    let cloud = world.open().await;
    let mut findings = Vec::new();
    for line in lines.iter().filter(|line| !line.is_there()) {
        let path = line.path();
        // Whatever the parameters are: there is nothing behind them.
        let path = ledger::plain(&path).replace("{}", "1");
        let (path, action) = (path, line.call.split_once('#').map(|(_, action)| action.to_owned()));
        let mut case =
            Case { method: line.method(), path, headers: axum::http::HeaderMap::new(), body: b"{}".to_vec() };
        if let (Some(action), Some(route)) = (action, line.route(&routes)) {
            let named = Line { params: line.params.clone(), ..line.clone() };
            case = Case::new(&named, route, &world.alpha, &world.alpha);
            case.body = format!("{{\"{action}\": null}}").into_bytes();
        }
        case.headers.insert("content-type", "application/json".parse().unwrap());
        let reply = cloud.send(case.request(Some(world.token("admin")))).await;
        if !matches!(reply.status.as_u16(), 403 | 404 | 405 | 410 | 501) {
            findings.push(format!("{} {}: {}", line.service, line.call, reply.status));
        }
        findings
            .extend(super::shape_of_fault(&case, &reply).map(|problem| format!("{}: {problem}", line.call)));
    }
    assert!(findings.is_empty(), "{} findings\n{}\n", findings.len(), findings.join("\n"));
}
