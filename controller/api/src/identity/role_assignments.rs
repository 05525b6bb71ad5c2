//! `GET /v3/role_assignments`

use std::collections::BTreeMap;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::identity::assignment_list::{self, ListFilter, Listed, Names};
use updraft_core::{Core, Error, Result};
use updraft_model::identity::{Actor, Target};
use updraft_wire::identity::{AssignmentLinks, AssignmentView, DomainName, Named, ScopeView, SystemScope};

use super::list::ListCall;
use crate::http::{Answer, Call};

/// What `scope.OS-INHERIT:inherited_to` may be, and what it is in an answer.
const PROJECTS: &str = "projects";

pub(super) fn routes() -> Router<Core> {
    Router::new().route("/role_assignments", get(list))
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let found = assignment_list::list(&core, &caller, filter(&call)?).await?;
    let names = match call.is_on("include_names") {
        true => Some(assignment_list::names(&core).await?),
        false => None,
    };
    let views = found.into_iter().map(|line| view(&endpoint, line, names.as_ref())).collect();
    Ok(call.answer(&endpoint, "role_assignments", "role_assignments", &[], views)?)
}

fn filter(call: &ListCall) -> Result<ListFilter> {
    // A filter without a value is none.
    let given = |name: &str| call.owned(name).filter(|value| !value.is_empty());
    let (user, group) = (given("user.id"), given("group.id"));
    let (project, domain) = (given("scope.project.id"), given("scope.domain.id"));
    let system = given("scope.system");
    let both = |what: &str| Error::bad_request("ValidationError", format!("Specify {what}, not both"));
    if user.is_some() && group.is_some() {
        return Err(both("a user or group"));
    }
    if domain.is_some() && project.is_some() {
        return Err(both("a domain or project"));
    }
    if system.is_some() && (domain.is_some() || project.is_some()) {
        return Err(both(if domain.is_some() { "system or domain" } else { "system or project" }));
    }
    let on_system = system.map(|_| Target::System);
    Ok(ListFilter {
        actor: user.map(Actor::User).or(group.map(Actor::Group)),
        target: project.map(Target::Project).or(domain.map(Target::Domain)).or(on_system),
        role_id: given("role.id"),
        inherited: call.get("scope.OS-INHERIT:inherited_to").map(|value| value == PROJECTS),
        include_subtree: call.is_on("include_subtree"),
        effective: call.is_on("effective"),
    })
}

fn view(endpoint: &str, line: Listed, names: Option<&Names>) -> AssignmentView {
    let links = links(endpoint, &line);
    let domain = |id: &str| {
        let name = names.and_then(|names| names.domains.get(id).cloned()).unwrap_or_default();
        DomainName { id: id.to_owned(), name }
    };
    let named = |id: String, table: fn(&Names) -> &BTreeMap<String, (String, String)>| {
        let found = names.and_then(|names| table(names).get(&id));
        Named {
            name: found.map(|(name, _)| name.clone()),
            domain: found.map(|(_, domain_id)| domain(domain_id)),
            id,
        }
    };
    let is_inherited = line.inherited || line.from_target.is_some();
    let mut scope = ScopeView { inherited_to: is_inherited.then_some(PROJECTS), ..ScopeView::default() };
    match line.target {
        Target::Project(id) => scope.project = Some(named(id, |names| &names.projects)),
        Target::Domain(id) => {
            let name = names.and_then(|names| names.domains.get(&id).cloned());
            scope.domain = Some(Named { id, name, domain: None });
        }
        Target::System => scope.system = Some(SystemScope { all: true }),
    }
    let (user, group) = match line.actor {
        Actor::User(id) => (Some(named(id, |names| &names.users)), None),
        Actor::Group(id) => (None, Some(named(id, |names| &names.groups))),
    };
    let found = names.and_then(|names| names.roles.get(&line.role_id));
    let role = Named {
        id: line.role_id,
        name: found.map(|(name, _)| name.clone()),
        domain: found.and_then(|(_, domain_id)| domain_id.as_deref()).map(domain),
    };
    AssignmentView { role, user, group, scope, links }
}

/// Links to what gives the role: the grant, the membership, the implication.
fn links(endpoint: &str, line: &Listed) -> AssignmentLinks {
    let base = format!("{endpoint}/identity/v3");
    let given_on = line.from_target.as_ref().unwrap_or(&line.target);
    let target = match given_on {
        Target::Project(id) => format!("/projects/{id}"),
        Target::Domain(id) => format!("/domains/{id}"),
        Target::System => "/system".to_owned(),
    };
    let actor = match (&line.through_group, &line.actor) {
        (Some(id), _) | (None, Actor::Group(id)) => format!("/groups/{id}"),
        (None, Actor::User(id)) => format!("/users/{id}"),
    };
    let given_role = line.prior_role_id.as_ref().unwrap_or(&line.role_id);
    let grant = format!("{target}{actor}/roles/{given_role}");
    let is_inherited = line.inherited || line.from_target.is_some();
    AssignmentLinks {
        assignment: match is_inherited {
            true => format!("{base}/OS-INHERIT{grant}/inherited_to_projects"),
            false => format!("{base}{grant}"),
        },
        membership: line
            .through_group
            .as_ref()
            .map(|group_id| format!("{base}/groups/{group_id}/users/{}", line.actor.id())),
        // As Keystone has it, with the two roles in this order.
        prior_role: line
            .prior_role_id
            .as_ref()
            .map(|prior| format!("{base}/prior_role/{}/implies/{prior}", line.role_id)),
    }
}
