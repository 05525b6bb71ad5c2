//! Who sees a network resource at all, and what rules are asked about it, filled from the database. Rules decide among
//! what the caller's project has or is shared with it, and about the rest for administrators and services alone: what
//! somebody else has is *not found*, whatever a rule says.

use updraft_model::network::Network;

use super::error::bad_request;
use crate::policy::{Service, Target, refusal};
use crate::{Caller, Error, Result};

/// What Neutron answers to a request that its policy forbids.
pub(super) fn forbidden(action: &str) -> Error {
    refusal(Service::Network, action)
}

/// Whether the caller is an administrator of networks.
pub(super) fn is_admin(caller: &Caller) -> bool {
    caller.policy.is_admin(caller, Service::Network)
}

/// Whether a rule passes that asks for nothing but who the caller is.
fn passes(caller: &Caller, rule: &str) -> bool {
    caller.policy.allows_of(Service::Network, caller, rule, &Target::default())
}

/// Whether nothing is kept from the caller: an administrator, a service, whoever has access to everything.
pub(super) fn sees_all(caller: &Caller) -> bool {
    is_admin(caller) || passes(caller, "service_api") || passes(caller, "context_with_global_access")
}

/// Whether what this project has is the caller's to see.
pub(super) fn reaches(caller: &Caller, project_id: &str) -> bool {
    caller.project_id.as_deref() == Some(project_id) || sees_all(caller)
}

/// The project that a new resource belongs to: the caller's own, or the one that is named by an administrator, a
/// service, or whoever else may.
pub(super) fn owner_of_new(caller: &Caller, requested: Option<&str>) -> Result<String> {
    let own = caller.project_id.as_deref();
    let Some(named) = requested.filter(|project| !project.is_empty() && Some(*project) != own) else {
        let none =
            || bad_request("project_id", "a token of no project makes nothing unless it says for which");
        return own.map(str::to_owned).ok_or_else(none);
    };
    if is_admin(caller) || passes(caller, "service_api") || passes(caller, "context_can_set_project_id") {
        return Ok(named.to_owned());
    }
    let message = "Specifying 'project_id' other than the authenticated project in request is not allowed for the \
                   current user.";
    Err(Error::bad_request("HTTPBadRequest", message))
}

/// What the database is asked for by a list: `None` is everything, else what this project reaches.
pub(super) fn scope(caller: &Caller, action: &str) -> Result<Option<String>> {
    if sees_all(caller) {
        return Ok(None);
    }
    caller.project_id.clone().map(Some).ok_or_else(|| forbidden(action))
}

/// A thing in a network: what it is, and what the network is.
pub(super) fn in_network<'a>(project_id: &'a str, network: &'a Network) -> Target<'a> {
    Target {
        network_project_id: Some(&network.project_id),
        shared: Some(network.shared),
        ..Target::of_project(project_id)
    }
}

/// Refuses the first attribute that the request sets and whose rule does not let the caller.
pub(super) fn attributes(caller: &Caller, target: &Target<'_>, set: &[(bool, &str)]) -> Result<()> {
    match set.iter().find(|(is_set, rule)| *is_set && !caller.may(rule, target)) {
        Some((_, rule)) => Err(forbidden(rule)),
        None => Ok(()),
    }
}

/// The attributes (named with their rules) that the caller is not shown.
pub(super) fn hidden(
    caller: &Caller,
    target: &Target<'_>,
    rules: &[(&'static str, &str)],
) -> Vec<&'static str> {
    rules.iter().filter(|(_, rule)| !caller.may(rule, target)).map(|(name, _)| *name).collect()
}
