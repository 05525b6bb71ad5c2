//! Domains: namespaces of projects, users and groups.

use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{DEFAULT_DOMAIN_ID, Domain, Extra, Options, given_options, merge_options};
use updraft_store::Tx;
use updraft_store::identity::project::{self, ProjectFilter};
use updraft_store::identity::user::{self, UserFilter};
use updraft_store::identity::{domain, group};

use super::{access, checks, effective, project as projects};
use crate::policy::Target;
use crate::{Caller, Core, Error, Result};

/// A domain to be made.
#[derive(Clone, Debug, Default)]
pub struct NewDomain {
    /// `None`: one of our choice.
    pub id: Option<String>,
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub tags: Vec<String>,
    pub options: Options,
    pub extra: Extra,
}

/// What is to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct DomainChange {
    pub name: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
    pub tags: Option<Vec<String>>,
    pub options: Option<Options>,
    pub extra: Extra,
}

impl DomainChange {
    fn is_only_options(&self) -> bool {
        self.options.is_some()
            && self.name.is_none()
            && self.description.is_none()
            && self.enabled.is_none()
            && self.tags.is_none()
            && self.extra.is_empty()
    }
}

/// Makes a domain. 409 when there is one of that name or id.
pub async fn create(core: &Core, caller: &Caller, new: NewDomain) -> Result<Domain> {
    access::enforce_plain(core, caller, "identity:create_domain")?;
    checks::tags(&new.tags)?;
    checks::options(&new.options)?;
    let domain = Domain {
        id: match new.id {
            Some(id) => checked_id(id)?,
            None => new_keystone_id(),
        },
        name: checks::name(&new.name, checks::MAX_PROJECT_NAME_CHARS)?,
        description: new.description,
        enabled: new.enabled,
        tags: new.tags,
        options: given_options(new.options),
        extra: new.extra,
        tokens_valid_after: Timestamp(0),
    };
    core.write(move |tx| {
        Box::pin(async move {
            unique(&domain, domain::insert(tx, &domain).await)?;
            Ok(domain)
        })
    })
    .await
}

/// An id of the form that we would choose: 32 hexadecimal digits.
fn checked_id(id: String) -> Result<String> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if id.len() == 32 && id.bytes().all(is_digit) {
        return Ok(id);
    }
    Err(checks::invalid("Domain ID does not conform to required UUID format."))
}

fn unique<T>(domain: &Domain, result: std::result::Result<T, updraft_store::StoreError>) -> Result<T> {
    result.map_err(|error| match error.kind {
        updraft_store::StoreErrorKind::Duplicate => checks::duplicate(
            "project",
            &format!(
                "it is not permitted to have two projects acting as domains with the same name: {}",
                domain.name
            ),
        ),
        _ => error.into(),
    })
}

/// One domain: an admin's view, or that of a token for it or for a project in it.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Domain> {
    let found = domain::get(&mut core.read().await?, id).await?;
    let domain = found.as_ref().map(|domain| domain.id.as_str());
    access::enforce(core, caller, "identity:get_domain", &Target { domain, ..Target::default() })?;
    found.ok_or_else(|| checks::not_found("domain", id))
}

/// All domains that fit; a token for a domain shows that one.
pub async fn list(
    core: &Core,
    caller: &Caller,
    name: Option<&str>,
    enabled: Option<bool>,
) -> Result<Vec<Domain>> {
    access::enforce_list(core, caller, "identity:list_domains")?;
    let own = caller.domain_id.as_ref().map(std::slice::from_ref);
    Ok(domain::list(&mut core.read().await?, own, name, enabled).await?)
}

/// Domains that the caller holds a role on.
pub async fn list_of_caller(core: &Core, caller: &Caller) -> Result<Vec<Domain>> {
    let mut conn = core.read().await?;
    let ids = effective::domain_ids_with_groups(&mut conn, &caller.user_id, &caller.federated_groups).await?;
    Ok(domain::list(&mut conn, Some(&ids), None, Some(true)).await?)
}

/// Changes a domain. Disabling it ends the tokens of its users and projects for good.
pub async fn update(core: &Core, caller: &Caller, id: &str, wanted: DomainChange) -> Result<Domain> {
    access::enforce_plain(core, caller, "identity:update_domain")?;
    change(core, id, wanted).await
}

/// The change itself, for a caller who may.
pub(super) async fn change(core: &Core, id: &str, change: DomainChange) -> Result<Domain> {
    let (id, now) = (id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let mut domain = domain::get(tx, &id).await?.ok_or_else(|| checks::not_found("domain", &id))?;
            let is_all = change.is_only_options();
            checks::may_update("domain", &id, &domain.options, change.options.as_ref(), is_all)?;
            if domain.enabled && change.enabled == Some(false) {
                domain.tokens_valid_after = now;
            }
            if let Some(name) = change.name {
                domain.name = checks::name(&name, checks::MAX_PROJECT_NAME_CHARS)?;
            }
            if let Some(tags) = change.tags {
                checks::tags(&tags)?;
                domain.tags = tags;
            }
            if let Some(options) = change.options {
                checks::options(&options)?;
                merge_options(&mut domain.options, options);
            }
            domain.description = change.description.unwrap_or(domain.description);
            domain.enabled = change.enabled.unwrap_or(domain.enabled);
            domain.extra.extend(change.extra);
            unique(&domain, domain::update(tx, &domain).await)?;
            Ok(domain)
        })
    })
    .await
}

/// Deletes a disabled domain with its users, groups, roles and projects.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:delete_domain")?;
    let id = id.to_owned();
    core.write(move |tx| Box::pin(async move { remove(tx, &id).await })).await
}

/// The deletion itself, for a caller who may.
pub(super) async fn remove(tx: &mut Tx, id: &str) -> Result<()> {
    let domain = domain::get(tx, id).await?.ok_or_else(|| checks::not_found("domain", id))?;
    checks::may_delete("domain", id, &domain.options)?;
    if domain.enabled || domain.id == DEFAULT_DOMAIN_ID {
        return Err(Error::forbidden("Cannot delete a domain that is enabled, please disable it first."));
    }
    let projects = ProjectFilter { domain_id: Some(id.to_owned()), ..ProjectFilter::default() };
    for project in project::list(tx, &projects).await? {
        projects::forget(tx, &project.id).await?;
    }
    let users = UserFilter { domain_id: Some(id.to_owned()), ..UserFilter::default() };
    for user in user::list(tx, &users).await? {
        user::delete(tx, &user.id).await?;
    }
    for group in group::list(tx, None, Some(id), None).await? {
        group::delete(tx, &group.id).await?;
    }
    Ok(domain::delete(tx, id).await?)
}
