//! Who holds which role where.

use std::collections::{BTreeMap, BTreeSet};

use updraft_model::Timestamp;
use updraft_model::identity::{Actor, Assignment, Role, Target};
pub use updraft_store::identity::assignment::AssignmentFilter;
use updraft_store::identity::project::ProjectFilter;
use updraft_store::identity::user::UserFilter;
use updraft_store::identity::{assignment, domain, group, project, revocation, role, user};
use updraft_store::{Conn, Tx};

use super::checks;
use super::effective::with_implied;
use crate::policy::require_admin;
use crate::{Caller, Core, Result};

/// Grants the role; nothing when it is held already.
pub async fn grant(core: &Core, caller: &Caller, assignment: Assignment) -> Result<()> {
    require_admin(caller)?;
    core.write(move |tx| {
        Box::pin(async move {
            check_parties(tx, &assignment).await?;
            Ok(assignment::insert(tx, &assignment).await?)
        })
    })
    .await
}

/// Takes the role away. The holder's tokens for that scope end, whatever else it holds there.
pub async fn revoke(core: &Core, caller: &Caller, assignment: Assignment) -> Result<()> {
    require_admin(caller)?;
    let now = core.clock.now();
    core.write(move |tx| {
        Box::pin(async move {
            if !assignment::delete(tx, &assignment).await? {
                return Err(checks::not_found("role assignment", &assignment.role_id));
            }
            revoke_holders(tx, &assignment, now).await
        })
    })
    .await
}

/// 404 unless the role is held.
pub async fn check(core: &Core, caller: &Caller, assignment: &Assignment) -> Result<()> {
    require_admin(caller)?;
    if !assignment::exists(&mut core.read().await?, assignment).await? {
        return Err(checks::not_found("role assignment", &assignment.role_id));
    }
    Ok(())
}

/// The roles that `actor` was given on `target` itself.
pub async fn roles_on(core: &Core, caller: &Caller, actor: Actor, target: Target) -> Result<Vec<Role>> {
    require_admin(caller)?;
    let mut conn = core.read().await?;
    let (actor, target, inherited) = (Some(actor), Some(target), Some(false));
    let filter = AssignmentFilter { actor, target, inherited, role_id: None };
    let held: BTreeSet<String> =
        assignment::list(&mut conn, &filter).await?.into_iter().map(|held| held.role_id).collect();
    Ok(role::list_all(&mut conn).await?.into_iter().filter(|role| held.contains(&role.id)).collect())
}

/// Assignments that fit the filter; `effective` replaces groups by their members and adds implied roles.
/// A caller who is no admin sees its own alone.
pub async fn list(
    core: &Core,
    caller: &Caller,
    filter: &AssignmentFilter,
    effective: bool,
) -> Result<Vec<Assignment>> {
    let own = matches!(&filter.actor, Some(Actor::User(id)) if *id == caller.user_id);
    if !own {
        require_admin(caller)?;
    }
    let mut conn = core.read().await?;
    if !effective {
        return Ok(assignment::list(&mut conn, filter).await?);
    }
    let on_target = AssignmentFilter { target: filter.target.clone(), ..AssignmentFilter::default() };
    let mut given: BTreeMap<(Actor, Target), BTreeSet<String>> = BTreeMap::new();
    for held in assignment::list(&mut conn, &on_target).await? {
        for actor in expanded(&mut conn, &held.actor).await? {
            given.entry((actor, held.target.clone())).or_default().insert(held.role_id.clone());
        }
    }
    let implications = role::implications(&mut conn).await?;
    let all = given.into_iter().flat_map(|((actor, target), roles)| {
        let roles = with_implied(roles, &implications).into_iter();
        roles.map(move |role_id| Assignment {
            actor: actor.clone(),
            target: target.clone(),
            role_id,
            inherited: false,
        })
    });
    let fits = |held: &Assignment| {
        filter.actor.as_ref().is_none_or(|actor| *actor == held.actor)
            && filter.role_id.as_ref().is_none_or(|role_id| *role_id == held.role_id)
    };
    Ok(all.filter(fits).collect())
}

async fn expanded(conn: &mut Conn, actor: &Actor) -> Result<Vec<Actor>> {
    match actor {
        Actor::User(_) => Ok(vec![actor.clone()]),
        Actor::Group(id) => Ok(group::members(conn, id).await?.into_iter().map(Actor::User).collect()),
    }
}

/// Ends the tokens, for the assignment's scope, of whoever held it.
pub(super) async fn revoke_holders(tx: &mut Tx, assignment: &Assignment, now: Timestamp) -> Result<()> {
    for actor in expanded(tx, &assignment.actor).await? {
        revocation::revoke_scope(tx, actor.id(), assignment.target.id(), now).await?;
    }
    Ok(())
}

async fn check_parties(conn: &mut Conn, assignment: &Assignment) -> Result<()> {
    let (what, found) = match &assignment.actor {
        Actor::User(id) => ("user", user::get(conn, id).await?.is_some()),
        Actor::Group(id) => ("group", group::get(conn, id).await?.is_some()),
    };
    if !found {
        return Err(checks::not_found(what, assignment.actor.id()));
    }
    let (what, found) = match &assignment.target {
        Target::Project(id) => ("project", project::get(conn, id).await?.is_some()),
        Target::Domain(id) => ("domain", domain::get(conn, id).await?.is_some()),
        Target::System => ("system", true),
    };
    if !found {
        return Err(checks::not_found(what, assignment.target.id()));
    }
    role::get(conn, &assignment.role_id)
        .await?
        .ok_or_else(|| checks::not_found("role", &assignment.role_id))?;
    Ok(())
}

/// Names for the ids in a list of assignments: id to (name, domain id).
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub users: BTreeMap<String, (String, String)>,
    pub groups: BTreeMap<String, (String, String)>,
    pub projects: BTreeMap<String, (String, String)>,
    pub domains: BTreeMap<String, String>,
    pub roles: BTreeMap<String, String>,
}

/// All names that an answer with `include_names` may need. Few enough in a private cloud to read whole.
pub async fn names(core: &Core) -> Result<Names> {
    let mut conn = core.read().await?;
    let users = user::list(&mut conn, &UserFilter::default()).await?;
    let groups = group::list(&mut conn, None, None, None).await?;
    let projects = project::list(&mut conn, &ProjectFilter::default()).await?;
    let domains = domain::list(&mut conn, None, None, None).await?;
    let roles = role::list_all(&mut conn).await?;
    Ok(Names {
        users: users.into_iter().map(|user| (user.id, (user.name, user.domain_id))).collect(),
        groups: groups.into_iter().map(|group| (group.id, (group.name, group.domain_id))).collect(),
        projects: projects
            .into_iter()
            .map(|project| (project.id, (project.name, project.domain_id)))
            .collect(),
        domains: domains.into_iter().map(|domain| (domain.id, domain.name)).collect(),
        roles: roles.into_iter().map(|role| (role.id, role.name)).collect(),
    })
}
