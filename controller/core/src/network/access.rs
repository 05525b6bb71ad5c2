//! Who may do what to a network resource. Somebody else's is *not found*, unless it is shared: then it may be seen.

use crate::policy::{require_member, require_reader};
use crate::{Caller, Error, ErrorKind, Result};

/// What Neutron answers to a request that its policy forbids.
pub(super) fn forbidden(action: &str) -> Error {
    let message = format!("rule:{action} is disallowed by policy");
    Error::new(ErrorKind::Forbidden, "PolicyNotAuthorized", message)
}

/// The project that a new resource belongs to: the caller's own, or, for administrators, the one that they name.
pub(super) fn owner_of_new(caller: &Caller, requested: Option<&str>, action: &str) -> Result<String> {
    let own = require_member(caller).map_err(|_| forbidden(action));
    match requested.filter(|project| !project.is_empty()) {
        Some(project) if caller.is_admin() => Ok(project.to_owned()),
        Some(project) if own.as_ref().is_ok_and(|own| *own != project) => {
            Err(forbidden(&format!("{action}:tenant_id")))
        }
        _ => own.map(str::to_owned),
    }
}

/// What the caller may list: `None` is everything, else the resources of this project.
pub(super) fn scope(caller: &Caller, action: &str) -> Result<Option<String>> {
    if caller.is_admin() {
        return Ok(None);
    }
    require_reader(caller).map(|project| Some(project.to_owned())).map_err(|_| forbidden(action))
}

/// May change what `owner` has. For resources that the caller has already seen.
pub(super) fn may_change(caller: &Caller, owner: &str, action: &str) -> Result<()> {
    let own = require_member(caller).is_ok_and(|project| project == owner);
    if own || caller.is_admin() { Ok(()) } else { Err(forbidden(action)) }
}

/// For an attribute that only administrators may set: refused when it is there and they are not.
pub(super) fn admin_attribute<T>(caller: &Caller, value: Option<&T>, action: &str) -> Result<()> {
    if value.is_some() && !caller.is_admin() { Err(forbidden(action)) } else { Ok(()) }
}
