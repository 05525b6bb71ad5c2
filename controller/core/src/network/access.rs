//! Who may do what to a network resource. Somebody else's is *not found*, unless it is shared: then it may be seen.

use crate::policy::{Service, Target};
use crate::{Caller, Error, ErrorKind, Result};

/// What Neutron answers to a request that its policy forbids.
pub(super) fn forbidden(action: &str) -> Error {
    let message = format!("rule:{action} is disallowed by policy");
    Error::new(ErrorKind::Forbidden, "PolicyNotAuthorized", message)
}

/// A thing of this project, of whatever kind: for those that are parts of others, `owner` is the whole's.
fn owned_by(owner: &str) -> Target<'_> {
    Target {
        network_project_id: Some(owner),
        parent_project_id: Some(owner),
        security_group_project_id: Some(owner),
        ..Target::of_project(owner)
    }
}

/// Whether the caller is an administrator of networks.
pub(super) fn is_admin(caller: &Caller) -> bool {
    caller.policy.is_admin(caller, Service::Network)
}

/// The project that a new resource belongs to: the caller's own, or the one that is named if the rule lets it.
pub(super) fn owner_of_new(caller: &Caller, requested: Option<&str>, action: &str) -> Result<String> {
    let own = caller.project_id.as_deref();
    let requested = requested.filter(|project| !project.is_empty());
    let Some(project) = requested.or(own) else { return Err(forbidden(action)) };
    if caller.may(action, &owned_by(project)) {
        return Ok(project.to_owned());
    }
    let is_anothers = requested.is_some() && requested != own;
    Err(if is_anothers { forbidden(&format!("{action}:tenant_id")) } else { forbidden(action) })
}

/// What the caller may list: `None` is everything, else the resources of this project.
pub(super) fn scope(caller: &Caller, action: &str) -> Result<Option<String>> {
    if is_admin(caller) {
        return Ok(None);
    }
    let own = caller.project_id.as_deref().filter(|own| caller.may(action, &owned_by(own)));
    own.map(|own| Some(own.to_owned())).ok_or_else(|| forbidden(action))
}

/// May change what `owner` has. For resources that the caller has already seen.
pub(super) fn may_change(caller: &Caller, owner: &str, action: &str) -> Result<()> {
    if caller.may(action, &owned_by(owner)) { Ok(()) } else { Err(forbidden(action)) }
}

/// For an attribute with a rule of its own: refused when it is there and the rule does not let the caller set it.
pub(super) fn admin_attribute<T>(caller: &Caller, value: Option<&T>, action: &str) -> Result<()> {
    let target = Target::own(caller);
    if value.is_some() && !caller.may(action, &target) { Err(forbidden(action)) } else { Ok(()) }
}
