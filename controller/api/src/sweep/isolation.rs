//! Tenants and each other: everybody of `beta` tries alpha's ids in every place where a call takes one, and tries to
//! pass for somebody else in every other way. Nothing of alpha is shown, and nothing of it changes.

use std::collections::BTreeSet;

use axum::http::{HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::case::{Case, fixtures};
use super::ledger::{self, Line};
use super::world::{STRANGERS, Values, World};
use crate::routes::Route;
use crate::test_cloud::{Reply, TestCloud};

/// Ids of others that a body may name: whom to share one's own with.
const MAY_NAME: [(&str, &str); 3] = [
    // Sharing is offering: the other has to accept.
    ("POST /v2/images/{image_id}/members", "spare_project"),
    // So is a trust, which gives away what is the trustor's own.
    ("POST /v3/OS-TRUST/trusts", "reader"),
    // An EC2 credential gives what its user has in the project when it is used: here nothing.
    ("POST /v3/users/{user_id}/credentials/OS-EC2", "projects"),
];

/// Calls whose path may name another's id, for it decides nothing.
const DECIDES_NOTHING: [(&str, &str); 5] = [
    // The same for everybody.
    ("GET /v2.1/os-quota-sets/{tenant_id}/defaults", "os-quota-sets"),
    // The owner of the credential decides, whatever user the path names, as in Keystone: here it is the caller's own.
    ("GET /v3/users/{user_id}/application_credentials/{application_credential_id}", "users"),
    ("DELETE /v3/users/{user_id}/application_credentials/{application_credential_id}", "users"),
    ("GET /v3/users/{user_id}/credentials/OS-EC2/{access}", "users"),
    ("DELETE /v3/users/{user_id}/credentials/OS-EC2/{access}", "users"),
];

/// Filters of lists, with whose ids a stranger tries them.
const FILTERS: [(&str, &str); 13] = [
    ("project_id", "projects"),
    ("tenant_id", "projects"),
    ("owner", "projects"),
    ("domain_id", "domains"),
    ("user_id", "users"),
    ("user.id", "users"),
    ("scope.project.id", "projects"),
    ("trustor_user_id", "users"),
    ("trustee_user_id", "users"),
    ("network_id", "networks"),
    ("device_id", "routers"),
    ("security_group_id", "security-groups"),
    ("id", "networks"),
];

/// Filters that ask a list for what is everybody's.
const FOR_ALL: [&str; 6] = [
    "all_tenants=1",
    "all_tenants=True",
    "all_projects=true",
    "visibility=all",
    "member_status=all",
    "include_subtree=true",
];

/// What policy decides by, as a client might write it.
const INJECTED: [&str; 14] = [
    "target",
    "user_id",
    "project_id",
    "tenant_id",
    "domain_id",
    "owner",
    "is_admin",
    "is_admin_project",
    "roles",
    "creds",
    "system_scope",
    "user",
    "project",
    "trust_id",
];
/// What keystonemiddleware tells a service that stands behind it.
const FORGED: [(&str, &str); 10] = [
    ("x-roles", "admin,service"),
    ("x-role", "admin"),
    ("x-user-id", "$users"),
    ("x-project-id", "$projects"),
    ("x-tenant-id", "$projects"),
    ("x-domain-id", "$domains"),
    ("x-is-admin-project", "True"),
    ("x-identity-status", "Confirmed"),
    ("x-service-roles", "service"),
    ("openstack-system-scope", "all"),
];

/// A fixture that is not the same for both tenants is a tenant's own.
fn is_owned(world: &World, fixture: &str) -> bool {
    world.alpha.get(fixture) != world.beta.get(fixture) && fixture != "token"
}

/// The fixtures that a line's path names, by the parameter's value in the ledger where it has one.
fn in_path(line: &Line, route: &Route) -> BTreeSet<String> {
    let named =
        fixtures(route).into_iter().filter_map(|(parameter, fixture)| match line.params.get(&parameter) {
            Some(given) => given.strip_prefix('$').map(str::to_owned),
            None => Some(fixture),
        });
    named.collect()
}

fn in_body(line: &Line) -> BTreeSet<String> {
    let body = line.body.as_deref().unwrap_or_default();
    let names = body.split("\"$").skip(1).filter_map(|rest| rest.split('"').next());
    names.map(str::to_owned).collect()
}

/// Alpha's ids and names in an answer that the request did not name.
fn leaked(world: &World, case: &Case, reply: &Reply) -> Option<String> {
    let body = String::from_utf8_lossy(&reply.bytes);
    let sent = format!("{} {}", case.path, String::from_utf8_lossy(&case.body));
    let ids = world.alpha.iter().filter(|(name, value)| is_owned(world, name) && value.len() > 8);
    let shown = ids.filter(|(_, value)| body.contains(value.as_str()) && !sent.contains(value.as_str()));
    let shown: Vec<&str> = shown.map(|(name, _)| name.as_str()).collect();
    let named = body.contains("alpha-") && !sent.contains("alpha-");
    (named || !shown.is_empty())
        .then(|| format!("shows of alpha: {shown:?} {}", body.chars().take(300).collect::<String>()))
}

/// Everything of alpha that its administrator can look at.
async fn portrait(
    world: &World,
    cloud: &TestCloud,
    lines: &[Line],
    routes: &[Route],
) -> Vec<(String, u16, Vec<u8>)> {
    let mut seen = Vec::new();
    for line in
        lines.iter().filter(|line| line.is_there() && line.who.is_some() && line.method() == Method::GET)
    {
        let route = line.route(routes).expect("it is there");
        // What operators look at tells of every request.
        if line.service == "host" || !in_path(line, route).iter().any(|fixture| is_owned(world, fixture)) {
            continue;
        }
        let case = Case::new(line, route, &world.alpha, &world.alpha);
        let reply = cloud.send(case.request(Some(world.token("admin")))).await;
        seen.push((line.call.clone(), reply.status.as_u16(), reply.bytes));
    }
    seen
}

/// `values` with one of alpha's in it.
fn with_alphas(world: &World, fixture: &str) -> Values {
    let mut values = world.beta.clone();
    values.insert(fixture.to_owned(), world.alpha[fixture].clone());
    values
}

struct Sweep<'a> {
    world: &'a World,
    cloud: TestCloud,
    cases: usize,
    findings: Vec<String>,
}

