//! Trusts (API reference "OS-TRUST API"): a user lets another act with some of its roles.

use std::collections::BTreeSet;

use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Role, Target as Scope, Trust};
pub use updraft_store::identity::trust::TrustFilter;
use updraft_store::identity::{project, role, trust, user};
use updraft_store::{Conn, Tx};

use super::application_credential::RoleRef;
use super::live::Look;
use super::{checks, delegation, effective, live};
use crate::policy::{Target, TrustTarget};
use crate::{Caller, Core, Error, Result};

/// How long a chain of trusts may be (Keystone's `max_redelegation_count`).
const MAX_REDELEGATIONS: i64 = 3;

/// A trust to be made; the trustor is the caller.
#[derive(Clone, Debug)]
pub struct NewTrust {
    pub trustor_user_id: String,
    pub trustee_user_id: String,
    pub project_id: Option<String>,
    pub impersonation: bool,
    /// ISO 8601, UTC.
    pub expires_at: Option<String>,
    pub remaining_uses: Option<i64>,
    pub roles: Vec<RoleRef>,
    pub allow_redelegation: bool,
    pub redelegation_count: Option<i64>,
}

/// A trust with its roles looked up.
#[derive(Clone, Debug)]
pub struct Shown {
    pub trust: Trust,
    pub roles: Vec<Role>,
}

/// Makes a trust. With a token of another trust it is a link in that one's chain and never more than it.
pub async fn create(core: &Core, caller: &Caller, new: NewTrust) -> Result<Shown> {
    let trustor = (new.trustor_user_id.as_str(), new.trustee_user_id.as_str());
    caller.enforce("identity:create_trust", &target(trustor))?;
    delegation::refuse_application_credential(caller)?;
    if new.project_id.is_some() && new.roles.is_empty() {
        return Err(checks::forbidden("At least one role should be specified"));
    }
    if caller.user_id != new.trustor_user_id {
        return Err(checks::forbidden("The authenticated user should match the trustor"));
    }
    let now = core.clock.now();
    let expires_at = checks::future(new.expires_at.as_deref(), now)?;
    let parent_id = caller.trust.as_ref().map(|trust| trust.id.clone());
    let of_token = caller.roles.clone();
    core.write(move |tx| {
        Box::pin(async move {
            if user::get(tx, &new.trustee_user_id).await?.is_none() {
                return Err(checks::not_found("user", &new.trustee_user_id));
            }
            let parent = match &parent_id {
                Some(id) => Some(get_live_chain(tx, id, now).await?),
                None => None,
            };
            let roles = wanted_roles(tx, &new, parent.as_deref(), &of_token).await?;
            let trust = linked(unlinked(new, expires_at, &roles)?, parent.as_deref())?;
            trust::insert(tx, &trust).await?;
            Ok(Shown { trust, roles })
        })
    })
    .await
}

/// The trust as it is asked for, before the chain has its say.
fn unlinked(new: NewTrust, expires_at: Option<Timestamp>, roles: &[Role]) -> Result<Unlinked> {
    let is_redelegatable = new.allow_redelegation && new.redelegation_count != Some(0);
    if new.remaining_uses.is_some_and(|uses| uses < 1) {
        return Err(invalid("remaining_uses must be a positive integer or null."));
    }
    if new.redelegation_count.is_some_and(i64::is_negative) {
        return Err(invalid("redelegation_count must not be negative."));
    }
    if is_redelegatable && new.remaining_uses.is_some() {
        return Err(invalid("remaining_uses must not be set if redelegation is allowed"));
    }
    if is_redelegatable && new.redelegation_count.is_some_and(|count| count > MAX_REDELEGATIONS) {
        return Err(Error::forbidden(format!(
            "Requested redelegation depth of {} is greater than allowed {MAX_REDELEGATIONS}",
            new.redelegation_count.unwrap_or_default()
        )));
    }
    Ok(Unlinked {
        wanted_count: if is_redelegatable { new.redelegation_count } else { Some(0) },
        is_redelegatable,
        trust: Trust {
            id: new_keystone_id(),
            trustor_user_id: new.trustor_user_id,
            trustee_user_id: new.trustee_user_id,
            project_id: new.project_id,
            impersonation: new.impersonation,
            expires_at,
            remaining_uses: new.remaining_uses,
            redelegation_count: 0,
            redelegated_trust_id: None,
            role_ids: roles.iter().map(|role| role.id.clone()).collect(),
        },
    })
}

