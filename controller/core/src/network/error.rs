//! Refusals that several use cases share, with Neutron's types and words.

use std::fmt::Display;

use crate::{Error, Result};

pub(super) fn network_not_found(id: &str) -> Error {
    Error::not_found("NetworkNotFound", format!("Network {id} could not be found."))
}

pub(super) fn subnet_not_found(id: &str) -> Error {
    Error::not_found("SubnetNotFound", format!("Subnet {id} could not be found."))
}

pub(super) fn port_not_found(id: &str) -> Error {
    Error::not_found("PortNotFound", format!("Port {id} could not be found."))
}

pub(super) fn router_not_found(id: &str) -> Error {
    Error::not_found("RouterNotFound", format!("Router {id} could not be found"))
}

pub(super) fn floating_ip_not_found(id: &str) -> Error {
    Error::not_found("FloatingIPNotFound", format!("Floating IP {id} could not be found"))
}

pub(super) fn group_not_found(id: &str) -> Error {
    Error::not_found("SecurityGroupNotFound", format!("Security group {id} does not exist"))
}

pub(super) fn rule_not_found(id: &str) -> Error {
    Error::not_found("SecurityGroupRuleNotFound", format!("Security group rule {id} does not exist"))
}

/// Neutron's `BadRequest`, which names the resource.
pub(super) fn bad_request(resource: &str, reason: impl Display) -> Error {
    Error::bad_request("BadRequest", format!("Bad {resource} request: {reason}."))
}

/// An attribute whose value is wrong.
pub(super) fn invalid_attribute(attribute: &str, reason: impl Display) -> Error {
    Error::bad_request("HTTPBadRequest", format!("Invalid input for {attribute}. Reason: {reason}."))
}

/// An operation whose input is wrong.
pub(super) fn invalid_input(reason: impl Display) -> Error {
    Error::bad_request("InvalidInput", format!("Invalid input for operation: {reason}."))
}

/// The thing, or the refusal that it does not exist.
pub(super) fn found<T>(thing: Option<T>, refusal: impl FnOnce() -> Error) -> Result<T> {
    thing.ok_or_else(refusal)
}
