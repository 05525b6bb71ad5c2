//! Application credentials and access rules (API reference "Application Credentials").

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore;
use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{AccessRule, ApplicationCredential, Role, Target as Scope};
pub use updraft_store::identity::application_credential::RuleFilter;
use updraft_store::identity::{application_credential, role, user};
use updraft_store::{Conn, StoreErrorKind, Tx};

use super::permission::{self, Target, UserTarget};
use super::{checks, delegation, effective};
use crate::{Caller, Core, Error, ErrorKind, Result};

/// Application credentials of one user; more are refused with 403.
const MAX_OF_USER: usize = 1000;
/// Access rules of one application credential.
const MAX_RULES: usize = 100;
/// The longest path of an access rule, in characters, as in Keystone's schema.
const MAX_RULE_PATH_CHARS: usize = 225;
/// The longest service type of an access rule, in characters.
const MAX_RULE_SERVICE_CHARS: usize = 64;
const RULE_METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];
/// Bytes of a secret that is made here.
const SECRET_BYTES: usize = 64;

/// An application credential to be made, for the caller and the project of its token.
#[derive(Clone)]
pub struct NewApplicationCredential {
    pub name: String,
    pub description: Option<String>,
    /// `None`: one is made.
    pub secret: Option<String>,
    /// ISO 8601, UTC.
    pub expires_at: Option<String>,
    pub unrestricted: bool,
    /// Roles of the token; all of them when empty.
    pub roles: Vec<RoleRef>,
    pub access_rules: Vec<RuleRef>,
}

/// A role by its id or by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleRef {
    Id(String),
    Name(String),
}

/// A rule that is there, or one to be made.
#[derive(Clone, Debug)]
pub enum RuleRef {
    Id(String),
    New { service: String, method: String, path: String },
}

/// An application credential with its roles looked up.
#[derive(Clone, Debug)]
pub struct Shown {
    pub credential: ApplicationCredential,
    pub roles: Vec<Role>,
}

/// Makes an application credential; the secret is in the answer and never again. Roles that the token does not
/// have are a 400, a name that the user has used a 409.
pub async fn create(
    core: &Core,
    caller: &Caller,
    user_id: &str,
    new: NewApplicationCredential,
) -> Result<(Shown, String)> {
    let target = Target { user_id: Some(user_id), ..Target::default() };
    permission::enforce(caller, "identity:create_application_credential", &target)?;
    delegation::refuse_trust(caller, "application credentials")?;
    delegation::require_unrestricted(caller)?;
    if caller.user_id != user_id {
        return Err(checks::forbidden("Cannot create an application credential for another user."));
    }
    let project_id = caller.project_id.clone();
    let project_id = project_id.ok_or_else(|| invalid("the token is not scoped to a project"))?;
    let name = checks::name(&new.name, checks::MAX_NAME_CHARS)?;
    let rules = checked_rules(new.access_rules)?;
    let expires_at = checks::future(new.expires_at.as_deref(), core.clock.now())?;
    let secret = new.secret.unwrap_or_else(new_secret);
    let credential = ApplicationCredential {
        id: new_keystone_id(),
        user_id: user_id.to_owned(),
        project_id,
        name,
        description: new.description,
        secret_hash: core.passwords.hash(secret.clone()).await?,
        expires_at,
        unrestricted: new.unrestricted,
        role_ids: Vec::new(),
        access_rules: Vec::new(),
    };
    let (wanted, held) = (new.roles, caller.roles.clone());
    let shown = core
        .write(move |tx| {
            Box::pin(async move {
                let roles = roles_for(tx, &credential, &wanted, &held).await?;
                insert(tx, credential, roles, rules).await
            })
        })
        .await?;
    Ok((shown, secret))
}

async fn insert(
    tx: &mut Tx,
    mut credential: ApplicationCredential,
    roles: Vec<Role>,
    rules: Vec<RuleRef>,
) -> Result<Shown> {
    if application_credential::list(tx, &credential.user_id, None).await?.len() >= MAX_OF_USER {
        return Err(Error::forbidden(format!(
            "Unable to create additional application credentials, maximum of {MAX_OF_USER} already exceeded for user."
        )));
    }
    credential.role_ids = roles.iter().map(|role| role.id.clone()).collect();
    for rule in rules {
        let rule = ensure_rule(tx, &credential.user_id, rule).await?;
        if !credential.access_rules.contains(&rule) {
            credential.access_rules.push(rule);
        }
    }
    let inserted = application_credential::insert(tx, &credential).await;
    checks::unique("application_credential", &credential.name, inserted)?;
    Ok(Shown { credential, roles })
}

