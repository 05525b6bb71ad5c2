//! Keystone's notifications (docs.openstack.org/keystone, "Keystone Event Notifications"), in its `cadf` format. The
//! payload has `resource_info` as the `basic` format does, so consumers of either understand it.

use serde_json::{Value, json};
use updraft_model::Timestamp;
use updraft_store::Notice;

use super::{info, segments};
use crate::audit::{Operation, Outcome};

/// (the word in a path, the table, Keystone's name for it, CADF's type of it)
const KINDS: [(&str, &str, &str, &str); 11] = [
    ("projects", "projects", "project", "data/security/project"),
    ("users", "users", "user", "data/security/account/user"),
    ("groups", "user_groups", "group", "data/security/group"),
    ("roles", "roles", "role", "data/security/role"),
    ("domains", "domains", "domain", "data/security/domain"),
    ("services", "services", "service", "data/security/service"),
    ("endpoints", "endpoints", "endpoint", "data/security/endpoint"),
    ("regions", "regions", "region", "data/security/region"),
    ("policies", "policy_blobs", "policy", "data/security/policy"),
    ("trusts", "trusts", "OS-TRUST:trust", "data/security/trust"),
    (
        "application_credentials",
        "application_credentials",
        "application_credential",
        "data/security/credential",
    ),
];

/// What happened to one thing.
struct Change<'a> {
    kind: &'a str,
    type_uri: &'a str,
    verb: &'a str,
    id: &'a str,
    /// What else the payload says.
    extra: Value,
}

/// `identity.*.created` for each row of a kind that Keystone tells of.
pub(super) fn made(made: &[(String, String)], operation: Option<&Operation>, now: Timestamp) -> Vec<Notice> {
    let known = made.iter().filter_map(|(table, id)| {
        let (_, _, kind, type_uri) = KINDS.iter().find(|(_, name, _, _)| *name == table.as_str())?;
        let change = Change { kind, type_uri, verb: "created", id, extra: Value::Null };
        Some(notice(&change, operation, now))
    });
    known.collect()
}

/// `identity.*.updated`, `identity.*.deleted` and `identity.role_assignment.*`, which follow from the request.
pub(super) fn changed(operation: &Operation, now: Timestamp) -> Option<Notice> {
    let facts = operation.facts();
    let path = segments(facts, "v3")?;
    let words: Vec<&str> = path.iter().map(|(name, _)| *name).collect();
    let is_delete = facts.method == "DELETE";
    if let Some((extra, role_id)) = assignment(&path) {
        let verb = match facts.method.as_str() {
            "PUT" => "created",
            "DELETE" => "deleted",
            _ => return None,
        };
        let kind = "role_assignment";
        let change = Change { kind, type_uri: "data/security/account/user", verb, id: role_id, extra };
        return Some(notice(&change, Some(operation), now));
    }
    let kind = |word: &str| KINDS.iter().find(|(name, ..)| *name == word);
    let (word, id, verb, extra) = match (facts.method.as_str(), words.as_slice()) {
        ("PUT" | "DELETE", ["groups", _, "users", _]) => {
            let verb = if is_delete { "removed" } else { "added" };
            let actor = json!({"actor_id": path[3].1, "actor_type": "user", "actor_operation": verb});
            ("groups", path[1].1, "updated", actor)
        }
        ("PUT" | "DELETE", ["projects", _, "tags", ..]) => ("projects", path[1].1, "updated", Value::Null),
        ("POST", ["users", _, "password"]) => ("users", path[1].1, "updated", Value::Null),
        ("PATCH" | "DELETE", [.., word, last]) if last.starts_with('{') => {
            (*word, path[path.len() - 1].1, if is_delete { "deleted" } else { "updated" }, Value::Null)
        }
        _ => return None,
    };
    let (_, _, kind, type_uri) = kind(word)?;
    Some(notice(&Change { kind, type_uri, verb, id, extra }, Some(operation), now))
}

