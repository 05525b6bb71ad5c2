//! Users and their passwords.

use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Extra, Options, User, is_set, merge_options};
pub use updraft_store::identity::user::UserFilter;
use updraft_store::identity::{application_credential, domain, group, user};
use updraft_store::{Conn, Tx};

use super::{access, checks};
use crate::policy::{Target, UserTarget};
use crate::{Caller, Core, Error, Result, is_dated};

/// The option that keeps a user from changing its own password.
const LOCK_PASSWORD: &str = "lock_password";

/// A user to be made.
#[derive(Clone, Default)]
pub struct NewUser {
    pub name: String,
    /// `None`: the caller's domain.
    pub domain_id: Option<String>,
    pub password: Option<String>,
    pub description: Option<String>,
    pub email: Option<String>,
    pub default_project_id: Option<String>,
    pub enabled: bool,
    pub options: Options,
    pub extra: Extra,
}

/// What is to change; `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Clone, Default)]
pub struct UserChange {
    /// Of `id` and `domain_id`, only what they are already.
    pub id: Option<String>,
    pub domain_id: Option<String>,
    pub name: Option<String>,
    pub password: Option<Option<String>>,
    pub description: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub default_project_id: Option<Option<String>>,
    pub enabled: Option<bool>,
    pub options: Option<Options>,
    pub extra: Extra,
}

/// Makes a user. 409 when its domain has one of that name.
pub async fn create(core: &Core, caller: &Caller, new: NewUser) -> Result<User> {
    let named = new.domain_id.as_deref().map(|domain_id| UserTarget { id: "", domain_id });
    access::enforce(core, caller, "identity:create_user", &Target { user: named, ..Target::default() })?;
    checks::user_options(&new.options)?;
    let name = checks::name(&new.name, checks::MAX_NAME_CHARS)?;
    let password_hash = match new.password {
        Some(password) => Some(core.passwords.hash(password).await?),
        None => None,
    };
    let user = User {
        id: new_keystone_id(),
        domain_id: access::domain_of_new(caller, new.domain_id),
        name,
        description: new.description,
        email: new.email,
        default_project_id: new.default_project_id,
        enabled: new.enabled,
        options: new.options,
        extra: new.extra,
        password_hash,
        tokens_valid_after: Timestamp(0),
    };
    core.write(move |tx| {
        Box::pin(async move {
            if domain::get(tx, &user.domain_id).await?.is_none() {
                return Err(checks::not_found("domain", &user.domain_id));
            }
            check_default_project(tx, user.default_project_id.as_deref()).await?;
            checks::unique_in(&user.domain_id, "user", &user.name, user::insert(tx, &user).await)?;
            Ok(user)
        })
    })
    .await
}

/// A default project need not exist, but it is no domain.
async fn check_default_project(tx: &mut Tx, id: Option<&str>) -> Result<()> {
    let Some(id) = id else { return Ok(()) };
    match domain::get(tx, id).await? {
        Some(_) => Err(checks::invalid(format!("User's default project ID cannot be a domain ID: {id}"))),
        None => Ok(()),
    }
}

/// One user: an admin's view, or the caller itself.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<User> {
    allowed(&mut core.read().await?, core, caller, "identity:get_user", id).await
}

/// The user, for a caller who passes the rule.
async fn allowed(conn: &mut Conn, core: &Core, caller: &Caller, rule: &str, id: &str) -> Result<User> {
    let found = user::get(conn, id).await?;
    access::enforce(core, caller, rule, &access::user(found.as_ref()))?;
    found.ok_or_else(|| checks::not_found("user", id))
}

/// All users that fit the filter; a token for a domain shows those of the domain.
pub async fn list(core: &Core, caller: &Caller, mut filter: UserFilter) -> Result<Vec<User>> {
    access::enforce_list(core, caller, "identity:list_users")?;
    if let Some(own) = &caller.domain_id {
        if filter.domain_id.as_ref().is_some_and(|asked| asked != own) {
            return Ok(Vec::new());
        }
        filter.domain_id = Some(own.clone());
    }
    Ok(user::list(&mut core.read().await?, &filter).await?)
}

