//! Granting and revoking roles, on projects, domains and the system.

use updraft_model::Timestamp;
use updraft_model::identity::{Actor, Assignment, Project, Role, Target};
pub use updraft_store::identity::assignment::AssignmentFilter;
use updraft_store::identity::{
    application_credential, assignment, domain, group, project, revocation, role, user,
};
use updraft_store::{Conn, Tx};

use super::{access, checks};
use crate::policy::{self, GroupTarget, ProjectTarget, UserTarget};
use crate::{Caller, Core, Error, Result};

/// What a grant is between, looked up.
#[derive(Default)]
struct Parties {
    user: Option<(String, String)>,
    group: Option<(String, String)>,
    project: Option<Project>,
    domain_id: Option<String>,
    role: Option<Role>,
}

/// Grants the role; nothing when it is held already.
pub async fn grant(core: &Core, caller: &Caller, assignment: Assignment) -> Result<()> {
    let parties = look_up(core, &assignment.actor, &assignment.target, Some(&assignment.role_id)).await?;
    parties.must_exist(&assignment.actor)?;
    parties.enforce(core, caller, rule("create", &assignment.actor, &assignment.target))?;
    parties.check_domain(&assignment)?;
    core.write(move |tx| {
        Box::pin(async move {
            still_there(tx, &assignment).await?;
            Ok(assignment::insert(tx, &assignment).await?)
        })
    })
    .await
}

/// 404 when the holder or the target went since it was looked up: nothing may be left behind on what is gone.
async fn still_there(tx: &mut Tx, assignment: &Assignment) -> Result<()> {
    let holder = match &assignment.actor {
        Actor::User(id) => user::get(tx, id).await?.map(drop).ok_or_else(|| checks::not_found("user", id)),
        Actor::Group(id) => group::get(tx, id).await?.map(drop).ok_or_else(|| checks::not_found("group", id)),
    };
    holder?;
    match &assignment.target {
        Target::Project(id) => {
            project::get(tx, id).await?.map(drop).ok_or_else(|| checks::not_found("project", id))
        }
        Target::Domain(id) => {
            domain::get(tx, id).await?.map(drop).ok_or_else(|| checks::not_found("domain", id))
        }
        Target::System => Ok(()),
    }
}

/// Takes the role away. The holder's tokens for that scope end, whatever else it holds there. The holder itself
/// may be gone.
pub async fn revoke(core: &Core, caller: &Caller, assignment: Assignment) -> Result<()> {
    let parties = look_up(core, &assignment.actor, &assignment.target, Some(&assignment.role_id)).await?;
    parties.enforce(core, caller, rule("revoke", &assignment.actor, &assignment.target))?;
    let now = core.clock.now();
    core.write(move |tx| {
        Box::pin(async move {
            if !assignment::delete(tx, &assignment).await? {
                return Err(not_held(&assignment));
            }
            revoke_holders(tx, &assignment, now).await
        })
    })
    .await
}

/// 404 unless the role is held.
pub async fn check(core: &Core, caller: &Caller, assignment: &Assignment) -> Result<()> {
    let parties = look_up(core, &assignment.actor, &assignment.target, Some(&assignment.role_id)).await?;
    parties.must_exist(&assignment.actor)?;
    parties.enforce(core, caller, rule("check", &assignment.actor, &assignment.target))?;
    match assignment::exists(&mut core.read().await?, assignment).await? {
        true => Ok(()),
        false => Err(not_held(assignment)),
    }
}

/// The roles that `actor` was given on `target`, for itself or with inheritance.
pub async fn roles_on(
    core: &Core,
    caller: &Caller,
    actor: Actor,
    target: Target,
    inherited: bool,
) -> Result<Vec<Role>> {
    let parties = look_up(core, &actor, &target, None).await?;
    parties.must_exist(&actor)?;
    parties.enforce(core, caller, rule("list", &actor, &target))?;
    let mut conn = core.read().await?;
    let (actor, target, inherited) = (Some(actor), Some(target), Some(inherited));
    let filter = AssignmentFilter { actor, target, inherited, role_id: None };
    let held = assignment::list(&mut conn, &filter).await?;
    let mut roles = role::list_all(&mut conn).await?;
    roles.retain(|role| held.iter().any(|held| held.role_id == role.id));
    Ok(roles)
}

