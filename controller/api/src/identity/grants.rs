//! `/v3/{projects,domains}/{id}/{users,groups}/{id}/roles[/{id}]`: who holds which role where.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, routing::MethodRouter};
use updraft_core::Core;
use updraft_core::identity::assignment;
use updraft_model::identity::{Actor, Assignment, Target};
use updraft_wire::identity::RoleList;

use super::roles;
use crate::http::{Answer, Call};

type MakeTarget = fn(String) -> Target;
type MakeActor = fn(String) -> Actor;

pub(super) fn routes() -> Router<Core> {
    let mut router = Router::new();
    let targets: [(&str, MakeTarget); 2] = [("projects", Target::Project), ("domains", Target::Domain)];
    let actors: [(&str, MakeActor); 2] = [("users", Actor::User), ("groups", Actor::Group)];
    for (targets_path, target) in targets {
        for (actors_path, actor) in actors {
            let path = format!("/{targets_path}/{{target_id}}/{actors_path}/{{actor_id}}/roles");
            router = router
                .route(&path, get(move |call, ids| list(call, ids, target, actor)))
                .route(&format!("{path}/{{role_id}}"), one(target, actor));
        }
    }
    router
}

/// `PUT`, `GET`, `HEAD` and `DELETE` of one grant: all 204.
fn one(target: MakeTarget, actor: MakeActor) -> MethodRouter<Core> {
    let assignment = move |Path((target_id, actor_id, role_id)): Path<(String, String, String)>| Assignment {
        actor: actor(actor_id),
        target: target(target_id),
        role_id,
        inherited: false,
    };
    get(async move |call: Call, ids| check(call, assignment(ids)).await)
        .put(async move |call: Call, ids| grant(call, assignment(ids)).await)
        .delete(async move |call: Call, ids| revoke(call, assignment(ids)).await)
}

async fn list(
    Call { core, caller, endpoint }: Call,
    Path((target_id, actor_id)): Path<(String, String)>,
    target: MakeTarget,
    actor: MakeActor,
) -> Answer<Json<RoleList>> {
    let found = assignment::roles_on(&core, &caller, actor(actor_id), target(target_id)).await?;
    Ok(roles::list_view(&endpoint, "roles", found))
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