struct Unlinked {
    trust: Trust,
    is_redelegatable: bool,
    wanted_count: Option<i64>,
}

/// Fits the trust to the chain that it is made with: the parent first, then its parents.
fn linked(unlinked: Unlinked, chain: Option<&[Trust]>) -> Result<Trust> {
    let Unlinked { mut trust, is_redelegatable, wanted_count } = unlinked;
    let Some([parent, ..]) = chain else {
        trust.redelegation_count = wanted_count.unwrap_or(MAX_REDELEGATIONS);
        return Ok(trust);
    };
    let remaining = parent.redelegation_count - 1;
    if is_redelegatable && wanted_count.is_some_and(|count| count != remaining) {
        return Err(Error::forbidden(
            "Modifying \"redelegation_count\" upon redelegation is forbidden. Omitting this parameter is advised.",
        ));
    }
    if trust.project_id != parent.project_id {
        return Err(Error::forbidden("A redelegated trust is for the same project."));
    }
    trust.redelegated_trust_id = Some(parent.id.clone());
    trust.redelegation_count = wanted_count.unwrap_or(remaining);
    for ancestor in chain.unwrap_or_default() {
        check_link(ancestor, &mut trust)?;
    }
    Ok(trust)
}

/// Refuses a link that is more than the trust above it, and lets it inherit that one's end.
fn check_link(parent: &Trust, child: &mut Trust) -> Result<()> {
    let depth = parent.redelegation_count;
    if !(1..=MAX_REDELEGATIONS).contains(&depth) {
        return Err(Error::forbidden(format!(
            "Remaining redelegation depth of {depth} out of allowed range of [0..{MAX_REDELEGATIONS}]"
        )));
    }
    if child.remaining_uses.is_some() {
        return Err(Error::forbidden(
            "Field \"remaining_uses\" is set while it must not be set in order to redelegate a trust",
        ));
    }
    match (parent.expires_at, child.expires_at) {
        (Some(parent), Some(child)) if parent < child => {
            return Err(Error::forbidden(
                "Requested expiration time is more than redelegated trust can provide",
            ));
        }
        (inherited, None) => child.expires_at = inherited,
        _ => {}
    }
    if !child.role_ids.iter().all(|role_id| parent.role_ids.contains(role_id)) {
        return Err(Error::forbidden("Some of requested roles are not in redelegated trust"));
    }
    if !parent.impersonation && child.impersonation {
        return Err(Error::forbidden(format!(
            "Impersonation is not allowed because redelegated trust does not specify impersonation. Redelegated \
             trust id: {}",
            parent.id
        )));
    }
    Ok(())
}

fn invalid(message: &str) -> Error {
    Error::bad_request("ValidationError", message)
}