/// Grants on the system have rules of their own.
fn rule(verb: &'static str, actor: &Actor, target: &Target) -> &'static str {
    match (verb, target, actor) {
        ("create", Target::System, Actor::User(_)) => "identity:create_system_grant_for_user",
        ("create", Target::System, Actor::Group(_)) => "identity:create_system_grant_for_group",
        ("revoke", Target::System, Actor::User(_)) => "identity:revoke_system_grant_for_user",
        ("revoke", Target::System, Actor::Group(_)) => "identity:revoke_system_grant_for_group",
        ("check", Target::System, Actor::User(_)) => "identity:check_system_grant_for_user",
        ("check", Target::System, Actor::Group(_)) => "identity:check_system_grant_for_group",
        (_, Target::System, Actor::User(_)) => "identity:list_system_grants_for_user",
        (_, Target::System, Actor::Group(_)) => "identity:list_system_grants_for_group",
        ("create", ..) => "identity:create_grant",
        ("revoke", ..) => "identity:revoke_grant",
        ("check", ..) => "identity:check_grant",
        _ => "identity:list_grants",
    }
}

fn not_held(assignment: &Assignment) -> Error {
    Error::not_found(
        "NotFound",
        format!(
            "Could not find role assignment with role: {}, user or group: {}, project, domain, or system: {}.",
            assignment.role_id,
            assignment.actor.id(),
            assignment.target.id()
        ),
    )
}

/// 404 for a role or a target that does not exist.
async fn look_up(core: &Core, actor: &Actor, target: &Target, role_id: Option<&str>) -> Result<Parties> {
    let mut conn = core.read().await?;
    let mut parties = Parties::default();
    if let Some(id) = role_id {
        let found = role::get(&mut conn, id).await?;
        parties.role = Some(found.ok_or_else(|| checks::not_found("role", id))?);
    }
    match actor {
        Actor::User(id) => {
            parties.user = user::get(&mut conn, id).await?.map(|user| (user.id, user.domain_id));
        }
        Actor::Group(id) => {
            parties.group = group::get(&mut conn, id).await?.map(|group| (group.id, group.domain_id));
        }
    }
    match target {
        Target::Project(id) => {
            let found = project::get(&mut conn, id).await?;
            parties.project = Some(found.ok_or_else(|| checks::not_found("project", id))?);
        }
        Target::Domain(id) => {
            let found = domain::get(&mut conn, id).await?;
            parties.domain_id = Some(found.ok_or_else(|| checks::not_found("domain", id))?.id);
        }
        Target::System => {}
    }
    Ok(parties)
}

impl Parties {
    fn must_exist(&self, actor: &Actor) -> Result<()> {
        match actor {
            Actor::User(id) if self.user.is_none() => Err(checks::not_found("user", id)),
            Actor::Group(id) if self.group.is_none() => Err(checks::not_found("group", id)),
            Actor::User(_) | Actor::Group(_) => Ok(()),
        }
    }

    fn enforce(&self, core: &Core, caller: &Caller, rule: &str) -> Result<()> {
        let target = policy::Target {
            user: self.user.as_ref().map(|(id, domain_id)| UserTarget { id, domain_id }),
            group: self.group.as_ref().map(|(id, domain_id)| GroupTarget { id, domain_id }),
            project: self
                .project
                .as_ref()
                .map(|found| ProjectTarget { id: &found.id, domain_id: &found.domain_id }),
            domain: self.domain_id.as_deref(),
            ..access::role(self.role.as_ref())
        };
        access::enforce(core, caller, rule, &target)
    }

    /// A role of a domain is for that domain's projects alone.
    fn check_domain(&self, assignment: &Assignment) -> Result<()> {
        let Some(of_domain) = self.role.as_ref().and_then(|role| role.domain_id.as_ref()) else {
            return Ok(());
        };
        let role_id = &assignment.role_id;
        match (&assignment.target, &self.project) {
            (Target::System, _) => Err(checks::invalid(format!(
                "Role {role_id} is a domain-specific role. Unable to use a domain-specific role in a system assignment."
            ))),
            (_, Some(project)) if project.domain_id != *of_domain => Err(Error::forbidden(format!(
                "Project {} must be in the same domain as the role {role_id} being assigned.",
                project.id
            ))),
            _ => Ok(()),
        }
    }
}

/// Ends the tokens and the application credentials, for the assignment's scope, of whoever held it. What was inherited just counts no more: roles
/// are read at each request.
pub(super) async fn revoke_holders(tx: &mut Tx, assignment: &Assignment, now: Timestamp) -> Result<()> {
    if assignment.inherited {
        return Ok(());
    }
    for user_id in users_of(tx, &assignment.actor).await? {
        revocation::revoke_scope(tx, &user_id, assignment.target.id(), now).await?;
        if let Target::Project(project_id) = &assignment.target {
            application_credential::delete_of_user(tx, &user_id, Some(project_id)).await?;
        }
    }
    Ok(())
}

async fn users_of(conn: &mut Conn, actor: &Actor) -> Result<Vec<String>> {
    match actor {
        Actor::User(id) => Ok(vec![id.clone()]),
        Actor::Group(id) => Ok(group::members(conn, id).await?),
    }
}
