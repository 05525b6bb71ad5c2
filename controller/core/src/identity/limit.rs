//! Unified limits: what a project may have of a resource, kept here for every service that asks.
//!
//! The model is flat: limits of projects do not add up along the tree. Identity keeps them; a service enforces them.

use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Limit, LimitOwner, RegisteredLimit};
pub use updraft_store::identity::limit::LimitFilter;
use updraft_store::identity::{catalog, domain, limit, project};
use updraft_store::{Conn, StoreError, StoreErrorKind, Tx};

use super::project::find;
use super::{access, checks};
use crate::policy::{LimitTarget, Target};
use crate::{Caller, Core, Error, Result};

/// The enforcement model's name and description (`GET /v3/limits/model`).
pub const MODEL: (&str, &str) =
    ("flat", "Limit enforcement and validation does not take project hierarchy into consideration.");

/// No limit at all.
const UNLIMITED: i64 = -1;
/// Keystone keeps limits in signed 32 bits.
const MAX_LIMIT: i64 = i32::MAX as i64;

/// What is to change of a default; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct RegisteredLimitChange {
    pub service_id: Option<String>,
    pub region_id: Option<Option<String>>,
    pub resource_name: Option<String>,
    pub default_limit: Option<i64>,
    pub description: Option<Option<String>>,
}

/// A limit to be made: of which resource, found by service, region and name.
#[derive(Clone, Debug)]
pub struct NewLimit {
    pub owner: LimitOwner,
    pub service_id: String,
    pub region_id: Option<String>,
    pub resource_name: String,
    pub resource_limit: i64,
    pub description: Option<String>,
}

fn check_value(value: i64) -> Result<()> {
    match (UNLIMITED..=MAX_LIMIT).contains(&value) {
        true => Ok(()),
        false => Err(checks::invalid(format!("A limit is in {UNLIMITED}..={MAX_LIMIT}."))),
    }
}

/// Makes defaults, all or none of them.
pub async fn create_registered(
    core: &Core,
    caller: &Caller,
    mut new: Vec<RegisteredLimit>,
) -> Result<Vec<RegisteredLimit>> {
    access::enforce_plain(core, caller, "identity:create_registered_limits")?;
    for limit in &mut new {
        limit.id = new_keystone_id();
    }
    core.write(move |tx| {
        Box::pin(async move {
            for limit in &new {
                check_registered(tx, limit).await?;
                unique("registered_limit", limit::insert_registered(tx, limit).await)?;
            }
            Ok(new)
        })
    })
    .await
}

async fn check_registered(tx: &mut Tx, limit: &RegisteredLimit) -> Result<()> {
    check_value(limit.default_limit)?;
    checks::name(&limit.resource_name, checks::MAX_NAME_CHARS)?;
    check_place(tx, &limit.service_id, limit.region_id.as_deref()).await
}

async fn check_place(tx: &mut Tx, service_id: &str, region_id: Option<&str>) -> Result<()> {
    let not_there = |what: &str, id: &str| checks::invalid(format!("Could not find {what}: {id}."));
    catalog::get_service(tx, service_id).await?.ok_or_else(|| not_there("service", service_id))?;
    if let Some(region_id) = region_id {
        catalog::get_region(tx, region_id).await?.ok_or_else(|| not_there("region", region_id))?;
    }
    Ok(())
}

fn unique<T>(what: &str, result: std::result::Result<T, StoreError>) -> Result<T> {
    result.map_err(|error| match error.kind {
        StoreErrorKind::Duplicate => checks::duplicate(what, "Duplicate entry"),
        _ => error.into(),
    })
}

pub async fn list_registered(
    core: &Core,
    caller: &Caller,
    filter: &LimitFilter,
) -> Result<Vec<RegisteredLimit>> {
    access::enforce_plain(core, caller, "identity:list_registered_limits")?;
    Ok(limit::list_registered(&mut core.read().await?, filter).await?)
}

pub async fn get_registered(core: &Core, caller: &Caller, id: &str) -> Result<RegisteredLimit> {
    access::enforce_plain(core, caller, "identity:get_registered_limit")?;
    limit::get_registered(&mut core.read().await?, id).await?.ok_or_else(|| no_registered(id))
}

fn no_registered(id: &str) -> Error {
    Error::not_found("NotFound", format!("Could not find registered limit for {id}."))
}

fn in_use(id: &str) -> Error {
    Error::forbidden(format!(
        "Unable to update or delete registered limit {id} because there are project limits associated with it."
    ))
}

/// Changes a default; what it is a limit of does not change while projects have limits of their own for it.
pub async fn update_registered(
    core: &Core,
    caller: &Caller,
    id: &str,
    change: RegisteredLimitChange,
) -> Result<RegisteredLimit> {
    access::enforce_plain(core, caller, "identity:update_registered_limit")?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let old = limit::get_registered(tx, &id).await?.ok_or_else(|| no_registered(&id))?;
            let new = RegisteredLimit {
                id: old.id.clone(),
                service_id: change.service_id.unwrap_or_else(|| old.service_id.clone()),
                region_id: change.region_id.unwrap_or_else(|| old.region_id.clone()),
                resource_name: change.resource_name.unwrap_or_else(|| old.resource_name.clone()),
                default_limit: change.default_limit.unwrap_or(old.default_limit),
                description: change.description.unwrap_or_else(|| old.description.clone()),
            };
            check_registered(tx, &new).await?;
            let same_thing = (&old.service_id, &old.region_id, &old.resource_name)
                == (&new.service_id, &new.region_id, &new.resource_name);
            if !same_thing && limit::is_in_use(tx, &id).await? {
                return Err(in_use(&id));
            }
            unique("registered_limit", limit::update_registered(tx, &new).await)?;
            Ok(new)
        })
    })
    .await
}

