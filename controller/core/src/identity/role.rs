//! Roles and which of them imply others.

use std::collections::BTreeMap;

use updraft_model::id::new_keystone_id;
use updraft_model::identity::{ADMIN, Extra, Options, Role, given_options, merge_options};
use updraft_store::Tx;
use updraft_store::identity::assignment::{self, AssignmentFilter};
use updraft_store::identity::{domain, role};

use super::assignment::revoke_holders;
use super::{access, checks};
use crate::policy::{RoleTarget, Target};
use crate::{Caller, Core, Error, Result};

/// A role to be made.
#[derive(Clone, Debug, Default)]
pub struct NewRole {
    pub name: String,
    /// `None`: a role of the whole cloud.
    pub domain_id: Option<String>,
    pub description: Option<String>,
    pub options: Options,
    pub extra: Extra,
}

/// What is to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct RoleChange {
    /// Only what it is already.
    pub domain_id: Option<Option<String>>,
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub options: Option<Options>,
    pub extra: Extra,
}

/// A role and those that it implies.
#[derive(Clone, Debug)]
pub struct Inference {
    pub prior: Role,
    pub implies: Vec<Role>,
}

/// Makes a role. 409 when there is one of that name.
pub async fn create(core: &Core, caller: &Caller, new: NewRole) -> Result<Role> {
    match &new.domain_id {
        Some(domain_id) => {
            let role = Some(RoleTarget { name: &new.name, domain_id: Some(domain_id) });
            let target = Target { role, ..Target::default() };
            access::enforce(core, caller, "identity:create_domain_role", &target)?;
        }
        None => access::enforce_plain(core, caller, "identity:create_role")?,
    }
    checks::options(&new.options)?;
    let NewRole { name, domain_id, description, options, extra } = new;
    let name = checks::name(&name, checks::MAX_NAME_CHARS)?;
    let options = given_options(options);
    let role = Role { id: new_keystone_id(), name, domain_id, description, options, extra };
    core.write(move |tx| {
        Box::pin(async move {
            if let Some(domain_id) = &role.domain_id
                && domain::get(tx, domain_id).await?.is_none()
            {
                return Err(checks::not_found("domain", domain_id));
            }
            checks::unique("role", &role.name, role::insert(tx, &role).await)?;
            Ok(role)
        })
    })
    .await
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Role> {
    allowed(core, caller, id, "identity:get_role", "identity:get_domain_role").await
}

/// The role, for a caller who passes the rule: `rule` for roles of the whole cloud (and such as do not exist),
/// `domain_rule` for those of a domain.
async fn allowed(core: &Core, caller: &Caller, id: &str, rule: &str, domain_rule: &str) -> Result<Role> {
    let found = role::get(&mut core.read().await?, id).await?;
    let is_domains = found.as_ref().is_some_and(|role| role.domain_id.is_some());
    let rule = if is_domains { domain_rule } else { rule };
    access::enforce(core, caller, rule, &access::role(found.as_ref()))?;
    found.ok_or_else(|| checks::not_found("role", id))
}

/// The roles of the whole cloud, or of `domain_id`.
pub async fn list(
    core: &Core,
    caller: &Caller,
    domain_id: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Role>> {
    let rule = if domain_id.is_some() { "identity:list_domain_roles" } else { "identity:list_roles" };
    access::enforce_plain(core, caller, rule)?;
    Ok(role::list(&mut core.read().await?, domain_id, name).await?)
}

/// Changes a role.
pub async fn update(core: &Core, caller: &Caller, id: &str, change: RoleChange) -> Result<Role> {
    allowed(core, caller, id, "identity:update_role", "identity:update_domain_role").await?;
    let id = id.to_owned();
    core.write(move |tx| Box::pin(async move { change_row(tx, &id, change).await })).await
}

async fn change_row(tx: &mut Tx, id: &str, change: RoleChange) -> Result<Role> {
    let mut role = role::get(tx, id).await?.ok_or_else(|| checks::not_found("role", id))?;
    let is_all = change.name.is_none() && change.description.is_none() && change.extra.is_empty();
    checks::may_update("role", id, &role.options, change.options.as_ref(), is_all)?;
    if change.domain_id.is_some_and(|asked| asked != role.domain_id) {
        return Err(checks::invalid("Update of `domain_id` is not allowed."));
    }
    if let Some(name) = change.name {
        role.name = checks::name(&name, checks::MAX_NAME_CHARS)?;
    }
    if let Some(options) = change.options {
        checks::options(&options)?;
        merge_options(&mut role.options, options);
    }
    role.description = change.description.unwrap_or(role.description);
    role.extra.extend(change.extra);
    checks::unique("role", &role.name, role::update(tx, &role).await)?;
    Ok(role)
}

/// Deletes a role; the tokens of everybody who held it end for the scopes where they held it.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    allowed(core, caller, id, "identity:delete_role", "identity:delete_domain_role").await?;
    let (id, now) = (id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let role = role::get(tx, &id).await?.ok_or_else(|| checks::not_found("role", &id))?;
            checks::may_delete("role", &id, &role.options)?;
            let held = AssignmentFilter { role_id: Some(id.clone()), ..AssignmentFilter::default() };
            for assignment in assignment::list(tx, &held).await? {
                revoke_holders(tx, &assignment, now).await?;
            }
            role::delete(tx, &id).await?;
            Ok(())
        })
    })
    .await
}

