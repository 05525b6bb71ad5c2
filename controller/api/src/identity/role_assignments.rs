//! `GET /v3/role_assignments`

use std::collections::BTreeMap;

use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use updraft_core::Core;
use updraft_core::identity::assignment::{self, AssignmentFilter, Names};
use updraft_model::identity::{Actor, Assignment, Target};
use updraft_wire::identity::{AssignmentList, AssignmentView, DomainName, Named, ScopeView};

use super::list_links;
use crate::http::{Answer, Call, Form, flag};

pub(super) fn routes() -> Router<Core> {
    Router::new().route("/role_assignments", get(list))
}

/// `effective` and `include_names` are switches: on when present, unless the value says no.
#[derive(Debug, Deserialize)]
struct ListQuery {
    #[serde(rename = "user.id")]
    user_id: Option<String>,
    #[serde(rename = "group.id")]
    group_id: Option<String>,
    #[serde(rename = "role.id")]
    role_id: Option<String>,
    #[serde(rename = "scope.project.id")]
    project_id: Option<String>,
    #[serde(rename = "scope.domain.id")]
    domain_id: Option<String>,
    #[serde(rename = "scope.system")]
    system: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    effective: Option<bool>,
    #[serde(default, deserialize_with = "flag")]
    include_names: Option<bool>,
}

async fn list(
    Call { core, caller, endpoint }: Call,
    Form(query): Form<ListQuery>,
) -> Answer<Json<AssignmentList>> {
    let links = list_links(&endpoint, "role_assignments");
    // Nobody holds a role on the system here.
    if query.system.is_some() {
        return Ok(Json(AssignmentList { role_assignments: Vec::new(), links }));
    }
    let filter = AssignmentFilter {
        actor: query.user_id.map(Actor::User).or(query.group_id.map(Actor::Group)),
        target: query.project_id.map(Target::Project).or(query.domain_id.map(Target::Domain)),
        role_id: query.role_id,
        inherited: None,
    };
    let found = assignment::list(&core, &caller, &filter, query.effective == Some(true)).await?;
    let names = match query.include_names == Some(true) {
        true => Some(assignment::names(&core).await?),
        false => None,
    };
    let role_assignments = found.into_iter().map(|held| view(&endpoint, held, names.as_ref())).collect();
    Ok(Json(AssignmentList { role_assignments, links }))
}

fn view(endpoint: &str, held: Assignment, names: Option<&Names>) -> AssignmentView {
    let link = link(endpoint, &held);
    let named = |id: String, table: fn(&Names) -> &BTreeMap<String, (String, String)>| {
        let found = names.and_then(|names| table(names).get(&id).map(|found| (names, found)));
        let domain = found.map(|(names, (_, domain_id))| DomainName {
            id: domain_id.clone(),
            name: names.domains.get(domain_id).cloned().unwrap_or_default(),
        });
        Named { name: found.map(|(_, (name, _))| name.clone()), domain, id }
    };
    let plain = |id: String, table: fn(&Names) -> &BTreeMap<String, String>| {
        let name = names.and_then(|names| table(names).get(&id).cloned());
        Named { id, name, domain: None }
    };
    let (user, group) = match held.actor {
        Actor::User(id) => (Some(named(id, |names| &names.users)), None),
        Actor::Group(id) => (None, Some(named(id, |names| &names.groups))),
    };
    let scope = match held.target {
        Target::Project(id) => ScopeView { project: Some(named(id, |names| &names.projects)), domain: None },
        Target::Domain(id) => ScopeView { project: None, domain: Some(plain(id, |names| &names.domains)) },
        Target::System => ScopeView { project: None, domain: None },
    };
    let role = plain(held.role_id, |names| &names.roles);
    AssignmentView { role, user, group, scope, links: BTreeMap::from([("assignment", link)]) }
}

fn link(endpoint: &str, held: &Assignment) -> String {
    let target = match &held.target {
        Target::Project(id) => format!("projects/{id}"),
        Target::Domain(id) => format!("domains/{id}"),
        Target::System => "system".to_owned(),
    };
    let actor = match &held.actor {
        Actor::User(id) => format!("users/{id}"),
        Actor::Group(id) => format!("groups/{id}"),
    };
    format!("{endpoint}/identity/v3/{target}/{actor}/roles/{}", held.role_id)
}