/// The wanted roles with those they imply, all of which the token has and the user holds by itself.
async fn roles_for(
    tx: &mut Tx,
    credential: &ApplicationCredential,
    wanted: &[RoleRef],
    of_token: &[String],
) -> Result<Vec<Role>> {
    let scope = Scope::Project(credential.project_id.clone());
    let mut held = effective::roles(tx, &credential.user_id, &scope).await?;
    held.retain(|role| of_token.contains(&role.name));
    if wanted.is_empty() {
        return Ok(held);
    }
    let mut ids = std::collections::BTreeSet::new();
    for wanted in wanted {
        let fits = |role: &&Role| match wanted {
            RoleRef::Id(id) => role.id == *id,
            RoleRef::Name(name) => role.name == *name,
        };
        match held.iter().find(fits) {
            Some(role) => ids.insert(role.id.clone()),
            None => return Err(refused_role(tx, wanted).await?),
        };
    }
    let ids = effective::with_implied(ids, &role::implications(tx).await?);
    held.retain(|role| ids.contains(&role.id));
    Ok(held)
}

async fn refused_role(conn: &mut Conn, wanted: &RoleRef) -> Result<Error> {
    let exists = match wanted {
        RoleRef::Id(id) => role::get(conn, id).await?.is_some(),
        RoleRef::Name(name) => !role::list(conn, None, Some(name)).await?.is_empty(),
    };
    let (RoleRef::Id(name) | RoleRef::Name(name)) = wanted;
    Ok(match exists {
        true => invalid("Cannot create an application credential with unassigned role"),
        false => checks::not_found("role", name),
    })
}

fn invalid(detail: &str) -> Error {
    Error::bad_request("ValidationError", format!("Invalid application credential: {detail}"))
}

