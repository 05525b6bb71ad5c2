//! Checks and refusals that every identity resource words the same way.

use updraft_store::{StoreError, StoreErrorKind};

use crate::{Error, Result};

/// The longest name in characters, as in Keystone's schema.
const MAX_NAME_CHARS: usize = 255;

/// A name that Keystone would take.
pub(super) fn name(name: &str) -> Result<()> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > MAX_NAME_CHARS {
        return Err(Error::bad_request(
            "ValidationError",
            format!("A name has 1 to {MAX_NAME_CHARS} characters."),
        ));
    }
    Ok(())
}

pub(super) fn not_found(what: &str, id: &str) -> Error {
    Error::not_found("NotFound", format!("Could not find {what}: {id}."))
}

pub(super) fn forbidden(action: &str) -> Error {
    Error::forbidden(format!("You are not authorized to perform the requested action: {action}."))
}

/// Names the name in the conflict that the unique key of a table found.
pub(super) fn unique<T>(what: &str, name: &str, result: std::result::Result<T, StoreError>) -> Result<T> {
    result.map_err(|error| match error.kind {
        StoreErrorKind::Duplicate => Error::conflict(
            "Conflict",
            format!("Conflict occurred attempting to store {what} - Duplicate entry found with name {name}."),
        ),
        _ => error.into(),
    })
}
