//! Users and their passwords.

use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Extra, FederatedName, Options, User, given_options, merge_options};
pub use updraft_store::identity::user::UserFilter;
use updraft_store::identity::{application_credential, domain, federated_user, group, user};
use updraft_store::{Conn, Tx};

use super::{access, checks, compliance};
use crate::policy::{Target, UserTarget};
use crate::{Caller, Core, Error, Result};

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
    let mut user = User {
        id: new_keystone_id(),
        domain_id: access::domain_of_new(caller, new.domain_id),
        name,
        description: new.description,
        email: new.email,
        default_project_id: new.default_project_id,
        enabled: new.enabled,
        options: given_options(new.options),
        extra: new.extra,
        password: None,
        created_at: Some(core.clock.now()),
        tokens_valid_after: Timestamp(0),
    };
    if let Some(password) = new.password {
        compliance::check_form(core, &password)?;
        let hash = core.passwords.hash(password).await?;
        let rules = &core.config.security_compliance;
        user.password = Some(compliance::new_password(rules, core.clock.now(), &user, hash, false));
    }
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
    let mut found = allowed(&mut core.read().await?, core, caller, "identity:get_user", id).await?;
    compliance::with_inactive_disabled(core, std::slice::from_mut(&mut found)).await?;
    Ok(found)
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
    // Who counts as disabled is in no column.
    let enabled = filter.enabled.take();
    let mut users = user::list(&mut core.read().await?, &filter).await?;
    compliance::with_inactive_disabled(core, &mut users).await?;
    users.retain(|user| enabled.is_none_or(|enabled| user.enabled == enabled));
    Ok(users)
}

/// Who a user is to identity providers.
pub async fn federated_names(core: &Core, user: &User) -> Result<Vec<FederatedName>> {
    let found = federated_user::names(&mut core.read().await?, Some(&user.id)).await?;
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

/// The ids of the users with such a name at an identity provider; what is `None` may be any.
pub async fn with_federated_name(
    core: &Core,
    idp_id: Option<&str>,
    protocol_id: Option<&str>,
    unique_id: Option<&str>,
) -> Result<Vec<String>> {
    let mut found = federated_user::names(&mut core.read().await?, None).await?;
    found.retain(|(_, name)| {
        idp_id.is_none_or(|wanted| wanted == name.idp_id)
            && protocol_id.is_none_or(|wanted| wanted == name.protocol_id)
            && unique_id.is_none_or(|wanted| wanted == name.unique_id)
    });
    Ok(found.into_iter().map(|(user_id, _)| user_id).collect())
}

/// The users of a group.
pub async fn list_of_group(core: &Core, caller: &Caller, group_id: &str) -> Result<Vec<User>> {
    let mut conn = core.read().await?;
    let found = group::get(&mut conn, group_id).await?;
    access::enforce(core, caller, "identity:list_users_in_group", &access::group(found.as_ref()))?;
    found.ok_or_else(|| checks::not_found("group", group_id))?;
    let ids = Some(group::members(&mut conn, group_id).await?);
    let mut users = user::list(&mut conn, &UserFilter { ids, ..UserFilter::default() }).await?;
    drop(conn);
    users.retain(|user| access::shows(caller, &user.domain_id));
    compliance::with_inactive_disabled(core, &mut users).await?;
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
    let new_hash = match change.password.clone() {
        Some(Some(password)) => {
            compliance::check_form(core, &password)?;
            Some(Some(core.passwords.hash(password).await?))
        }
        Some(None) => Some(None),
        None => None,
    };
    let (id, now, rules) = (id.to_owned(), core.clock.now(), core.config.security_compliance.clone());
    core.write(move |tx| {
        Box::pin(async move {
            let mut user = user::get(tx, &id).await?.ok_or_else(|| checks::not_found("user", &id))?;
            if new_hash.is_some() || (user.enabled && change.enabled == Some(false)) {
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
            merge_options(&mut user.options, change.options.unwrap_or_default());
            if let Some(hash) = new_hash {
                let new = hash.map(|hash| compliance::new_password(&rules, now, &user, hash, false));
                compliance::replace(tx, &rules, &mut user, new).await?;
            }
            if change.enabled == Some(true) {
                compliance::let_in_again(tx, &rules, &user.id, now).await?;
            }
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
    let found = compliance::authenticate(core, found, original).await?;
    compliance::check_own_change(core, &found, &password).await?;
    let new_hash = core.passwords.hash(password).await?;
    let (now, rules) = (core.clock.now(), core.config.security_compliance.clone());
    core.write(move |tx| {
        Box::pin(async move {
            let mut user = user::get(tx, &found.id).await?.ok_or_else(Error::unauthorized)?;
            if user.password != found.password {
                return Err(Error::conflict("Conflict", "The password was changed at the same time."));
            }
            let new = compliance::new_password(&rules, now, &user, new_hash, true);
            compliance::replace(tx, &rules, &mut user, Some(new)).await?;
            user.tokens_valid_after = now;
            Ok(user::update(tx, &user).await?)
        })
    })
    .await
}

/// After a login with a hash of another kind than new ones, keeps a new one instead. The tokens of the user stay good.
pub(super) async fn renew_hash(core: &Core, user: &User, password: String) {
    let old_hash = user.password.as_ref().map(|password| password.hash.clone());
    let Some(old_hash) = old_hash.filter(|hash| core.passwords.is_dated(hash)) else { return };
    if let Err(error) = replace_hash(core, &user.id, old_hash, password).await {
        tracing::warn!(%error, user = user.id, "an old password hash was not replaced");
    }
}

async fn replace_hash(core: &Core, id: &str, old_hash: String, password: String) -> Result<()> {
    let new_hash = core.passwords.hash(password).await?;
    let id = id.to_owned();
    core.store
        .write(move |tx| {
            Box::pin(async move {
                let Some(mut user) = user::get(tx, &id).await? else { return Ok(()) };
                if let Some(password) = user.password.as_mut().filter(|password| password.hash == old_hash) {
                    password.hash = new_hash;
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
