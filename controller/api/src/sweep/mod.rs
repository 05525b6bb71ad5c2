//! Sweeps: what every call of the API has to hold to, tried on every call. The routes come from the router, what to
//! send from the ledger, and what is named from a [`world`] of two tenants.

mod case;
mod fuzz;
mod isolation;
mod ledger;
mod verdicts;
mod world;
mod world_network;

use axum::http::Method;
use serde_json::Value;

use crate::routes::Route;
use crate::test_cloud::Reply;

use case::Case;

fn routes() -> Vec<Route> {
    crate::services(None).list()
}

#[test]
fn the_ledger_has_every_call_and_says_what_is_so() {
    let findings = ledger::findings(&ledger::read(), &routes());
    assert!(findings.is_empty(), "{} findings\n{}\n", findings.len(), findings.join("\n"));
}

#[test]
fn a_route_says_by_its_handler_or_beside_it_whether_it_needs_a_token() {
    use crate::routes::Proof;
    let findings: Vec<String> = routes()
        .iter()
        .filter(|route| (route.shape.proof == Proof::Nothing) != route.shape.is_public)
        .map(|route| format!("{} {}", route.path, route.handler))
        .collect();
    assert!(
        findings.is_empty(),
        "`.public()` and no token in the signature go together\n{}",
        findings.join("\n")
    );
}

/// What is wrong with a fault: each service has its own shape for them, and each has the request's id.
fn shape_of_fault(case: &Case, reply: &Reply) -> Option<String> {
    let status = reply.status.as_u16();
    if status < 400 {
        return None;
    }
    if !reply.header("x-openstack-request-id").starts_with("req-") {
        return Some(format!("{status} without a request id"));
    }
    if case.method == Method::HEAD {
        return None;
    }
    let body = reply.json();
    let has = |pointer: &str| body.pointer(pointer).is_some_and(Value::is_string);
    let is_code = |pointer: &str| body.pointer(pointer).and_then(Value::as_u64) == Some(status.into());
    let is_its_own = match case.path.split('/').nth(1).unwrap_or_default() {
        "image" => String::from_utf8_lossy(&reply.bytes).contains(&format!("<h1>{status} ")),
        "compute" => {
            body.as_object().is_some_and(|members| members.len() == 1) && {
                let fault =
                    body.as_object().and_then(|members| members.values().next()).cloned().unwrap_or_default();
                fault["code"] == status && fault["message"].is_string()
            }
        }
        "network" => has("/NeutronError/type") && has("/NeutronError/message") && has("/NeutronError/detail"),
        "host" => has("/error/code") && has("/error/message"),
        _ => is_code("/error/code") && has("/error/message") && has("/error/title"),
    };
    let shown = || String::from_utf8_lossy(&reply.bytes).chars().take(200).collect::<String>();
    (!is_its_own).then(|| format!("{status} is not in the service's shape: {}", shown()))
}