/// The roles that are asked for: the original trustor holds them, and the token they are asked for with has them.
async fn wanted_roles(
    tx: &mut Tx,
    new: &NewTrust,
    chain: Option<&[Trust]>,
    of_token: &[String],
) -> Result<Vec<Role>> {
    let Some(project_id) = &new.project_id else {
        // Without a project there is no role to hand on.
        return match new.roles.first() {
            None => Ok(Vec::new()),
            Some(RoleRef::Id(name) | RoleRef::Name(name)) => Err(checks::not_found("role", name)),
        };
    };
    if project::get(tx, project_id).await?.is_none() {
        return Err(checks::not_found("project", project_id));
    }
    let original =
        chain.and_then(<[Trust]>::last).map_or(&new.trustor_user_id, |trust| &trust.trustor_user_id);
    let held = effective::roles(tx, original, &Scope::Project(project_id.clone())).await?;
    let all = role::list_all(tx).await?;
    let mut wanted: Vec<Role> = Vec::new();
    for asked in &new.roles {
        let (RoleRef::Id(name) | RoleRef::Name(name)) = asked;
        let fits = |role: &&Role| match asked {
            RoleRef::Id(id) => role.id == *id,
            RoleRef::Name(name) => role.name == *name && role.domain_id.is_none(),
        };
        let found = all.iter().find(fits).filter(|role| held.iter().any(|held| held.id == role.id));
        let found = found.ok_or_else(|| checks::not_found("role", name))?;
        // A trust's token has the trust's roles alone, and hands on no more.
        if chain.is_some() && !of_token.contains(&found.name) {
            return Err(Error::forbidden("Some of requested roles are not in redelegated trust"));
        }
        if !wanted.contains(found) {
            wanted.push(found.clone());
        }
    }
    Ok(wanted)
}

fn target<'a>((trustor_user_id, trustee_user_id): (&'a str, &'a str)) -> Target<'a> {
    Target { trust: Some(TrustTarget { trustor_user_id, trustee_user_id }), ..Target::default() }
}

fn target_of(trust: &Trust) -> Target<'_> {
    target((&trust.trustor_user_id, &trust.trustee_user_id))
}

/// One trust; trustor, trustee and administrators see it. 404 also when it has expired or has no uses left.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Shown> {
    show(core, caller, "identity:get_trust", id).await
}

/// The roles of a trust.
pub async fn list_roles(core: &Core, caller: &Caller, id: &str) -> Result<Vec<Role>> {
    Ok(show(core, caller, "identity:list_roles_for_trust", id).await?.roles)
}

/// One role of a trust; 404 when it does not hand that on.
pub async fn get_role(core: &Core, caller: &Caller, id: &str, role_id: &str) -> Result<Role> {
    let roles = show(core, caller, "identity:get_role_for_trust", id).await?.roles;
    roles.into_iter().find(|role| role.id == role_id).ok_or_else(|| checks::not_found("role", role_id))
}

async fn show(core: &Core, caller: &Caller, rule: &str, id: &str) -> Result<Shown> {
    let mut conn = core.read().await?;
    let trust = get_current(&mut conn, id, core.clock.now()).await?;
    caller.enforce(rule, &target_of(&trust))?;
    delegation::refuse_application_credential(caller)?;
    let mut roles = role::list_all(&mut conn).await?;
    roles.retain(|role| trust.role_ids.contains(&role.id));
    Ok(Shown { trust, roles })
}

/// Trusts that fit the filter: one's own as trustor or trustee, all for administrators.
pub async fn list(core: &Core, caller: &Caller, filter: &TrustFilter) -> Result<Vec<Trust>> {
    match (&filter.trustor_user_id, &filter.trustee_user_id) {
        (Some(trustor), _) => {
            caller.enforce("identity:list_trusts_for_trustor", &target((trustor, "")))?;
        }
        (None, Some(trustee)) => {
            caller.enforce("identity:list_trusts_for_trustee", &target(("", trustee)))?;
        }
        (None, None) => caller.enforce("identity:list_trusts", &Target::default())?,
    }
    delegation::refuse_application_credential(caller)?;
    let now = core.clock.now();
    let mut found = trust::list(&mut core.read().await?, filter).await?;
    found.retain(|trust| is_current(trust, now));
    Ok(found)
}

