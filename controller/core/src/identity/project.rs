//! Projects: who owns what, in a tree below each domain.

use std::collections::BTreeSet;

use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Domain, Extra, Options, Project, given_options, merge_options};
pub use updraft_store::identity::project::ProjectFilter;
use updraft_store::identity::{domain, project, user};
use updraft_store::{Conn, Tx, leftovers};

use super::domain::{self as domains, DomainChange, NewDomain};
use super::{access, checks, effective};
use crate::policy::{ProjectTarget, Target};
use crate::{Caller, Core, Error, Result};

/// Levels of projects below a domain (Keystone's `max_project_tree_depth`).
pub const MAX_DEPTH: usize = 5;

/// A project to be made.
#[derive(Clone, Debug, Default)]
pub struct NewProject {
    pub name: String,
    /// `None`: the caller's domain.
    pub domain_id: Option<String>,
    /// `None`: at the top of its domain.
    pub parent_id: Option<String>,
    pub description: String,
    pub enabled: bool,
    /// A domain in the shape of a project.
    pub is_domain: bool,
    pub tags: Vec<String>,
    pub options: Options,
    pub extra: Extra,
}

/// What is to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct ProjectChange {
    /// Of `id`, `domain_id`, `parent_id` and `is_domain`, only what they are already.
    pub id: Option<String>,
    pub domain_id: Option<Option<String>>,
    pub parent_id: Option<Option<String>>,
    pub is_domain: Option<bool>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
    pub tags: Option<Vec<String>>,
    pub options: Option<Options>,
    pub extra: Extra,
}

impl ProjectChange {
    fn is_only_options(&self) -> bool {
        self.options.is_some()
            && self.name.is_none()
            && self.description.is_none()
            && self.enabled.is_none()
            && self.tags.is_none()
            && self.extra.is_empty()
    }
}

/// The project, or the domain in the shape of one.
pub(super) async fn find(conn: &mut Conn, id: &str) -> Result<Option<Project>> {
    if let Some(found) = project::get(conn, id).await? {
        return Ok(Some(found));
    }
    Ok(domain::get(conn, id).await?.map(Project::acting_as))
}

/// Makes a project. 409 when its domain has one of that name, 400 when its place in the tree is none.
pub async fn create(core: &Core, caller: &Caller, new: NewProject) -> Result<Project> {
    if new.is_domain {
        return create_domain(core, caller, new).await;
    }
    let named = new.domain_id.clone();
    let target = named.as_deref().map(|domain_id| ProjectTarget { id: "", domain_id });
    let target = Target { project: target, ..Target::default() };
    access::enforce(core, caller, "identity:create_project", &target)?;
    checks::tags(&new.tags)?;
    checks::options(&new.options)?;
    let domain_id = access::domain_of_new(caller, named);
    let project = Project {
        id: new_keystone_id(),
        parent_id: new.parent_id.unwrap_or_else(|| domain_id.clone()),
        domain_id,
        name: checks::name(&new.name, checks::MAX_PROJECT_NAME_CHARS)?,
        description: new.description,
        enabled: new.enabled,
        tags: new.tags,
        options: given_options(new.options),
        extra: new.extra,
        is_domain: false,
        tokens_valid_after: Timestamp(0),
    };
    core.write(move |tx| {
        Box::pin(async move {
            check_place(tx, &project).await?;
            unique(&project, project::insert(tx, &project).await)?;
            Ok(project)
        })
    })
    .await
}

async fn create_domain(core: &Core, caller: &Caller, new: NewProject) -> Result<Project> {
    access::enforce(core, caller, "identity:create_project", &Target::default())?;
    if new.parent_id.is_some() || new.domain_id.is_some() {
        return Err(checks::invalid("only root projects are allowed to act as domains."));
    }
    let NewProject { name, description, enabled, tags, options, extra, .. } = new;
    let new = NewDomain { id: None, name, description, enabled, tags, options, extra };
    Ok(Project::acting_as(domains::create(core, caller, new).await?))
}

