//! Domains: namespaces of projects and users.

use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{DEFAULT_DOMAIN_ID, Domain};
use updraft_store::Tx;
use updraft_store::identity::project::{self, ProjectFilter};
use updraft_store::identity::user::{self, UserFilter};
use updraft_store::identity::{domain, group};

use super::{checks, effective};
use crate::policy::require_admin;
use crate::{Caller, Core, Error, Result};

/// What is to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct DomainChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
}

/// Makes a domain. 409 when there is one of that name.
pub async fn create(
    core: &Core,
    caller: &Caller,
    name: String,
    description: String,
    enabled: bool,
) -> Result<Domain> {
    require_admin(caller)?;
    checks::name(&name)?;
    let domain =
        Domain { id: new_keystone_id(), name, description, enabled, tokens_valid_after: Timestamp(0) };
    core.write(move |tx| {
        Box::pin(async move {
            checks::unique("domain", &domain.name, domain::insert(tx, &domain).await)?;
            Ok(domain)
        })
    })
    .await
}

/// One domain: an admin's view, or the caller's own.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Domain> {
    if caller.user_domain_id != id && caller.domain_id.as_deref() != Some(id) {
        require_admin(caller)?;
    }
    domain::get(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("domain", id))
}

/// All domains that fit; for administrators.
pub async fn list(
    core: &Core,
    caller: &Caller,
    name: Option<&str>,
    enabled: Option<bool>,
) -> Result<Vec<Domain>> {
    require_admin(caller)?;
    Ok(domain::list(&mut core.read().await?, None, name, enabled).await?)
}

/// Domains that the caller holds a role on.
pub async fn list_of_caller(core: &Core, caller: &Caller) -> Result<Vec<Domain>> {
    let mut conn = core.read().await?;
    let ids = effective::domain_ids(&mut conn, &caller.user_id).await?;
    Ok(domain::list(&mut conn, Some(&ids), None, Some(true)).await?)
}

/// Changes a domain. Disabling it ends the tokens of its users and projects for good.
pub async fn update(core: &Core, caller: &Caller, id: &str, change: DomainChange) -> Result<Domain> {
    require_admin(caller)?;
    if let Some(name) = &change.name {
        checks::name(name)?;
    }
    let (id, now) = (id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let mut domain = domain::get(tx, &id).await?.ok_or_else(|| checks::not_found("domain", &id))?;
            if domain.enabled && change.enabled == Some(false) {
                domain.tokens_valid_after = now;
            }
            domain.name = change.name.unwrap_or(domain.name);
            domain.description = change.description.unwrap_or(domain.description);
            domain.enabled = change.enabled.unwrap_or(domain.enabled);
            checks::unique("domain", &domain.name, domain::update(tx, &domain).await)?;
            Ok(domain)
        })
    })
    .await
}

/// Deletes a disabled domain with its users, groups and projects.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let domain = domain::get(tx, &id).await?.ok_or_else(|| checks::not_found("domain", &id))?;
            if domain.enabled || domain.id == DEFAULT_DOMAIN_ID {
                return Err(Error::forbidden(
                    "Cannot delete a domain that is enabled, please disable it first.",
                ));
            }
            empty(tx, &id).await?;
            Ok(domain::delete(tx, &id).await?)
        })
    })
    .await
}

async fn empty(tx: &mut Tx, id: &str) -> Result<()> {
    let projects = ProjectFilter { domain_id: Some(id.to_owned()), ..ProjectFilter::default() };
    for project in project::list(tx, &projects).await? {
        project::delete(tx, &project.id).await?;
    }
    let users = UserFilter { domain_id: Some(id.to_owned()), ..UserFilter::default() };
    for user in user::list(tx, &users).await? {
        user::delete(tx, &user.id).await?;
    }
    for group in group::list(tx, None, Some(id), None).await? {
        group::delete(tx, &group.id).await?;
    }
    Ok(())
}
