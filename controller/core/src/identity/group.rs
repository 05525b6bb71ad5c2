//! Groups of users.

use updraft_model::id::new_keystone_id;
use updraft_model::identity::{DEFAULT_DOMAIN_ID, Group};
use updraft_store::identity::{domain, group, user};

use super::checks;
use super::user::require_self_or_admin;
use crate::policy::require_admin;
use crate::{Caller, Core, Result};

/// Makes a group. 409 when its domain has one of that name.
pub async fn create(
    core: &Core,
    caller: &Caller,
    name: String,
    domain_id: Option<String>,
    description: String,
) -> Result<Group> {
    require_admin(caller)?;
    checks::name(&name)?;
    let domain_id =
        domain_id.or_else(|| caller.domain_id.clone()).unwrap_or_else(|| DEFAULT_DOMAIN_ID.into());
    let group = Group { id: new_keystone_id(), domain_id, name, description };
    core.write(move |tx| {
        Box::pin(async move {
            if domain::get(tx, &group.domain_id).await?.is_none() {
                return Err(checks::not_found("domain", &group.domain_id));
            }
            checks::unique("group", &group.name, group::insert(tx, &group).await)?;
            Ok(group)
        })
    })
    .await
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Group> {
    require_admin(caller)?;
    group::get(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("group", id))
}

pub async fn list(
    core: &Core,
    caller: &Caller,
    domain_id: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Group>> {
    require_admin(caller)?;
    Ok(group::list(&mut core.read().await?, None, domain_id, name).await?)
}

/// The groups that a user is in: the user's own view, or an admin's.
pub async fn list_of_user(core: &Core, caller: &Caller, user_id: &str) -> Result<Vec<Group>> {
    require_self_or_admin(caller, user_id)?;
    let mut conn = core.read().await?;
    let ids = group::groups_of(&mut conn, user_id).await?;
    Ok(group::list(&mut conn, Some(&ids), None, None).await?)
}

/// Changes a group; `None` leaves a field as it is.
pub async fn update(
    core: &Core,
    caller: &Caller,
    id: &str,
    name: Option<String>,
    description: Option<String>,
) -> Result<Group> {
    require_admin(caller)?;
    if let Some(name) = &name {
        checks::name(name)?;
    }
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut group = group::get(tx, &id).await?.ok_or_else(|| checks::not_found("group", &id))?;
            group.name = name.unwrap_or(group.name);
            group.description = description.unwrap_or(group.description);
            checks::unique("group", &group.name, group::update(tx, &group).await)?;
            Ok(group)
        })
    })
    .await
}

/// Deletes a group; its users lose what they held through it at their next request.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            if !group::delete(tx, &id).await? {
                return Err(checks::not_found("group", &id));
            }
            Ok(())
        })
    })
    .await
}

pub async fn add_member(core: &Core, caller: &Caller, group_id: &str, user_id: &str) -> Result<()> {
    require_admin(caller)?;
    let (group_id, user_id) = (group_id.to_owned(), user_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            group::get(tx, &group_id).await?.ok_or_else(|| checks::not_found("group", &group_id))?;
            user::get(tx, &user_id).await?.ok_or_else(|| checks::not_found("user", &user_id))?;
            Ok(group::add_member(tx, &group_id, &user_id).await?)
        })
    })
    .await
}

pub async fn remove_member(core: &Core, caller: &Caller, group_id: &str, user_id: &str) -> Result<()> {
    require_admin(caller)?;
    let (group_id, user_id) = (group_id.to_owned(), user_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            if !group::remove_member(tx, &group_id, &user_id).await? {
                return Err(checks::not_found("user in the group", &user_id));
            }
            Ok(())
        })
    })
    .await
}

/// 404 unless the user is in the group.
pub async fn check_member(core: &Core, caller: &Caller, group_id: &str, user_id: &str) -> Result<()> {
    require_self_or_admin(caller, user_id)?;
    if !group::is_member(&mut core.read().await?, group_id, user_id).await? {
        return Err(checks::not_found("user in the group", user_id));
    }
    Ok(())
}