/// Deletes a trust and all that were made with it; their tokens end.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    let found = trust::get(&mut core.read().await?, id).await?;
    let found = found.ok_or_else(|| checks::not_found("trust", id))?;
    caller.enforce("identity:delete_trust", &target_of(&found))?;
    delegation::refuse_application_credential(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut waiting = vec![id];
            while let Some(id) = waiting.pop() {
                let filter = TrustFilter { redelegated_trust_id: Some(id.clone()), ..TrustFilter::default() };
                waiting.extend(trust::list(tx, &filter).await?.into_iter().map(|trust| trust.id));
                trust::delete(tx, &id).await?;
            }
            Ok(())
        })
    })
    .await
}

fn is_current(trust: &Trust, now: Timestamp) -> bool {
    trust.expires_at.is_none_or(|expiry| now < expiry) && trust.remaining_uses != Some(0)
}

async fn get_current(conn: &mut Conn, id: &str, now: Timestamp) -> Result<Trust> {
    let found = trust::get(conn, id).await?.filter(|trust| is_current(trust, now));
    found.ok_or_else(|| checks::not_found("trust", id))
}

/// The trust and those that it was made with, the trust first; 403 when a link of the chain does not hold.
async fn get_live_chain(conn: &mut Conn, id: &str, now: Timestamp) -> Result<Vec<Trust>> {
    chain(conn, id, now)
        .await?
        .ok_or_else(|| Error::forbidden("One of the trust agents is disabled or deleted"))
}

async fn chain(conn: &mut Conn, id: &str, now: Timestamp) -> Result<Option<Vec<Trust>>> {
    let mut chain: Vec<Trust> = Vec::new();
    let mut next = Some(id.to_owned());
    while let Some(id) = next {
        // A chain cannot be longer than this; one that is was made by other means.
        if i64::try_from(chain.len()).is_ok_and(|length| length > MAX_REDELEGATIONS) {
            return Ok(None);
        }
        let Some(trust) = trust::get(conn, &id).await? else { return Ok(None) };
        // The uses of a trust count when tokens are made, not while they live.
        if trust.expires_at.is_some_and(|expiry| expiry <= now) {
            return Ok(None);
        }
        if let Some(child) = chain.last_mut()
            && check_link(&trust, child).is_err()
        {
            return Ok(None);
        }
        next = trust.redelegated_trust_id.clone();
        chain.push(trust);
    }
    Ok(Some(chain))
}

/// The trust of a token, if everybody in its chain may still act, and when one of them counts as disabled for being
/// away.
pub(super) async fn live(
    conn: &mut Conn,
    id: &str,
    look: Look<'_>,
) -> Result<Option<(Trust, Option<Timestamp>)>> {
    let Some(chain) = chain(conn, id, look.at).await? else { return Ok(None) };
    let mut idle_at: Option<Timestamp> = None;
    for trust in &chain {
        for user_id in [&trust.trustor_user_id, &trust.trustee_user_id] {
            let Some(found) = live::live_user(conn, user_id, look).await? else { return Ok(None) };
            idle_at = idle_at.into_iter().chain(found.idle_at).min();
        }
    }
    Ok(chain.into_iter().next().map(|trust| (trust, idle_at)))
}

/// The roles of a trust's token; none when the original trustor has lost one of them.
pub(super) async fn roles(conn: &mut Conn, trust: &Trust) -> Result<Vec<Role>> {
    let Some(project_id) = &trust.project_id else { return Ok(Vec::new()) };
    let mut original = trust.trustor_user_id.clone();
    let mut above = trust.redelegated_trust_id.clone();
    while let Some(id) = above {
        let Some(parent) = trust::get(conn, &id).await? else { return Ok(Vec::new()) };
        original = parent.trustor_user_id;
        above = parent.redelegated_trust_id;
    }
    let held = effective::roles(conn, &original, &Scope::Project(project_id.clone())).await?;
    let direct: BTreeSet<String> = trust.role_ids.iter().cloned().collect();
    let ids = effective::with_implied(direct, &role::implications(conn).await?);
    if !ids.iter().all(|id| held.iter().any(|role| role.id == *id)) {
        return Ok(Vec::new());
    }
    Ok(held.into_iter().filter(|role| ids.contains(&role.id)).collect())
}