/// Every role that implies others, with those.
pub async fn inferences(core: &Core, caller: &Caller) -> Result<Vec<Inference>> {
    access::enforce_plain(core, caller, "identity:list_role_inference_rules")?;
    let all = all_inferences(core).await?;
    Ok(all.into_iter().filter(|inference| !inference.implies.is_empty()).collect())
}

async fn all_inferences(core: &Core) -> Result<Vec<Inference>> {
    let rows = role::list_with_implied(&mut core.read().await?).await?;
    let by_id: BTreeMap<String, Role> =
        rows.iter().map(|(role, _)| (role.id.clone(), role.clone())).collect();
    let inferences = rows.into_iter().map(|(prior, implied)| Inference {
        prior,
        implies: implied.iter().filter_map(|id| by_id.get(id).cloned()).collect(),
    });
    Ok(inferences.collect())
}

/// One role with those that it implies.
pub async fn implied(core: &Core, caller: &Caller, prior_id: &str) -> Result<Inference> {
    access::enforce_plain(core, caller, "identity:list_implied_roles")?;
    inference(core, prior_id).await
}

async fn inference(core: &Core, prior_id: &str) -> Result<Inference> {
    let found = all_inferences(core).await?.into_iter().find(|inference| inference.prior.id == prior_id);
    found.ok_or_else(|| checks::not_found("role", prior_id))
}

/// One implication: (prior, implied). `rule` is the call's rule.
pub async fn implication(
    core: &Core,
    caller: &Caller,
    prior_id: &str,
    implied_id: &str,
    rule: &str,
) -> Result<(Role, Role)> {
    access::enforce_plain(core, caller, rule)?;
    let inference = inference(core, prior_id).await?;
    let implied = inference.implies.into_iter().find(|implied| implied.id == implied_id);
    Ok((inference.prior, implied.ok_or_else(|| no_implication(prior_id, implied_id))?))
}

fn no_implication(prior_id: &str, implied_id: &str) -> Error {
    Error::not_found("NotFound", format!("{prior_id} does not imply {implied_id}."))
}

/// Lets whoever holds `prior_id` hold `implied_id` too.
pub async fn imply(core: &Core, caller: &Caller, prior_id: &str, implied_id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:create_implied_role")?;
    let (prior_id, implied_id) = (prior_id.to_owned(), implied_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            let not_found = |id: &str| checks::not_found("role", id);
            let implied = role::get(tx, &implied_id).await?.ok_or_else(|| not_found(&implied_id))?;
            let prior = role::get(tx, &prior_id).await?.ok_or_else(|| not_found(&prior_id))?;
            // Else any role could be made to mean administrator.
            if implied.name == ADMIN || (prior.domain_id.is_none() && implied.domain_id.is_some()) {
                return Err(Error::forbidden(format!("{implied_id} cannot be an implied roles.")));
            }
            match role::imply(tx, &prior_id, &implied_id).await? {
                true => Ok(()),
                false => Err(checks::duplicate("implied_role", "Duplicate entry")),
            }
        })
    })
    .await
}

pub async fn stop_implying(core: &Core, caller: &Caller, prior_id: &str, implied_id: &str) -> Result<()> {
    access::enforce_plain(core, caller, "identity:delete_implied_role")?;
    let (prior_id, implied_id) = (prior_id.to_owned(), implied_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            match role::stop_implying(tx, &prior_id, &implied_id).await? {
                true => Ok(()),
                false => Err(no_implication(&prior_id, &implied_id)),
            }
        })
    })
    .await
}
