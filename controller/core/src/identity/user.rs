//! Users and their passwords.

use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{DEFAULT_DOMAIN_ID, User};
pub use updraft_store::identity::user::UserFilter;
use updraft_store::identity::{domain, group, user};

use super::checks;
use crate::policy::require_admin;
use crate::{Caller, Core, Error, Result};

/// A user to be made.
#[derive(Clone)]
pub struct NewUser {
    pub name: String,
    /// `None`: the caller's domain.
    pub domain_id: Option<String>,
    pub password: Option<String>,
    pub description: Option<String>,
    pub email: Option<String>,
    pub default_project_id: Option<String>,
    pub enabled: bool,
}

/// What is to change; `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Clone, Default)]
pub struct UserChange {
    pub name: Option<String>,
    pub password: Option<Option<String>>,
    pub description: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub default_project_id: Option<Option<String>>,
    pub enabled: Option<bool>,
}

/// Makes a user. 409 when its domain has one of that name.
pub async fn create(core: &Core, caller: &Caller, new: NewUser) -> Result<User> {
    require_admin(caller)?;
    checks::name(&new.name)?;
    let password_hash = match new.password {
        Some(password) => Some(core.passwords.hash(password).await?),
        None => None,
    };
    let user = User {
        id: new_keystone_id(),
        domain_id: new
            .domain_id
            .or_else(|| caller.domain_id.clone())
            .unwrap_or_else(|| DEFAULT_DOMAIN_ID.into()),
        name: new.name,
        description: new.description,
        email: new.email,
        default_project_id: new.default_project_id,
        enabled: new.enabled,
        password_hash,
        tokens_valid_after: Timestamp(0),
    };
    core.write(move |tx| {
        Box::pin(async move {
            if domain::get(tx, &user.domain_id).await?.is_none() {
                return Err(checks::not_found("domain", &user.domain_id));
            }
            checks::unique("user", &user.name, user::insert(tx, &user).await)?;
            Ok(user)
        })
    })
    .await
}

/// One user: an admin's view, or the caller itself.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<User> {
    require_self_or_admin(caller, id)?;
    user::get(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("user", id))
}

/// All users that fit the filter; for administrators.
pub async fn list(core: &Core, caller: &Caller, filter: &UserFilter) -> Result<Vec<User>> {
    require_admin(caller)?;
    Ok(user::list(&mut core.read().await?, filter).await?)
}

/// The users of a group.
pub async fn list_of_group(core: &Core, caller: &Caller, group_id: &str) -> Result<Vec<User>> {
    require_admin(caller)?;
    let mut conn = core.read().await?;
    group::get(&mut conn, group_id).await?.ok_or_else(|| checks::not_found("group", group_id))?;
    let ids = Some(group::members(&mut conn, group_id).await?);
    Ok(user::list(&mut conn, &UserFilter { ids, ..UserFilter::default() }).await?)
}

pub(super) fn require_self_or_admin(caller: &Caller, user_id: &str) -> Result<()> {
    if caller.user_id == user_id { Ok(()) } else { require_admin(caller) }
}

/// Changes a user. Disabling it, or giving it another password, ends its tokens for good.
pub async fn update(core: &Core, caller: &Caller, id: &str, change: UserChange) -> Result<User> {
    require_admin(caller)?;
    if let Some(name) = &change.name {
        checks::name(name)?;
    }
    let password_hash = match change.password.clone() {
        Some(Some(password)) => Some(Some(core.passwords.hash(password).await?)),
        Some(None) => Some(None),
        None => None,
    };
    let (id, now) = (id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let mut user = user::get(tx, &id).await?.ok_or_else(|| checks::not_found("user", &id))?;
            if password_hash.is_some() || (user.enabled && change.enabled == Some(false)) {
                user.tokens_valid_after = now;
            }
            user.name = change.name.unwrap_or(user.name);
            user.description = change.description.unwrap_or(user.description);
            user.email = change.email.unwrap_or(user.email);
            user.default_project_id = change.default_project_id.unwrap_or(user.default_project_id);
            user.enabled = change.enabled.unwrap_or(user.enabled);
            user.password_hash = password_hash.unwrap_or(user.password_hash);
            checks::unique("user", &user.name, user::update(tx, &user).await)?;
            Ok(user)
        })
    })
    .await
}

/// A user changes its own password, proving the old one; its tokens end.
pub async fn change_password(core: &Core, id: &str, original: String, password: String) -> Result<()> {
    let found = user::get(&mut core.read().await?, id).await?;
    let old_hash = found.filter(|user| user.enabled).and_then(|user| user.password_hash);
    if !core.passwords.verify(original, old_hash.clone()).await? {
        return Err(Error::unauthorized());
    }
    let password_hash = Some(core.passwords.hash(password).await?);
    let (id, now) = (id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let mut user = user::get(tx, &id).await?.ok_or_else(Error::unauthorized)?;
            if user.password_hash != old_hash {
                return Err(Error::conflict("Conflict", "The password was changed at the same time."));
            }
            user.password_hash = password_hash;
            user.tokens_valid_after = now;
            Ok(user::update(tx, &user).await?)
        })
    })
    .await
}

/// Deletes a user; its tokens end with it.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            if !user::delete(tx, &id).await? {
                return Err(checks::not_found("user", &id));
            }
            Ok(())
        })
    })
    .await
}