/// The users of a group.
pub async fn list_of_group(core: &Core, caller: &Caller, group_id: &str) -> Result<Vec<User>> {
    let mut conn = core.read().await?;
    let found = group::get(&mut conn, group_id).await?;
    access::enforce(core, caller, "identity:list_users_in_group", &access::group(found.as_ref()))?;
    found.ok_or_else(|| checks::not_found("group", group_id))?;
    let ids = Some(group::members(&mut conn, group_id).await?);
    let mut users = user::list(&mut conn, &UserFilter { ids, ..UserFilter::default() }).await?;
    users.retain(|user| access::shows(caller, &user.domain_id));
    Ok(users)
}

/// Changes a user. Disabling it, or giving it another password, ends its tokens for good.
pub async fn update(core: &Core, caller: &Caller, id: &str, change: UserChange) -> Result<User> {
    let found = allowed(&mut core.read().await?, core, caller, "identity:update_user", id).await?;
    checks::same_id(change.id.as_deref(), id)?;
    checks::same_domain(change.domain_id.as_deref(), &found.domain_id)?;
    if let Some(options) = &change.options {
        checks::user_options(options)?;
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
            if let Some(name) = change.name {
                user.name = checks::name(&name, checks::MAX_NAME_CHARS)?;
            }
            if let Some(project_id) = change.default_project_id {
                check_default_project(tx, project_id.as_deref()).await?;
                user.default_project_id = project_id;
            }
            if user.enabled && change.enabled == Some(false) {
                application_credential::delete_of_user(tx, &user.id, None).await?;
            }
            user.description = change.description.unwrap_or(user.description);
            user.email = change.email.unwrap_or(user.email);
            user.enabled = change.enabled.unwrap_or(user.enabled);
            user.password_hash = password_hash.unwrap_or(user.password_hash);
            merge_options(&mut user.options, change.options.unwrap_or_default());
            user.extra.extend(change.extra);
            checks::unique_in(&user.domain_id, "user", &user.name, user::update(tx, &user).await)?;
            Ok(user)
        })
    })
    .await
}

/// A user changes its own password, proving the old one; its tokens end.
pub async fn change_password(core: &Core, id: &str, original: String, password: String) -> Result<()> {
    let found = user::get(&mut core.read().await?, id).await?;
    let is_locked = found.as_ref().is_some_and(|user| is_set(&user.options, LOCK_PASSWORD));
    let old_hash = found.filter(|user| user.enabled).and_then(|user| user.password_hash);
    if !core.passwords.verify(original, old_hash.clone()).await? {
        return Err(Error::unauthorized());
    }
    if is_locked {
        return Err(checks::invalid(
            "You cannot change your password at this time due to password policy disallowing password changes. \
             Please contact your administrator to reset your password.",
        ));
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

/// After a login with a hash of an older kind, keeps one of ours instead. The tokens of the user stay good.
pub(super) async fn renew_hash(core: &Core, user: &User, password: String) {
    let Some(old_hash) = user.password_hash.clone().filter(|hash| is_dated(hash)) else { return };
    if let Err(error) = replace_hash(core, &user.id, old_hash, password).await {
        tracing::warn!(%error, user = user.id, "an old password hash was not replaced");
    }
}

async fn replace_hash(core: &Core, id: &str, old_hash: String, password: String) -> Result<()> {
    let password_hash = Some(core.passwords.hash(password).await?);
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let Some(mut user) = user::get(tx, &id).await? else { return Ok(()) };
            if user.password_hash.as_ref() == Some(&old_hash) {
                user.password_hash = password_hash;
                user::update(tx, &user).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Deletes a user; its tokens, credentials and roles end with it.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    allowed(&mut core.read().await?, core, caller, "identity:delete_user", id).await?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            match user::delete(tx, &id).await? {
                true => Ok(()),
                false => Err(checks::not_found("user", &id)),
            }
        })
    })
    .await
}
