//! The event as CADF spells it (DMTF DSP0262 1.0.0, with the taxonomy that OpenStack's services use).

use serde_json::{Value, json};
use updraft_model::Timestamp;
use updraft_model::audit::AuditEvent;

use super::operation::{Learned, Outcome, RequestFacts};

const EVENT_TYPE_URI: &str = "http://schemas.dmtf.org/cloud/audit/1.0/event";
/// The most ids that one event is found by; a request that makes more (a hundred servers) is found by the first ones.
const MAX_SUBJECTS: usize = 64;
/// The longest id that is searched for, in bytes: as the column has it.
const MAX_SUBJECT_BYTES: usize = 64;
/// The longest name of a client and reason that is kept, in characters.
const MAX_TEXT_CHARS: usize = 500;

pub(super) fn event(
    facts: &RequestFacts,
    learned: &Learned,
    now: Timestamp,
    outcome: &Outcome,
    made: &[(String, String)],
) -> AuditEvent {
    let id = uuid::Uuid::now_v7().to_string();
    let route = Route::of(facts);
    let succeeded = *outcome == Outcome::Success;
    let target_id = route.target_id(&facts.method, made);
    let mut document = json!({
        "typeURI": EVENT_TYPE_URI,
        "id": id,
        "eventTime": time(now),
        "eventType": "activity",
        "action": action(facts, learned, &route),
        "outcome": if succeeded { "success" } else { "failure" },
        "initiator": initiator(facts, learned),
        "target": {"id": target_id.as_deref().unwrap_or("unknown"), "typeURI": route.type_uri},
        "observer": {"id": "updraft-controller", "typeURI": route.service},
        "requestPath": facts.path,
        "tags": [format!("operation?value={} {}", facts.method, facts.template)],
    });
    if let Outcome::Failure { status, message, cause } = outcome {
        document["reason"] = json!({"reasonType": "HTTP", "reasonCode": status.to_string()});
        let texts = [("message", message), ("cause", cause)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some(attachment(name, text.as_ref()?)));
        document["attachments"] = texts.collect();
    } else if !made.is_empty() {
        let list = made.iter().take(MAX_SUBJECTS).map(|(table, id)| format!("{table}/{id}"));
        let list: Vec<String> = list.collect();
        document["attachments"] = json!([
            {"name": "made", "contentType": "application/json", "content": list}
        ]);
    }
    AuditEvent {
        id,
        time: now,
        request_id: facts.request_id.clone(),
        initiator_id: learned.initiator.user_id.clone(),
        project_id: learned.initiator.project_id.clone(),
        succeeded,
        subjects: subjects(&route, made),
        document,
    }
}

fn attachment(name: &str, text: &str) -> Value {
    json!({"name": name, "contentType": "text/plain", "content": shortened(text)})
}

/// CADF's timestamps have a numeric zone (DSP0262, 6.2.4).
fn time(now: Timestamp) -> String {
    format!("{}+0000", now.micros_bare())
}

/// From CADF's action taxonomy; what a method does not tell follows a slash, as in OpenStack's events.
fn action(facts: &RequestFacts, learned: &Learned, route: &Route<'_>) -> String {
    let verb = match facts.method.as_str() {
        "POST" if route.is_login() => "authenticate",
        // The only visit that is recorded: a browser that is back from an identity provider.
        "GET" | "HEAD" => "authenticate",
        "DELETE" if route.is_login() => "revoke",
        "POST" if route.names_an_action() => "update",
        "POST" => "create",
        "DELETE" => "delete",
        _ => "update",
    };
    match &learned.detail {
        Some(detail) => format!("{verb}/{detail}"),
        None => verb.to_owned(),
    }
}

fn initiator(facts: &RequestFacts, learned: &Learned) -> Value {
    let known = &learned.initiator;
    let mut initiator = json!({
        "id": known.user_id.as_deref().unwrap_or("unknown"),
        "typeURI": if known.is_host { "service/compute/host" } else { "service/security/account/user" },
        "request_id": facts.request_id,
        "host": {},
    });
    let optional = [
        ("name", &known.user_name),
        ("username", &known.user_name),
        ("user_domain_id", &known.user_domain_id),
        ("project_id", &known.project_id),
        ("domain_id", &known.domain_id),
        ("global_request_id", &facts.global_request_id),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            initiator[key] = json!(value);
        }
    }
    if let (Some(user_id), false) = (&known.user_id, known.is_host) {
        initiator["user_id"] = json!(user_id);
    }
    if let Some(address) = &facts.address {
        initiator["host"]["address"] = json!(address);
    }
    if let Some(agent) = &facts.agent {
        initiator["host"]["agent"] = json!(shortened(agent));
    }
    if let Some(audit_id) = &known.audit_id {
        initiator["credential"] = json!({"type": "token", "token": audit_id});
        if let Some((kind, id)) = &known.granted_by {
            initiator["credential"][kind] = json!(id);
        }
    }
    initiator
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}