pub async fn delete_registered(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:delete_registered_limit")?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            if limit::is_in_use(tx, &id).await? {
                return Err(in_use(&id));
            }
            match limit::delete_registered(tx, &id).await? {
                true => Ok(()),
                false => Err(no_registered(&id)),
            }
        })
    })
    .await
}

/// Makes limits, all or none of them; each needs a default.
pub async fn create(core: &Core, caller: &Caller, new: Vec<NewLimit>) -> Result<Vec<Limit>> {
    access::enforce_plain(core, caller, "identity:create_limits")?;
    core.write(move |tx| {
        Box::pin(async move {
            let mut made = Vec::new();
            for new in new {
                made.push(insert(tx, new).await?);
            }
            Ok(made)
        })
    })
    .await
}

async fn insert(tx: &mut Tx, new: NewLimit) -> Result<Limit> {
    check_value(new.resource_limit)?;
    check_place(tx, &new.service_id, new.region_id.as_deref()).await?;
    let owner = known_owner(tx, new.owner).await?;
    let filter = LimitFilter {
        owner_id: None,
        service_id: Some(new.service_id),
        region_id: new.region_id.clone(),
        resource_name: Some(new.resource_name),
    };
    let registered = limit::list_registered(tx, &filter).await?;
    let registered =
        registered.into_iter().find(|found| found.region_id == new.region_id).ok_or_else(|| {
            Error::forbidden("Unable to create a limit that has no corresponding registered limit.")
        })?;
    let limit = Limit {
        id: new_keystone_id(),
        owner,
        registered_limit_id: registered.id,
        service_id: registered.service_id,
        region_id: registered.region_id,
        resource_name: registered.resource_name,
        resource_limit: new.resource_limit,
        description: new.description,
    };
    unique("limit", limit::insert(tx, &limit).await)?;
    Ok(limit)
}

/// A domain in the shape of a project counts as the domain.
async fn known_owner(conn: &mut Conn, owner: LimitOwner) -> Result<LimitOwner> {
    let not_there = |what: &str, id: &str| checks::invalid(format!("Could not find {what}: {id}."));
    match owner {
        LimitOwner::Project(id) => {
            let found = find(conn, &id).await?.ok_or_else(|| not_there("project", &id))?;
            Ok(if found.is_domain { LimitOwner::Domain(id) } else { LimitOwner::Project(id) })
        }
        LimitOwner::Domain(id) => {
            domain::get(conn, &id).await?.ok_or_else(|| not_there("domain", &id))?;
            Ok(LimitOwner::Domain(id))
        }
    }
}

/// Limits that fit: all for administrators and services, else those of the token's own project or domain.
pub async fn list(core: &Core, caller: &Caller, mut filter: LimitFilter) -> Result<Vec<Limit>> {
    access::enforce_plain(core, caller, "identity:list_limits")?;
    let sees_all = caller.system_scope || caller.is_admin() || caller.is_service();
    if let (false, Some(own)) = (sees_all, &caller.project_id) {
        if filter.owner_id.as_ref().is_some_and(|asked| asked != own) {
            return Ok(Vec::new());
        }
        filter.owner_id = Some(own.clone());
    }
    let mut conn = core.read().await?;
    let mut limits = limit::list(&mut conn, &filter).await?;
    if sees_all || caller.project_id.is_some() {
        return Ok(limits);
    }
    let Some(own) = &caller.domain_id else { return Ok(Vec::new()) };
    let mut below = project::descendants(&mut conn, own).await?;
    below.retain(|project| project.domain_id == *own);
    limits.retain(|limit| match &limit.owner {
        LimitOwner::Domain(id) => id == own,
        LimitOwner::Project(id) => below.iter().any(|project| project.id == *id),
    });
    Ok(limits)
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Limit> {
    let mut conn = core.read().await?;
    let found = limit::get(&mut conn, id).await?;
    let project = match found.as_ref().map(|found| &found.owner) {
        Some(LimitOwner::Project(id)) => project::get(&mut conn, id).await?,
        _ => None,
    };
    let target = found.as_ref().map(|found| LimitTarget {
        project_id: project.as_ref().map(|project| project.id.as_str()),
        project_domain_id: project.as_ref().map(|project| project.domain_id.as_str()),
        domain_id: match &found.owner {
            LimitOwner::Domain(id) => Some(id),
            LimitOwner::Project(_) => None,
        },
    });
    access::enforce(core, caller, "identity:get_limit", &Target { limit: target, ..Target::default() })?;
    found.ok_or_else(|| no_limit(id))
}

fn no_limit(id: &str) -> Error {
    Error::not_found("NotFound", format!("Could not find limit for {id}."))
}

/// Changes a limit; `None` leaves a field as it is.
pub async fn update(
    core: &Core,
    caller: &Caller,
    id: &str,
    value: Option<i64>,
    description: Option<Option<String>>,
) -> Result<Limit> {
    access::enforce_plain(core, caller, "identity:update_limit")?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut found = limit::get(tx, &id).await?.ok_or_else(|| no_limit(&id))?;
            found.resource_limit = value.unwrap_or(found.resource_limit);
            found.description = description.unwrap_or(found.description);
            check_value(found.resource_limit)?;
            limit::update(tx, &found).await?;
            Ok(found)
        })
    })
    .await
}

pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:delete_limit")?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move { if limit::delete(tx, &id).await? { Ok(()) } else { Err(no_limit(&id)) } })
    })
    .await
}