fn new_secret() -> String {
    let mut bytes = [0; SECRET_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn checked_rules(rules: Vec<RuleRef>) -> Result<Vec<RuleRef>> {
    let fits = |rule: &RuleRef| match rule {
        RuleRef::Id(_) => true,
        RuleRef::New { service, method, path } => {
            (1..=MAX_RULE_SERVICE_CHARS).contains(&service.chars().count())
                && RULE_METHODS.contains(&method.as_str())
                && path.starts_with('/')
                && path.chars().count() <= MAX_RULE_PATH_CHARS
        }
    };
    if rules.len() > MAX_RULES || !rules.iter().all(fits) {
        return Err(invalid("an access rule has a service, a method in upper case and a path"));
    }
    Ok(rules)
}

/// The rule of this id, or the user's rule that says the same, or a new one.
async fn ensure_rule(tx: &mut Tx, user_id: &str, wanted: RuleRef) -> Result<AccessRule> {
    let (service, method, path) = match wanted {
        RuleRef::Id(id) => {
            let found = application_credential::get_rule(tx, user_id, &id).await?;
            return found.ok_or_else(|| checks::not_found("Access Rule", &id));
        }
        RuleRef::New { service, method, path } => (service, method, path),
    };
    let filter =
        RuleFilter { service: Some(service.clone()), method: Some(method.clone()), path: Some(path.clone()) };
    if let Some(found) = application_credential::list_rules(tx, user_id, &filter).await?.into_iter().next() {
        return Ok(found);
    }
    let rule = AccessRule { id: new_keystone_id(), service, method, path };
    application_credential::insert_rule(tx, user_id, &rule).await?;
    Ok(rule)
}

/// The user's application credentials, without secrets.
pub async fn list(core: &Core, caller: &Caller, user_id: &str, name: Option<&str>) -> Result<Vec<Shown>> {
    let target = Target { user_id: Some(user_id), ..Target::default() };
    permission::enforce(caller, "identity:list_application_credentials", &target)?;
    delegation::refuse_trust(caller, "application credentials")?;
    let mut conn = core.read().await?;
    let found = application_credential::list(&mut conn, user_id, name).await?;
    shown(&mut conn, found).await
}

/// One application credential. Policy sees its owner, whatever user the path names.
pub async fn get(core: &Core, caller: &Caller, user_id: &str, id: &str) -> Result<Shown> {
    let mut conn = core.read().await?;
    let found = application_credential::get(&mut conn, id).await?;
    let owner = found.as_ref().map_or(user_id, |credential| credential.user_id.as_str());
    let target = Target { user_id: Some(owner), ..Target::default() };
    permission::enforce(caller, "identity:get_application_credential", &target)?;
    delegation::refuse_trust(caller, "application credentials")?;
    let found = found.ok_or_else(|| checks::not_found("Application Credential", id))?;
    let mut shown = shown(&mut conn, vec![found]).await?;
    shown.pop().ok_or_else(|| checks::not_found("Application Credential", id))
}

async fn shown(conn: &mut Conn, found: Vec<ApplicationCredential>) -> Result<Vec<Shown>> {
    let roles = role::list_all(conn).await?;
    let with_roles = |credential: ApplicationCredential| {
        let held = roles.iter().filter(|role| credential.role_ids.contains(&role.id)).cloned().collect();
        Shown { credential, roles: held }
    };
    Ok(found.into_iter().map(with_roles).collect())
}

/// Deletes one; its tokens end with it.
pub async fn delete(core: &Core, caller: &Caller, user_id: &str, id: &str) -> Result<()> {
    let found = application_credential::get(&mut core.read().await?, id).await?;
    let owner = found.as_ref().map_or(user_id, |credential| credential.user_id.as_str());
    let target = Target { user_id: Some(owner), ..Target::default() };
    permission::enforce(caller, "identity:delete_application_credential", &target)?;
    delegation::refuse_trust(caller, "application credentials")?;
    delegation::require_unrestricted(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            match application_credential::delete(tx, &id).await? {
                true => Ok(()),
                false => Err(checks::not_found("Application Credential", &id)),
            }
        })
    })
    .await
}

/// The user's access rules.
pub async fn list_rules(
    core: &Core,
    caller: &Caller,
    user_id: &str,
    filter: &RuleFilter,
) -> Result<Vec<AccessRule>> {
    enforce_on_user(core, caller, "identity:list_access_rules", user_id).await?;
    Ok(application_credential::list_rules(&mut core.read().await?, user_id, filter).await?)
}

pub async fn get_rule(core: &Core, caller: &Caller, user_id: &str, id: &str) -> Result<AccessRule> {
    enforce_on_user(core, caller, "identity:get_access_rule", user_id).await?;
    let found = application_credential::get_rule(&mut core.read().await?, user_id, id).await?;
    found.ok_or_else(|| checks::not_found("Access Rule", id))
}

/// Deletes an access rule; 403 while an application credential has it.
pub async fn delete_rule(core: &Core, caller: &Caller, user_id: &str, id: &str) -> Result<()> {
    enforce_on_user(core, caller, "identity:delete_access_rule", user_id).await?;
    let (user_id, id) = (user_id.to_owned(), id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            match application_credential::delete_rule(tx, &user_id, &id).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(checks::not_found("Access Rule", &id)),
                Err(error) if error.kind == StoreErrorKind::Reference => {
                    Err(Error::new(ErrorKind::Forbidden, "Forbidden", "The access rule is in use."))
                }
                Err(error) => Err(error.into()),
            }
        })
    })
    .await
}

async fn enforce_on_user(core: &Core, caller: &Caller, rule: &str, user_id: &str) -> Result<()> {
    let found = user::get(&mut core.read().await?, user_id).await?;
    let user = found.as_ref().map(|user| UserTarget { id: &user.id });
    permission::enforce(caller, rule, &Target { user, ..Target::default() })?;
    delegation::refuse_trust(caller, "access rules")?;
    Ok(())
}

/// Whether an application credential may be used at `now`.
pub(super) fn is_current(credential: &ApplicationCredential, now: Timestamp) -> bool {
    credential.expires_at.is_none_or(|expiry| now < expiry)
}