fn subjects(route: &Route<'_>, made: &[(String, String)]) -> Vec<String> {
    let named = route.ids.iter().map(|id| (*id).to_owned());
    let mut subjects: Vec<String> = named.chain(made.iter().map(|(_, id)| id.clone())).collect();
    subjects.retain(|id| !id.is_empty() && id.len() <= MAX_SUBJECT_BYTES);
    subjects.truncate(MAX_SUBJECTS);
    subjects.sort();
    subjects.dedup();
    subjects
}

/// What a path says about the thing that it names.
struct Route<'a> {
    /// The observer's place in the taxonomy.
    service: &'static str,
    /// The target's.
    type_uri: String,
    /// The words of the template, without service and version.
    words: Vec<&'a str>,
    /// What stands where the template has names.
    ids: Vec<&'a str>,
}

impl<'a> Route<'a> {
    fn of(facts: &'a RequestFacts) -> Self {
        let mut segments = facts.template.split('/').skip(1).peekable();
        let service = match segments.peek() {
            Some(&"compute") => "service/compute",
            Some(&"image") => "service/storage/image",
            Some(&"network") => "service/network",
            Some(&"host") => "service/compute/hosts",
            _ => "service/security",
        };
        let is_word = |segment: &&str| !segment.starts_with('{') && !segment.is_empty();
        let words: Vec<&str> = segments
            .filter(is_word)
            .filter(|word| !matches!(*word, "compute" | "image" | "network" | "identity" | "host"))
            .filter(|word| !is_version(word))
            .collect();
        let pairs = facts.template.split('/').zip(facts.path.split('/'));
        let ids = pairs.filter(|(name, _)| name.starts_with('{')).map(|(_, id)| id).collect();
        let kinds: Vec<&str> = words.iter().copied().filter(|word| *word != "action").collect();
        Self { service, type_uri: format!("{service}/{}", kinds.join("/")), words, ids }
    }

    fn is_login(&self) -> bool {
        self.words == ["auth", "tokens"]
    }

    fn names_an_action(&self) -> bool {
        matches!(self.words.last(), Some(&("action" | "reactivate" | "deactivate" | "stage" | "import")))
    }

    /// What was made, when the request made something of the kind that its path ends with; else the last thing that
    /// the path names.
    fn target_id(&self, method: &str, made: &[(String, String)]) -> Option<String> {
        let own = || {
            let kind = self.words.last()?.replace('-', "_");
            let kind = kind.strip_prefix("os_").unwrap_or(&kind);
            made.iter().find(|(table, _)| table == kind || table.ends_with(&format!("_{kind}")))
        };
        let first = || self.ids.is_empty().then(|| made.first()).flatten();
        let fresh = if method == "POST" { own().or_else(first) } else { None };
        fresh.map(|(_, id)| id.clone()).or_else(|| self.ids.last().map(|id| (*id).to_owned()))
    }
}

fn is_version(word: &str) -> bool {
    word.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

#[cfg(test)]
mod tests {
    use updraft_model::Timestamp;

    use super::{Learned, Outcome, RequestFacts, event};

    fn facts(method: &str, template: &str, path: &str) -> RequestFacts {
        RequestFacts {
            method: method.into(),
            template: template.into(),
            path: path.into(),
            request_id: "req-1".into(),
            ..RequestFacts::default()
        }
    }

    #[test]
    fn actions_and_targets_follow_the_path() {
        let made = [("ports".to_owned(), "p1".to_owned()), ("servers".to_owned(), "s1".to_owned())];
        for (method, template, path, made, action, target, kind) in [
            (
                "POST",
                "/compute/v2.1/servers",
                "/compute/v2.1/servers",
                &made[..],
                "create",
                "s1",
                "service/compute/servers",
            ),
            (
                "POST",
                "/compute/v2.1/servers/{id}/action",
                "/compute/v2.1/servers/s2/action",
                &[],
                "update",
                "s2",
                "service/compute/servers",
            ),
            (
                "DELETE",
                "/v3/projects/{id}",
                "/v3/projects/x",
                &[],
                "delete",
                "x",
                "service/security/projects",
            ),
            (
                "POST",
                "/identity/v3/auth/tokens",
                "/identity/v3/auth/tokens",
                &[],
                "authenticate",
                "unknown",
                "service/security/auth/tokens",
            ),
            (
                "PUT",
                "/network/v2.0/routers/{id}/add_router_interface",
                "/network/v2.0/routers/r/add_router_interface",
                &[],
                "update",
                "r",
                "service/network/routers/add_router_interface",
            ),
        ] {
            let facts = facts(method, template, path);
            let found = event(&facts, &Learned::default(), Timestamp(0), &Outcome::Success, made);
            let document = &found.document;
            assert_eq!(document["action"], action, "{method} {template}");
            assert_eq!(document["target"]["id"], target, "{method} {template}");
            assert_eq!(document["target"]["typeURI"], kind, "{method} {template}");
            assert_eq!(document["eventTime"], "1970-01-01T00:00:00.000000+0000");
        }
    }
}
