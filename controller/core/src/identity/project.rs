//! Projects: who owns what.

use updraft_model::id::new_keystone_id;
use updraft_model::identity::{DEFAULT_DOMAIN_ID, Project, Target};
use updraft_store::Conn;
use updraft_store::identity::domain;
use updraft_store::identity::project;
pub use updraft_store::identity::project::ProjectFilter;

use super::{checks, effective};
use crate::policy::require_admin;
use crate::{Caller, Core, Error, Result};

/// A project to be made.
#[derive(Clone, Debug)]
pub struct NewProject {
    pub name: String,
    /// `None`: the caller's domain.
    pub domain_id: Option<String>,
    /// `None`: at the top of its domain.
    pub parent_id: Option<String>,
    pub description: String,
    pub enabled: bool,
    pub tags: Vec<String>,
}

/// What is to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct ProjectChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
    pub tags: Option<Vec<String>>,
}

/// Makes a project. 409 when its domain has one of that name.
pub async fn create(core: &Core, caller: &Caller, new: NewProject) -> Result<Project> {
    require_admin(caller)?;
    checks::name(&new.name)?;
    let domain_id =
        new.domain_id.or_else(|| caller.domain_id.clone()).unwrap_or_else(|| DEFAULT_DOMAIN_ID.into());
    let project = Project {
        id: new_keystone_id(),
        parent_id: new.parent_id.unwrap_or_else(|| domain_id.clone()),
        domain_id,
        name: new.name,
        description: new.description,
        enabled: new.enabled,
        tags: new.tags,
        tokens_valid_after: updraft_model::Timestamp(0),
    };
    core.write(move |tx| {
        Box::pin(async move {
            if domain::get(tx, &project.domain_id).await?.is_none() {
                return Err(checks::not_found("domain", &project.domain_id));
            }
            let at_top = project.parent_id == project.domain_id;
            if !at_top && project::get(tx, &project.parent_id).await?.is_none() {
                return Err(checks::not_found("project", &project.parent_id));
            }
            checks::unique("project", &project.name, project::insert(tx, &project).await)?;
            Ok(project)
        })
    })
    .await
}

/// One project: an admin's, the caller's own, or one on which the caller holds a role.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Project> {
    let mut conn = core.read().await?;
    if !caller.sees(id) && !holds_role_on(&mut conn, &caller.user_id, id).await? {
        return Err(checks::forbidden("identity:get_project"));
    }
    project::get(&mut conn, id).await?.ok_or_else(|| checks::not_found("project", id))
}

async fn holds_role_on(conn: &mut Conn, user_id: &str, project_id: &str) -> Result<bool> {
    let target = Target::Project(project_id.to_owned());
    Ok(!effective::roles(conn, user_id, &target).await?.is_empty())
}

/// All projects that fit the filter; for administrators.
pub async fn list(core: &Core, caller: &Caller, filter: &ProjectFilter) -> Result<Vec<Project>> {
    require_admin(caller)?;
    Ok(project::list(&mut core.read().await?, filter).await?)
}

/// Projects that the user holds a role on: the user's own view, or an admin's.
pub async fn list_of_user(core: &Core, caller: &Caller, user_id: &str) -> Result<Vec<Project>> {
    if caller.user_id != user_id {
        require_admin(caller)?;
    }
    let mut conn = core.read().await?;
    let ids = effective::project_ids(&mut conn, user_id).await?;
    let filter = ProjectFilter { ids: Some(ids), ..ProjectFilter::default() };
    Ok(project::list(&mut conn, &filter).await?)
}

/// Changes a project. Disabling it ends its tokens for good.
pub async fn update(core: &Core, caller: &Caller, id: &str, change: ProjectChange) -> Result<Project> {
    require_admin(caller)?;
    if let Some(name) = &change.name {
        checks::name(name)?;
    }
    let (id, now) = (id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let found = project::get(tx, &id).await?;
            let mut project = found.ok_or_else(|| checks::not_found("project", &id))?;
            if project.enabled && change.enabled == Some(false) {
                project.tokens_valid_after = now;
            }
            project.name = change.name.unwrap_or(project.name);
            project.description = change.description.unwrap_or(project.description);
            project.enabled = change.enabled.unwrap_or(project.enabled);
            project.tags = change.tags.unwrap_or(project.tags);
            checks::unique("project", &project.name, project::update(tx, &project).await)?;
            Ok(project)
        })
    })
    .await
}

/// Deletes a project without children. What other services hold for it stays, as in OpenStack.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let children = ProjectFilter { parent_id: Some(id.clone()), ..ProjectFilter::default() };
            if !project::list(tx, &children).await?.is_empty() {
                return Err(Error::forbidden("The project has children; delete them first."));
            }
            if !project::delete(tx, &id).await? {
                return Err(checks::not_found("project", &id));
            }
            Ok(())
        })
    })
    .await
}
