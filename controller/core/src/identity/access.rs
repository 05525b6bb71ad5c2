//! What identity's policy rules are asked about, filled from rows of the database.

use updraft_model::identity::{DEFAULT_DOMAIN_ID, Group, Project, Role, User};

use crate::policy::{GroupTarget, ProjectTarget, RoleTarget, Target, UserTarget};
use crate::{Caller, Core, Result};

/// 403 unless the caller passes `identity:<action>` for this target.
pub(super) fn enforce(core: &Core, caller: &Caller, action: &str, target: &Target<'_>) -> Result<()> {
    core.policy.enforce(caller, action, target)
}

/// For calls that are about nothing in particular.
pub(super) fn enforce_plain(core: &Core, caller: &Caller, action: &str) -> Result<()> {
    enforce(core, caller, action, &Target::default())
}

/// For lists: what they are narrowed to is the domain that the token is for.
pub(super) fn enforce_list(core: &Core, caller: &Caller, action: &str) -> Result<()> {
    let domain_id = caller.domain_id.as_deref();
    let group = domain_id.map(|domain_id| GroupTarget { id: "", domain_id });
    enforce(core, caller, action, &Target { domain_id, domain: domain_id, group, ..Target::default() })
}

/// A project that may not exist: then only those pass who would for any.
pub(super) fn project(found: Option<&Project>) -> Target<'_> {
    let project = found.map(|found| ProjectTarget { id: &found.id, domain_id: &found.domain_id });
    Target { project, ..Target::default() }
}

pub(super) fn user(found: Option<&User>) -> Target<'_> {
    let user = found.map(|found| UserTarget { id: &found.id, domain_id: &found.domain_id });
    Target { user, user_id: found.map(|found| found.id.as_str()), ..Target::default() }
}

pub(super) fn group(found: Option<&Group>) -> Target<'_> {
    let group = found.map(|found| GroupTarget { id: &found.id, domain_id: &found.domain_id });
    Target { group, ..Target::default() }
}

pub(super) fn role(found: Option<&Role>) -> Target<'_> {
    let role = found.map(|found| RoleTarget { name: &found.name, domain_id: found.domain_id.as_deref() });
    Target { role, ..Target::default() }
}

/// The domain of something new: the one that is named, that of the token, the default one.
pub(super) fn domain_of_new(caller: &Caller, named: Option<String>) -> String {
    named.or_else(|| caller.domain_id.clone()).unwrap_or_else(|| DEFAULT_DOMAIN_ID.to_owned())
}

/// Whether something of this domain may be in a list: a token for a domain shows that domain alone.
pub(super) fn shows(caller: &Caller, domain_id: &str) -> bool {
    caller.domain_id.as_deref().is_none_or(|own| own == domain_id)
}