/// Keystone's constraints of the tree: parents of the same domain, enabled, and not too deep.
async fn check_place(tx: &mut Tx, project: &Project) -> Result<()> {
    let domain_id = &project.domain_id;
    let not_there = |what: &str, id: &str| checks::invalid(format!("Could not find {what}: {id}."));
    let domain = domain::get(tx, domain_id).await?.ok_or_else(|| not_there("domain", domain_id))?;
    let disabled = |id: &str| {
        checks::invalid(format!("cannot create a project in a branch containing a disabled project: {id}"))
    };
    if !domain.enabled {
        return Err(disabled(&domain.id));
    }
    if project.parent_id == *domain_id {
        return Ok(());
    }
    let parent = find(tx, &project.parent_id).await?;
    let parent = parent.ok_or_else(|| not_there("project", &project.parent_id))?;
    if parent.domain_id != *domain_id {
        return Err(checks::invalid(format!(
            "Cannot create project, since it specifies its domain_id {domain_id}, but specifies a parent in a \
             different domain ({}).",
            parent.domain_id
        )));
    }
    let mut line = project::ancestors(tx, &parent.id).await?;
    line.insert(0, parent.id.clone());
    // The line ends with the domain, which is no level of its own.
    if line.len() > MAX_DEPTH {
        return Err(Error::forbidden(format!("Max hierarchy depth reached for {} branch.", parent.id)));
    }
    let filter = ProjectFilter { ids: Some(line), enabled: Some(false), ..ProjectFilter::default() };
    match project::list(tx, &filter).await?.first() {
        Some(found) => Err(disabled(&found.id)),
        None => Ok(()),
    }
}

fn unique<T>(project: &Project, result: std::result::Result<T, updraft_store::StoreError>) -> Result<T> {
    result.map_err(|error| match error.kind {
        updraft_store::StoreErrorKind::Duplicate => checks::duplicate(
            "project",
            &format!(
                "it is not permitted to have two projects with either the same name or same id in the same domain: \
                 name is {}, project id {}",
                project.name, project.id
            ),
        ),
        _ => error.into(),
    })
}

/// One project, or one domain in the shape of a project.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Project> {
    let found = find(&mut core.read().await?, id).await?;
    access::enforce(core, caller, "identity:get_project", &access::project(found.as_ref()))?;
    found.ok_or_else(|| checks::not_found("project", id))
}

/// All projects that fit the filter; a token for a domain shows those of the domain.
pub async fn list(core: &Core, caller: &Caller, mut filter: ProjectFilter) -> Result<Vec<Project>> {
    access::enforce_list(core, caller, "identity:list_projects")?;
    if let Some(own) = &caller.domain_id {
        if filter.domain_id.as_ref().is_some_and(|asked| asked != own) {
            return Ok(Vec::new());
        }
        filter.domain_id = Some(own.clone());
    }
    Ok(project::list(&mut core.read().await?, &filter).await?)
}

/// All domains in the shape of projects.
pub async fn list_domains(core: &Core, caller: &Caller) -> Result<Vec<Project>> {
    access::enforce_list(core, caller, "identity:list_projects")?;
    if caller.domain_id.is_some() {
        // Their domain_id is null, so a token for a domain shows none of them.
        return Ok(Vec::new());
    }
    let domains: Vec<Domain> = domain::list(&mut core.read().await?, None, None, None).await?;
    Ok(domains.into_iter().map(Project::acting_as).collect())
}

/// Projects that the user holds a role on: the user's own view, or an admin's.
pub async fn list_of_user(core: &Core, caller: &Caller, user_id: &str) -> Result<Vec<Project>> {
    let mut conn = core.read().await?;
    let found = user::get(&mut conn, user_id).await?;
    access::enforce(core, caller, "identity:list_user_projects", &access::user(found.as_ref()))?;
    found.ok_or_else(|| checks::not_found("user", user_id))?;
    let groups = if caller.user_id == user_id { caller.federated_groups.as_slice() } else { &[] };
    with_roles_of(&mut conn, user_id, groups).await
}

/// Where the caller may scope to.
pub async fn list_of_caller(core: &Core, caller: &Caller) -> Result<Vec<Project>> {
    let mut conn = core.read().await?;
    let mut found = with_roles_of(&mut conn, &caller.user_id, &caller.federated_groups).await?;
    found.retain(|project| project.enabled);
    Ok(found)
}

async fn with_roles_of(conn: &mut Conn, user_id: &str, groups: &[String]) -> Result<Vec<Project>> {
    let ids = Some(effective::project_ids_with_groups(conn, user_id, groups).await?);
    Ok(project::list(conn, &ProjectFilter { ids, ..ProjectFilter::default() }).await?)
}

/// Everything above a project, nearest first, the domain in the shape of a project last.
pub async fn ancestors(core: &Core, id: &str) -> Result<Vec<Project>> {
    let mut conn = core.read().await?;
    let mut line = Vec::new();
    for id in project::ancestors(&mut conn, id).await? {
        line.extend(find(&mut conn, &id).await?);
    }
    Ok(line)
}

/// Everything below a project, parents before their children.
pub async fn descendants(core: &Core, id: &str) -> Result<Vec<Project>> {
    Ok(project::descendants(&mut core.read().await?, id).await?)
}

