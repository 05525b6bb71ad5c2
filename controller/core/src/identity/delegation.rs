//! What a token that somebody handed on must not do: make what would outlive it, or reach beyond it.

use super::checks;
use crate::{Caller, Error, Result};

/// A restricted application credential makes and deletes no credentials.
pub(super) fn require_unrestricted(caller: &Caller) -> Result<()> {
    match &caller.application_credential {
        Some(credential) if credential.restricted => Err(checks::forbidden(
            "Using method 'application_credential' is not allowed for managing additional application credentials.",
        )),
        _ => Ok(()),
    }
}

/// No application credential, restricted or not, has to do with trusts.
pub(super) fn refuse_application_credential(caller: &Caller) -> Result<()> {
    match &caller.application_credential {
        Some(_) => Err(checks::forbidden(
            "Using method 'application_credential' is not allowed for managing trusts.",
        )),
        None => Ok(()),
    }
}

/// What is made by a trust's token would outlive the trust.
pub(super) fn refuse_trust(caller: &Caller, what: &str) -> Result<()> {
    match &caller.trust {
        Some(_) => Err(Error::forbidden(format!("Cannot manage {what} with a token issued via delegation."))),
        None => Ok(()),
    }
}

/// A token that was handed on reaches credentials of its own project alone; those of no project are none of its.
pub(super) fn require_own_project(caller: &Caller, project_id: Option<&str>) -> Result<()> {
    match caller.is_delegated() && (project_id.is_none() || project_id != caller.project_id.as_deref()) {
        true => Err(checks::forbidden(
            "Credential project does not match the project scope of the delegated token.",
        )),
        false => Ok(()),
    }
}
