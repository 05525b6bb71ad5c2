//! Who holds which role where: `/v3/{projects,domains}/{id}/{users,groups}/{id}/roles[/{id}]`, the same below
//! `/v3/OS-INHERIT` with `/inherited_to_projects` at the end, and `/v3/system/{users,groups}/{id}/roles[/{id}]`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::identity::assignment;
use updraft_model::identity::{Actor, Assignment, Target};

use super::list::ListCall;
use super::roles;
use crate::http::{Answer, Call};
use crate::routes::{Methods, Routes, get};

type MakeTarget = fn(String) -> Target;
type MakeActor = fn(String) -> Actor;

const ACTORS: [(&str, MakeActor); 2] = [("users", Actor::User), ("groups", Actor::Group)];

pub(super) fn routes() -> Routes {
    let mut router = Routes::new();
    let targets: [(&str, MakeTarget); 2] = [("projects", Target::Project), ("domains", Target::Domain)];
    for (targets_path, target) in targets {
        for (actors_path, actor) in ACTORS {
            let path = format!("/{targets_path}/{{target_id}}/{actors_path}/{{actor_id}}/roles");
            let inherited_path = format!("/OS-INHERIT{path}");
            router = router
                .route(&path, list(target, actor, false))
                .route(&format!("{path}/{{role_id}}"), one(target, actor, false))
                .route(&format!("{inherited_path}/inherited_to_projects"), list(target, actor, true))
                .route(
                    &format!("{inherited_path}/{{role_id}}/inherited_to_projects"),
                    one(target, actor, true),
                );
        }
    }
    for (actors_path, actor) in ACTORS {
        let path = format!("/system/{actors_path}/{{actor_id}}/roles");
        router = router
            .route(&path, list_on_system(actor))
            .route(&format!("{path}/{{role_id}}"), one_on_system(actor));
    }
    router
}

/// `GET` of all grants between the two.
fn list(target: MakeTarget, actor: MakeActor, inherited: bool) -> Methods {
    get(async move |call: Call, list: ListCall, Path((target_id, actor_id)): Path<(String, String)>| {
        listed(call, list, actor(actor_id), target(target_id), inherited).await
    })
}

fn list_on_system(actor: MakeActor) -> Methods {
    get(async move |call: Call, list: ListCall, Path(actor_id): Path<String>| {
        listed(call, list, actor(actor_id), Target::System, false).await
    })
}

/// `PUT`, `GET`, `HEAD` and `DELETE` of one grant: all 204.
fn one(target: MakeTarget, actor: MakeActor, inherited: bool) -> Methods {
    methods(move |(target_id, actor_id, role_id): (String, String, String)| Assignment {
        actor: actor(actor_id),
        target: target(target_id),
        role_id,
        inherited,
    })
}

fn one_on_system(actor: MakeActor) -> Methods {
    methods(move |(actor_id, role_id): (String, String)| Assignment {
        actor: actor(actor_id),
        target: Target::System,
        role_id,
        inherited: false,
    })
}

fn methods<Ids, F>(assignment: F) -> Methods
where
    Ids: serde::de::DeserializeOwned + Send + 'static,
    F: Fn(Ids) -> Assignment + Copy + Send + Sync + 'static,
{
    get(async move |call: Call, Path(ids): Path<Ids>| check(call, assignment(ids)).await)
        .put(async move |call: Call, Path(ids): Path<Ids>| grant(call, assignment(ids)).await)
        .delete(async move |call: Call, Path(ids): Path<Ids>| revoke(call, assignment(ids)).await)
}

async fn listed(
    Call { core, caller, endpoint }: Call,
    list: ListCall,
    actor: Actor,
    target: Target,
    inherited: bool,
) -> Answer<Json<Value>> {
    let path = path_of(&actor, &target, inherited);
    let found = assignment::roles_on(&core, &caller, actor, target, inherited).await?;
    let views = found.into_iter().map(|role| roles::view(&endpoint, role)).collect();
    Ok(list.answer(&endpoint, &path, "roles", &[], views)?)
}

/// Where the grants between the two are listed, below `/v3/`.
fn path_of(actor: &Actor, target: &Target, inherited: bool) -> String {
    let actor = match actor {
        Actor::User(id) => format!("users/{id}"),
        Actor::Group(id) => format!("groups/{id}"),
    };
    let path = match target {
        Target::Project(id) => format!("projects/{id}/{actor}/roles"),
        Target::Domain(id) => format!("domains/{id}/{actor}/roles"),
        Target::System => format!("system/{actor}/roles"),
    };
    if inherited { format!("OS-INHERIT/{path}/inherited_to_projects") } else { path }
}

async fn check(Call { core, caller, .. }: Call, assignment: Assignment) -> Answer<StatusCode> {
    assignment::check(&core, &caller, &assignment).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn grant(Call { core, caller, .. }: Call, assignment: Assignment) -> Answer<StatusCode> {
    assignment::grant(&core, &caller, assignment).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn revoke(Call { core, caller, .. }: Call, assignment: Assignment) -> Answer<StatusCode> {
    assignment::revoke(&core, &caller, assignment).await?;
    Ok(StatusCode::NO_CONTENT)
}