impl Sweep<'_> {
    /// The strangers are refused, and learn nothing.
    async fn is_refused(&mut self, name: &str, case: &Case) {
        for caller in STRANGERS {
            let reply = self.cloud.send(case.request(Some(self.world.token(caller)))).await;
            self.cases += 1;
            if !matches!(reply.status.as_u16(), 400 | 401 | 403 | 404 | 405 | 409 | 501) {
                self.findings.push(format!("{name} by {caller}: {}", reply.status));
            }
            let leak = leaked(self.world, case, &reply);
            self.findings.extend(leak.map(|leak| format!("{name} by {caller}: {leak}")));
        }
    }

    async fn line(&mut self, line: &Line, route: &Route) {
        let world = self.world;
        let name = format!("{} {}", line.service, line.call);
        let decides_nothing = |fixture: &str| {
            DECIDES_NOTHING.iter().any(|(call, known)| *call == line.call && *known == fixture)
        };
        let mut owned: Vec<String> =
            in_path(line, route).into_iter().filter(|fixture| is_owned(world, fixture)).collect();
        if !owned.iter().all(|fixture| decides_nothing(fixture)) {
            let case = Case::new(line, route, &world.beta, &world.alpha);
            self.is_refused(&name, &case).await;
        }
        owned.retain(|fixture| !decides_nothing(fixture));
        for fixture in owned {
            let case = Case::new(line, route, &world.beta, &with_alphas(world, &fixture));
            self.is_refused(&format!("{name} with alpha's {fixture}"), &case).await;
        }
        for fixture in in_body(line) {
            let may = MAY_NAME.iter().any(|(call, known)| *call == line.call && *known == fixture);
            if !is_owned(world, &fixture) || may {
                continue;
            }
            let case = Case::new(line, route, &with_alphas(world, &fixture), &world.beta);
            self.is_refused(&format!("{name} with alpha's {fixture} in its body"), &case).await;
        }
        if line.method() == Method::GET {
            self.views(&name, line, route).await;
        }
    }

    /// What strangers see of their own, and when they ask a list for what is alpha's.
    async fn views(&mut self, name: &str, line: &Line, route: &Route) {
        let world = self.world;
        let plain = Case::new(line, route, &world.beta, &world.beta);
        let mut cases = vec![plain.clone()];
        if fixtures(route).is_empty() {
            cases.extend(FILTERS.iter().map(|(key, fixture)| {
                let path = format!("{}?{key}={}", plain.path, world.alpha[*fixture]);
                Case { path, ..plain.clone() }
            }));
            cases.extend(FOR_ALL.map(|filter| {
                let path = format!("{}?{filter}", plain.path);
                Case { path, ..plain.clone() }
            }));
        }
        for case in &cases {
            for caller in STRANGERS {
                let reply = self.cloud.send(case.request(Some(world.token(caller)))).await;
                self.cases += 1;
                let leak = leaked(world, case, &reply);
                self.findings.extend(leak.map(|leak| format!("{name} at {} by {caller}: {leak}", case.path)));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_46_no_call_takes_an_id_of_another_tenant() {
    let (routes, lines) = (super::routes(), ledger::read());
    let world = World::shared().await;
    let cloud = world.open().await;
    let before = portrait(&world, &cloud, &lines, &routes).await;
    let mut sweep = Sweep { world: &world, cloud, cases: 0, findings: Vec::new() };
    for line in lines.iter().filter(|line| line.is_there() && line.who.is_some()) {
        let route = line.route(&routes).expect("it is there");
        if !route.shape.is_public {
            sweep.line(line, route).await;
        }
    }
    let after = portrait(&world, &sweep.cloud, &lines, &routes).await;
    for (old, new) in before.iter().zip(&after) {
        if old != new {
            sweep.findings.push(format!("{} shows something else afterwards", old.0));
        }
    }
    println!("{} cases, {} views of alpha", sweep.cases, before.len());
    assert!(sweep.findings.is_empty(), "{} findings\n{}\n", sweep.findings.len(), sweep.findings.join("\n"));
    assert!(sweep.cases > 1000 && before.len() > 40, "only {} cases, {} views", sweep.cases, before.len());
}

/// The case with what policy decides by written into its body and its query, as if it were all of this tenant.
fn injected(tenant: &Values, case: &Case) -> Vec<Case> {
    let value = |key: &str| -> Value {
        match key {
            "user_id" => tenant["users"].clone().into(),
            "project_id" | "tenant_id" | "owner" => tenant["projects"].clone().into(),
            "domain_id" => tenant["domains"].clone().into(),
            "is_admin" | "is_admin_project" => true.into(),
            "roles" => serde_json::json!(["admin", "manager", "member"]),
            "system_scope" => "all".into(),
            "trust_id" => tenant["trusts"].clone().into(),
            _ => serde_json::json!({"user_id": tenant["users"], "project_id": tenant["projects"],
                                    "domain_id": tenant["domains"], "is_admin": true, "roles": ["admin"]}),
        }
    };
    let mut cases = Vec::new();
    let mut query = case.clone();
    let pairs = INJECTED.iter().map(|key| match value(key) {
        Value::String(text) => format!("{key}={text}"),
        _ => format!("{key}=1"),
    });
    let dotted = format!(
        "target.user.id={0}&target.project.id={1}&target.user_id={0}",
        tenant["users"], tenant["projects"]
    );
    query.path = format!("{}?{}&{dotted}", case.path, pairs.collect::<Vec<_>>().join("&"));
    cases.push(query);
    if let Some(Value::Object(members)) = case.json() {
        for key in INJECTED {
            let mut outside = members.clone();
            outside.entry(key).or_insert_with(|| value(key));
            let mut inside = members.clone();
            for member in inside.values_mut().filter_map(Value::as_object_mut) {
                member.entry(key).or_insert_with(|| value(key));
            }
            for body in [outside, inside] {
                cases.push(Case { body: Value::Object(body).to_string().into_bytes(), ..case.clone() });
            }
        }
    }
    cases
}

fn forged(world: &World, case: &Case) -> Case {
    let mut case = case.clone();
    for (name, value) in FORGED {
        let value = value.strip_prefix('$').map_or(value, |name| &world.alpha[name]);
        case.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    case
}

#[tokio::test(flavor = "multi_thread")]
async fn threats_1_and_7_nothing_a_client_writes_passes_for_what_policy_decides_by() {
    let (routes, lines) = (super::routes(), ledger::read());
    let world = World::shared().await;
    let mut cloud = world.open().await;
    let (mut cases, mut findings) = (0, Vec::new());
    for line in lines.iter().filter(|line| line.is_there() && line.who.is_some()) {
        let route = line.route(&routes).expect("it is there");
        if route.shape.is_public {
            continue;
        }
        let plain = Case::new(line, route, &world.alpha, &world.alpha);
        let mut variants = injected(&world.alpha, &plain);
        variants.push(forged(&world, &plain));
        // To make alpha's things seem the stranger's own.
        let own = injected(&world.beta, &plain);
        let who = line.who.as_deref().unwrap_or_default();
        let tried = variants.iter().map(|variant| (variant, &["", "reader", "other"][..]));
        for (variant, callers) in tried.chain(own.iter().map(|variant| (variant, &["other"][..]))) {
            for &caller in callers {
                if who == "all" || who.split(' ').any(|allowed| allowed == caller) {
                    continue;
                }
                let token = (!caller.is_empty()).then(|| world.token(caller));
                let reply = cloud.send(variant.request(token)).await;
                cases += 1;
                let is_refused = match caller {
                    "" => reply.status.as_u16() == 401,
                    _ => matches!(reply.status.as_u16(), 400 | 401 | 403 | 404),
                };
                if !is_refused {
                    let sent = String::from_utf8_lossy(&variant.body).into_owned();
                    let name = format!("{} {}", variant.method, variant.path);
                    findings.push(format!("{name} {sent} by '{caller}': {}", reply.status));
                    cloud = world.open().await;
                }
                if caller == "other" {
                    let leak = leaked(&world, variant, &reply);
                    findings.extend(leak.map(|leak| format!("{} by {caller}: {leak}", line.call)));
                }
            }
        }
    }
    println!("{cases} cases");
    assert!(findings.is_empty(), "{} findings\n{}\n", findings.len(), findings.join("\n"));
    assert!(cases > 3000, "only {cases} cases");
}
