//! Checks and refusals that every identity resource words the same way: Keystone's schemas and exceptions
//! (`keystone/resource/schema.py`, `keystone/exception.py`).

use updraft_model::Timestamp;
use updraft_model::identity::{IMMUTABLE, Options, is_set};
use updraft_store::{StoreError, StoreErrorKind};

use crate::{Error, Result};

/// The longest name of a user, group, role or service in characters.
pub(super) const MAX_NAME_CHARS: usize = 255;
/// The longest name of a project or domain in characters.
pub(super) const MAX_PROJECT_NAME_CHARS: usize = 64;
/// Tags of one project or domain.
const MAX_TAGS: usize = 80;
/// The longest tag in characters.
const MAX_TAG_CHARS: usize = 255;

/// The options that a user may have; all but the rules are booleans.
const USER_OPTIONS: [&str; 6] = [
    "ignore_change_password_upon_first_use",
    "ignore_password_expiry",
    "ignore_lockout_failure_attempts",
    "lock_password",
    "ignore_user_inactivity",
    "multi_factor_auth_enabled",
];
const MFA_RULES: &str = "multi_factor_auth_rules";

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::bad_request("ValidationError", message)
}

/// A name that Keystone would take, without the space around it.
pub(super) fn name(name: &str, max_chars: usize) -> Result<String> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > max_chars {
        let problem = if length > max_chars { "is too long" } else { "is too short" };
        return Err(invalid(format!(
            "Invalid input for field 'name': it {problem}; a name has 1 to {max_chars} characters."
        )));
    }
    Ok(name.trim().to_owned())
}

/// Tags that Keystone would take: different, without `,` and `/`.
pub(super) fn tags(tags: &[String]) -> Result<()> {
    if tags.len() > MAX_TAGS {
        return Err(invalid(format!("Invalid input for field 'tags': there may be {MAX_TAGS} at most.")));
    }
    for (position, tag) in tags.iter().enumerate() {
        let length = tag.chars().count();
        if length == 0 || length > MAX_TAG_CHARS || tag.contains([',', '/']) {
            return Err(invalid(format!(
                "Invalid input for field 'tags': a tag has 1 to {MAX_TAG_CHARS} characters, without ',' and '/'."
            )));
        }
        if tags[..position].contains(tag) {
            return Err(invalid(format!("Invalid input for field 'tags': '{tag}' is there twice.")));
        }
    }
    Ok(())
}

/// The options of projects, domains and roles: `immutable` alone.
pub(super) fn options(options: &Options) -> Result<()> {
    for (name, value) in options {
        if name != IMMUTABLE || !(value.is_boolean() || value.is_null()) {
            return Err(invalid(format!("Invalid input for field 'options': {name}.")));
        }
    }
    Ok(())
}

/// The options of users.
pub(super) fn user_options(options: &Options) -> Result<()> {
    let fits = |name: &str, value: &serde_json::Value| match name {
        MFA_RULES => value.is_null() || are_mfa_rules(value),
        name => USER_OPTIONS.contains(&name) && (value.is_boolean() || value.is_null()),
    };
    match options.iter().find(|(name, value)| !fits(name, value)) {
        Some((name, _)) => Err(invalid(format!("Invalid input for field 'options': {name}."))),
        None => Ok(()),
    }
}

/// Lists of methods: none empty, none twice, no method twice in one.
fn are_mfa_rules(value: &serde_json::Value) -> bool {
    let Some(rules) = value.as_array() else { return false };
    rules.iter().enumerate().all(|(position, rule)| {
        let Some(methods) = rule.as_array().filter(|methods| !methods.is_empty()) else { return false };
        let differ = |(position, method): (usize, &serde_json::Value)| {
            method.is_string() && !methods[..position].contains(method)
        };
        methods.iter().enumerate().all(differ) && !rules[..position].contains(rule)
    })
}

pub(super) fn not_found(what: &str, id: &str) -> Error {
    Error::not_found("NotFound", format!("Could not find {what}: {id}."))
}

pub(super) fn forbidden(action: &str) -> Error {
    Error::forbidden(format!("You are not authorized to perform the requested action: {action}."))
}

/// 400 when a body names another id than the path.
pub(super) fn same_id(given: Option<&str>, id: &str) -> Result<()> {
    match given {
        Some(given) if given != id => Err(invalid("Cannot change ID")),
        _ => Ok(()),
    }
}

/// 400 when a change would move something to another domain.
pub(super) fn same_domain(given: Option<&str>, domain_id: &str) -> Result<()> {
    match given {
        Some(given) if given != domain_id => Err(invalid("Cannot change Domain ID")),
        _ => Ok(()),
    }
}