/// Who gets which role where, when the path is one of a role assignment.
fn assignment<'a>(path: &[(&str, &'a str)]) -> Option<(Value, &'a str)> {
    let is_inherited = path.last().is_some_and(|(name, _)| *name == "inherited_to_projects");
    let value = |word: &str| {
        let place = path.iter().position(|(name, _)| *name == word)?;
        path.get(place + 1).map(|(_, value)| *value)
    };
    let role_id = value("roles")?;
    let actor = value("users").map(|id| ("user", id)).or_else(|| value("groups").map(|id| ("group", id)))?;
    let mut extra = json!({"role": role_id, "inherited_to_projects": is_inherited});
    extra[actor.0] = json!(actor.1);
    if let Some(project) = value("projects") {
        extra["project"] = json!(project);
    } else if let Some(domain) = value("domains") {
        extra["domain"] = json!(domain);
    }
    Some((extra, role_id))
}

/// The request's CADF event, about this one thing.
fn notice(change: &Change<'_>, operation: Option<&Operation>, now: Timestamp) -> Notice {
    let Change { kind, type_uri, verb, id, extra } = change;
    let mut payload = match operation {
        Some(operation) => operation.event(now, &Outcome::Success, &[]).document,
        None => json!({}),
    };
    payload["action"] = json!(format!("{verb}.{kind}"));
    payload["target"] = json!({"id": id, "typeURI": type_uri});
    if *kind != "role_assignment" {
        payload["resource_info"] = json!(id);
    }
    for (key, value) in extra.as_object().into_iter().flatten() {
        payload[key] = value.clone();
    }
    info(format!("identity.{kind}.{verb}"), payload)
}

#[cfg(test)]
mod tests {
    use updraft_model::Timestamp;

    use super::changed;
    use crate::audit::{Operation, RequestFacts};

    #[test]
    fn requests_are_told_of_by_keystones_names() {
        for (method, template, path, event, id) in [
            ("PATCH", "/v3/projects/{project_id}", "/v3/projects/p", "identity.project.updated", "p"),
            ("DELETE", "/identity/v3/users/{user_id}", "/identity/v3/users/u", "identity.user.deleted", "u"),
            ("POST", "/v3/users/{user_id}/password", "/v3/users/u/password", "identity.user.updated", "u"),
            (
                "PUT",
                "/v3/groups/{group_id}/users/{user_id}",
                "/v3/groups/g/users/u",
                "identity.group.updated",
                "g",
            ),
            (
                "PUT",
                "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}",
                "/v3/projects/p/users/u/roles/r",
                "identity.role_assignment.created",
                "r",
            ),
            (
                "DELETE",
                "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
                "/v3/OS-INHERIT/domains/d/groups/g/roles/r/inherited_to_projects",
                "identity.role_assignment.deleted",
                "r",
            ),
            (
                "DELETE",
                "/v3/OS-TRUST/trusts/{trust_id}",
                "/v3/OS-TRUST/trusts/t",
                "identity.OS-TRUST:trust.deleted",
                "t",
            ),
        ] {
            let (method, template, path) = (method.into(), template.into(), path.into());
            let facts = RequestFacts { method, template, path, ..RequestFacts::default() };
            let notice = changed(&Operation::new(facts), Timestamp(0)).unwrap();
            assert_eq!(notice.event_type, event);
            assert_eq!(notice.payload["target"]["id"], id, "{event}");
            let is_resource = notice.payload["resource_info"] == id;
            assert_eq!(is_resource, !event.contains("role_assignment"), "{event}");
        }
    }

    #[test]
    fn what_keystone_keeps_to_itself_is_not_told() {
        for (method, template) in [
            ("POST", "/v3/auth/tokens"),
            ("DELETE", "/v3/auth/tokens"),
            ("PATCH", "/v3/limits/{limit_id}"),
            ("PUT", "/v3/roles/{role_id}/implies/{implied_id}"),
            ("POST", "/v3/projects"),
            ("DELETE", "/network/v2.0/networks/{id}"),
        ] {
            let facts = RequestFacts {
                method: method.into(),
                template: template.into(),
                path: template.into(),
                ..RequestFacts::default()
            };
            assert_eq!(changed(&Operation::new(facts), Timestamp(0)), None, "{method} {template}");
        }
    }
}