/// Those on which the caller itself holds a role: lists of relatives show no others.
pub async fn held_by(core: &Core, caller: &Caller, mut projects: Vec<Project>) -> Result<Vec<Project>> {
    let mut conn = core.read().await?;
    let mut held: BTreeSet<String> =
        effective::project_ids(&mut conn, &caller.user_id).await?.into_iter().collect();
    held.extend(effective::domain_ids(&mut conn, &caller.user_id).await?);
    projects.retain(|project| held.contains(&project.id));
    Ok(projects)
}

/// Changes a project. Disabling it ends its tokens for good.
pub async fn update(core: &Core, caller: &Caller, id: &str, change: ProjectChange) -> Result<Project> {
    let found = find(&mut core.read().await?, id).await?;
    access::enforce(core, caller, "identity:update_project", &access::project(found.as_ref()))?;
    let found = found.ok_or_else(|| checks::not_found("project", id))?;
    checks::same_id(change.id.as_deref(), id)?;
    if change.is_domain.is_some_and(|asked| asked != found.is_domain) {
        return Err(checks::invalid("Update of `is_domain` is not allowed."));
    }
    if found.is_domain {
        let ProjectChange { name, description, enabled, tags, options, extra, .. } = change;
        let change = DomainChange { name, description, enabled, tags, options, extra };
        return Ok(Project::acting_as(domains::change(core, id, change).await?));
    }
    checks::same_domain(change.domain_id.as_ref().and_then(Option::as_deref), &found.domain_id)?;
    let (id, now) = (id.to_owned(), core.clock.now());
    core.write(move |tx| Box::pin(async move { change_row(tx, &id, change, now).await })).await
}

async fn change_row(tx: &mut Tx, id: &str, change: ProjectChange, now: Timestamp) -> Result<Project> {
    let mut project = project::get(tx, id).await?.ok_or_else(|| checks::not_found("project", id))?;
    let is_all = change.is_only_options();
    checks::may_update("project", id, &project.options, change.options.as_ref(), is_all)?;
    if change.parent_id.flatten().is_some_and(|asked| asked != project.parent_id) {
        return Err(Error::forbidden("Update of `parent_id` is not allowed."));
    }
    match (project.enabled, change.enabled) {
        (true, Some(false)) => {
            if project::descendants(tx, id).await?.iter().any(|below| below.enabled) {
                return Err(Error::forbidden(format!(
                    "Cannot disable project {id} since its subtree contains enabled projects."
                )));
            }
            project.tokens_valid_after = now;
        }
        (false, Some(true)) => {
            for above in project::ancestors(tx, id).await? {
                if find(tx, &above).await?.is_some_and(|above| !above.enabled) {
                    return Err(Error::forbidden(format!(
                        "Cannot enable project {id} since it has disabled parents"
                    )));
                }
            }
        }
        _ => {}
    }
    if let Some(name) = change.name {
        project.name = checks::name(&name, checks::MAX_PROJECT_NAME_CHARS)?;
    }
    if let Some(tags) = change.tags {
        checks::tags(&tags)?;
        project.tags = tags;
    }
    if let Some(options) = change.options {
        checks::options(&options)?;
        merge_options(&mut project.options, options);
    }
    project.description = change.description.unwrap_or(project.description);
    project.enabled = change.enabled.unwrap_or(project.enabled);
    project.extra.extend(change.extra);
    unique(&project, project::update(tx, &project).await)?;
    Ok(project)
}

/// Deletes a project without children, with all that identity holds for it and what other services were told about it
/// ([`forget`]). What was made in it stays, as in OpenStack, until its owners or an operator delete it; the doctor names
/// what is left.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    let found = find(&mut core.read().await?, id).await?;
    access::enforce(core, caller, "identity:delete_project", &access::project(found.as_ref()))?;
    let found = found.ok_or_else(|| checks::not_found("project", id))?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            if found.is_domain {
                return domains::remove(tx, &id).await;
            }
            let project = project::get(tx, &id).await?.ok_or_else(|| checks::not_found("project", &id))?;
            checks::may_delete("project", &id, &project.options)?;
            let children = ProjectFilter { parent_id: Some(id.clone()), ..ProjectFilter::default() };
            if !project::list(tx, &children).await?.is_empty() {
                return Err(Error::forbidden(format!(
                    "Cannot delete the project {id} since it is not a leaf in the hierarchy. Use the cascade option \
                     if you want to delete a whole subtree."
                )));
            }
            forget(tx, &id).await
        })
    })
    .await
}

/// The project goes, and its quotas and unused default security group with it.
pub(super) async fn forget(tx: &mut Tx, id: &str) -> Result<()> {
    leftovers::forget_settings(tx, id).await?;
    project::delete(tx, id).await?;
    Ok(())
}
