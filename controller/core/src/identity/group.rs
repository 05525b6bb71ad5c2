//! Groups of users.

use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Extra, Group, User};
use updraft_store::identity::{domain, group, user};
use updraft_store::{Conn, Tx};

use super::{access, checks};
use crate::policy::{GroupTarget, Target};
use crate::{Caller, Core, Result};

/// A group to be made.
#[derive(Clone, Debug, Default)]
pub struct NewGroup {
    pub name: String,
    /// `None`: the caller's domain.
    pub domain_id: Option<String>,
    pub description: String,
    pub extra: Extra,
}

/// What is to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct GroupChange {
    /// Only what it is already.
    pub domain_id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub extra: Extra,
}

/// Makes a group. 409 when its domain has one of that name.
pub async fn create(core: &Core, caller: &Caller, new: NewGroup) -> Result<Group> {
    let named = new.domain_id.as_deref().map(|domain_id| GroupTarget { id: "", domain_id });
    access::enforce(core, caller, "identity:create_group", &Target { group: named, ..Target::default() })?;
    let name = checks::name(&new.name, checks::MAX_NAME_CHARS)?;
    let domain_id = access::domain_of_new(caller, new.domain_id);
    let (description, extra) = (new.description, new.extra);
    let group = Group { id: new_keystone_id(), domain_id, name, description, extra };
    core.write(move |tx| {
        Box::pin(async move {
            if domain::get(tx, &group.domain_id).await?.is_none() {
                return Err(checks::not_found("domain", &group.domain_id));
            }
            checks::unique_in(&group.domain_id, "group", &group.name, group::insert(tx, &group).await)?;
            Ok(group)
        })
    })
    .await
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Group> {
    allowed(core, caller, "identity:get_group", id).await
}

/// The group, for a caller who passes the rule.
async fn allowed(core: &Core, caller: &Caller, rule: &str, id: &str) -> Result<Group> {
    let found = group::get(&mut core.read().await?, id).await?;
    access::enforce(core, caller, rule, &access::group(found.as_ref()))?;
    found.ok_or_else(|| checks::not_found("group", id))
}

/// All groups that fit; a token for a domain shows those of the domain.
pub async fn list(
    core: &Core,
    caller: &Caller,
    domain_id: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Group>> {
    access::enforce_list(core, caller, "identity:list_groups")?;
    let mut groups = group::list(&mut core.read().await?, None, domain_id, name).await?;
    groups.retain(|group| access::shows(caller, &group.domain_id));
    Ok(groups)
}

/// The groups that a user is in: the user's own view, or an admin's.
pub async fn list_of_user(core: &Core, caller: &Caller, user_id: &str) -> Result<Vec<Group>> {
    let mut conn = core.read().await?;
    let found = user::get(&mut conn, user_id).await?;
    access::enforce(core, caller, "identity:list_groups_for_user", &access::user(found.as_ref()))?;
    found.ok_or_else(|| checks::not_found("user", user_id))?;
    let ids = group::groups_of(&mut conn, user_id).await?;
    let mut groups = group::list(&mut conn, Some(&ids), None, None).await?;
    groups.retain(|group| caller.user_id == user_id || access::shows(caller, &group.domain_id));
    Ok(groups)
}

pub async fn update(core: &Core, caller: &Caller, id: &str, change: GroupChange) -> Result<Group> {
    let found = allowed(core, caller, "identity:update_group", id).await?;
    checks::same_domain(change.domain_id.as_deref(), &found.domain_id)?;
    change_row(core, id, move |group| {
        if let Some(name) = change.name {
            group.name = checks::name(&name, checks::MAX_NAME_CHARS)?;
        }
        group.description = change.description.unwrap_or(std::mem::take(&mut group.description));
        group.extra.extend(change.extra);
        Ok(())
    })
    .await
}

async fn change_row(
    core: &Core,
    id: &str,
    change: impl FnOnce(&mut Group) -> Result<()> + Clone + Send + Sync + 'static,
) -> Result<Group> {
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut group = group::get(tx, &id).await?.ok_or_else(|| checks::not_found("group", &id))?;
            change(&mut group)?;
            checks::unique_in(&group.domain_id, "group", &group.name, group::update(tx, &group).await)?;
            Ok(group)
        })
    })
    .await
}

/// Deletes a group; its users lose what they held through it at their next request.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    allowed(core, caller, "identity:delete_group", id).await?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            match group::delete(tx, &id).await? {
                true => Ok(()),
                false => Err(checks::not_found("group", &id)),
            }
        })
    })
    .await
}

/// Makes the user a member; nothing when it is one.
pub async fn add_member(core: &Core, caller: &Caller, group_id: &str, user_id: &str) -> Result<()> {
    let membership = Membership::look_up(core, group_id, user_id).await?;
    membership.allowed(core, caller, "identity:add_user_to_group")?;
    let (group_id, user_id) = (group_id.to_owned(), user_id.to_owned());
    core.write(move |tx: &mut Tx| {
        Box::pin(async move {
            // Either may have gone since it was looked up.
            group::get(tx, &group_id).await?.ok_or_else(|| checks::not_found("group", &group_id))?;
            user::get(tx, &user_id).await?.ok_or_else(|| checks::not_found("user", &user_id))?;
            Ok(group::add_member(tx, &group_id, &user_id).await?)
        })
    })
    .await
}

/// Ends the membership; 404 when there is none.
pub async fn remove_member(core: &Core, caller: &Caller, group_id: &str, user_id: &str) -> Result<()> {
    let membership = Membership::look_up(core, group_id, user_id).await?;
    membership.allowed(core, caller, "identity:remove_user_from_group")?;
    let (group_id, user_id) = (group_id.to_owned(), user_id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            match group::remove_member(tx, &group_id, &user_id).await? {
                true => Ok(()),
                false => Err(no_member(&group_id, &user_id)),
            }
        })
    })
    .await
}

/// 404 unless the user is in the group.
pub async fn check_member(core: &Core, caller: &Caller, group_id: &str, user_id: &str) -> Result<()> {
    let membership = Membership::look_up(core, group_id, user_id).await?;
    membership.allowed(core, caller, "identity:check_user_in_group")?;
    match group::is_member(&mut core.read().await?, group_id, user_id).await? {
        true => Ok(()),
        false => Err(no_member(group_id, user_id)),
    }
}

fn no_member(group_id: &str, user_id: &str) -> crate::Error {
    crate::Error::not_found("NotFound", format!("User '{user_id}' not found in group '{group_id}'"))
}

/// The two that a membership joins, either of which may not exist.
struct Membership<'a> {
    ids: (&'a str, &'a str),
    group: Option<Group>,
    user: Option<User>,
}

impl<'a> Membership<'a> {
    async fn look_up(core: &Core, group_id: &'a str, user_id: &'a str) -> Result<Self> {
        let conn: &mut Conn = &mut core.read().await?;
        let (group, user) = (group::get(conn, group_id).await?, user::get(conn, user_id).await?);
        Ok(Self { ids: (group_id, user_id), group, user })
    }

    /// 403 unless the caller passes the rule, 404 unless both exist.
    fn allowed(&self, core: &Core, caller: &Caller, rule: &str) -> Result<()> {
        let user = access::user(self.user.as_ref());
        let target = Target { group: access::group(self.group.as_ref()).group, ..user };
        access::enforce(core, caller, rule, &target)?;
        let (group_id, user_id) = self.ids;
        match (&self.group, &self.user) {
            (None, _) => Err(checks::not_found("group", group_id)),
            (_, None) => Err(checks::not_found("user", user_id)),
            (Some(_), Some(_)) => Ok(()),
        }
    }
}
