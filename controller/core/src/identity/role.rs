//! Roles and which of them imply others.

use std::collections::BTreeMap;

use updraft_model::id::new_keystone_id;
use updraft_model::identity::Role;
use updraft_store::identity::assignment::{self, AssignmentFilter};
use updraft_store::identity::role;

use super::assignment::revoke_holders;
use super::checks;
use crate::policy::require_admin;
use crate::{Caller, Core, Result};

/// A role and those that it implies.
#[derive(Clone, Debug)]
pub struct Inference {
    pub prior: Role,
    pub implies: Vec<Role>,
}

/// Makes a role. 409 when there is one of that name.
pub async fn create(
    core: &Core,
    caller: &Caller,
    name: String,
    domain_id: Option<String>,
    description: Option<String>,
) -> Result<Role> {
    require_admin(caller)?;
    checks::name(&name)?;
    let role = Role { id: new_keystone_id(), name, domain_id, description };
    core.write(move |tx| {
        Box::pin(async move {
            checks::unique("role", &role.name, role::insert(tx, &role).await)?;
            Ok(role)
        })
    })
    .await
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Role> {
    require_admin(caller)?;
    role::get(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("role", id))
}

/// The roles of the whole cloud, or of `domain_id`.
pub async fn list(
    core: &Core,
    caller: &Caller,
    domain_id: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Role>> {
    require_admin(caller)?;
    Ok(role::list(&mut core.read().await?, domain_id, name).await?)
}

/// Changes a role; `None` leaves a field as it is.
pub async fn update(
    core: &Core,
    caller: &Caller,
    id: &str,
    name: Option<String>,
    description: Option<String>,
) -> Result<Role> {
    require_admin(caller)?;
    if let Some(name) = &name {
        checks::name(name)?;
    }
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut role = role::get(tx, &id).await?.ok_or_else(|| checks::not_found("role", &id))?;
            role.name = name.unwrap_or(role.name);
            role.description = description.or(role.description);
            checks::unique("role", &role.name, role::update(tx, &role).await)?;
            Ok(role)
        })
    })
    .await
}

/// Deletes a role; the tokens of everybody who held it end for the scopes where they held it.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    require_admin(caller)?;
    let (id, now) = (id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let held = AssignmentFilter { role_id: Some(id.clone()), ..AssignmentFilter::default() };
            for assignment in assignment::list(tx, &held).await? {
                revoke_holders(tx, &assignment, now).await?;
            }
            if !role::delete(tx, &id).await? {
                return Err(checks::not_found("role", &id));
            }
            Ok(())
        })
    })
    .await
}

/// Every role that implies others, with those.
pub async fn inferences(core: &Core, caller: &Caller) -> Result<Vec<Inference>> {
    require_admin(caller)?;
    let mut conn = core.read().await?;
    let roles: BTreeMap<String, Role> =
        role::list_all(&mut conn).await?.into_iter().map(|role| (role.id.clone(), role)).collect();
    let mut implied: BTreeMap<String, Vec<Role>> = BTreeMap::new();
    for (prior, to) in role::implications(&mut conn).await? {
        implied.entry(prior).or_default().extend(roles.get(&to).cloned());
    }
    let inference = |(prior, implies)| Some(Inference { prior: roles.get(&prior).cloned()?, implies });
    Ok(implied.into_iter().filter_map(inference).collect())
}

/// One role with those that it implies.
pub async fn inference(core: &Core, caller: &Caller, prior_id: &str) -> Result<Inference> {
    let prior = get(core, caller, prior_id).await?;
    let all = inferences(core, caller).await?;
    let implies = all.into_iter().find(|inference| inference.prior.id == prior_id).map(|found| found.implies);
    Ok(Inference { prior, implies: implies.unwrap_or_default() })
}

pub async fn imply(core: &Core, caller: &Caller, prior_id: &str, implied_id: &str) -> Result<()> {
    require_admin(caller)?;
    let (prior_id, implied_id) = (prior_id.to_owned(), implied_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            for id in [&prior_id, &implied_id] {
                role::get(tx, id).await?.ok_or_else(|| checks::not_found("role", id))?;
            }
            Ok(role::imply(tx, &prior_id, &implied_id).await?)
        })
    })
    .await
}

pub async fn stop_implying(core: &Core, caller: &Caller, prior_id: &str, implied_id: &str) -> Result<()> {
    require_admin(caller)?;
    let (prior_id, implied_id) = (prior_id.to_owned(), implied_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            if !role::stop_implying(tx, &prior_id, &implied_id).await? {
                return Err(checks::not_found("implied role", &implied_id));
            }
            Ok(())
        })
    })
    .await
}