/// Names the name in the conflict that the unique key of a table found.
pub(super) fn unique<T>(what: &str, name: &str, result: std::result::Result<T, StoreError>) -> Result<T> {
    result.map_err(|error| match error.kind {
        StoreErrorKind::Duplicate => duplicate(what, &format!("Duplicate entry found with name {name}")),
        _ => error.into(),
    })
}

/// [`unique`] for names that are unique within a domain.
pub(super) fn unique_in<T>(
    domain_id: &str,
    what: &str,
    name: &str,
    result: std::result::Result<T, StoreError>,
) -> Result<T> {
    unique(what, &format!("{name} at domain ID {domain_id}"), result)
}

/// An `expires_at` of a request: ISO 8601 in UTC, with or without the `Z`; 400 when it has passed.
pub(super) fn future(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    let text = if text.ends_with('Z') { text.to_owned() } else { format!("{text}Z") };
    let time = Timestamp::parse(&text)
        .ok_or_else(|| Error::bad_request("ValidationError", format!("Invalid time: {text}")))?;
    if time <= now {
        let message = "The 'expires_at' must not be before now. The server could not comply with the request since \
                       it is either malformed or otherwise incorrect. The client is assumed to be in error.";
        return Err(Error::bad_request("ValidationExpirationError", message));
    }
    Ok(Some(time))
}

pub(super) fn duplicate(what: &str, details: &str) -> Error {
    Error::conflict("Conflict", format!("Conflict occurred attempting to store {what} - {details}."))
}

/// An immutable resource only takes the change that makes it mutable, and that alone.
pub(super) fn may_update(
    what: &str,
    id: &str,
    options: &Options,
    changes: Option<&Options>,
    is_all: bool,
) -> Result<()> {
    let unlocks = changes
        .is_some_and(|changes| changes.get(IMMUTABLE).is_some_and(|value| value.is_null() || value == false));
    if !is_set(options, IMMUTABLE) || (unlocks && is_all) {
        return Ok(());
    }
    Err(immutable("update", what, id))
}

pub(super) fn may_delete(what: &str, id: &str, options: &Options) -> Result<()> {
    if is_set(options, IMMUTABLE) { Err(immutable("delete", what, id)) } else { Ok(()) }
}

fn immutable(verb: &str, what: &str, id: &str) -> Error {
    Error::forbidden(format!(
        "Unable to {verb} immutable {what} resource: `{id}. Set resource option \"immutable\" to false first."
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{may_update, name, tags, user_options};

    #[test]
    fn names_and_tags_as_in_keystones_schema() {
        assert_eq!(name(" a b ", 64).unwrap(), "a b");
        for bad in ["", "  ", &"x".repeat(65)] {
            assert!(name(bad, 64).is_err(), "{bad}");
        }
        let tag_list = |list: &[&str]| tags(&list.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
        assert!(tag_list(&["a", "b c", "ü"]).is_ok());
        for bad in [&["a", "a"][..], &[""], &["a,b"], &["a/b"]] {
            assert!(tag_list(bad).is_err(), "{bad:?}");
        }
        let many: Vec<String> = (0..81).map(|number| number.to_string()).collect();
        assert!(tags(&many[..80]).is_ok() && tags(&many).is_err());
    }

    #[test]
    fn user_options_are_a_closed_set() {
        let check = |value: serde_json::Value| user_options(value.as_object().unwrap());
        assert!(check(json!({"lock_password": true, "ignore_password_expiry": null})).is_ok());
        assert!(check(json!({"multi_factor_auth_rules": [["password", "totp"], ["token"]]})).is_ok());
        for bad in [
            json!({"lock_password": "yes"}),
            json!({"nonsense": true}),
            json!({"multi_factor_auth_rules": [[]]}),
            json!({"multi_factor_auth_rules": [["totp", "totp"]]}),
            json!({"multi_factor_auth_rules": [["totp"], ["totp"]]}),
        ] {
            assert!(check(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_immutable_takes_the_unlocking_alone() {
        let locked = json!({"immutable": true});
        let options = locked.as_object().unwrap();
        let unlock = json!({"immutable": false});
        let unlock = unlock.as_object();
        assert!(may_update("role", "r", options, None, false).is_err());
        assert!(may_update("role", "r", options, unlock, true).is_ok());
        assert!(may_update("role", "r", options, unlock, false).is_err(), "and nothing else at once");
    }
}
