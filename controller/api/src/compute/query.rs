//! Query strings: keys may be repeated, and what may be there depends on the microversion.

use updraft_core::Error;
use updraft_model::Timestamp;
use updraft_wire::compute::{Field, Microversion};

/// A query string as it came.
pub(super) type Pairs = Vec<(String, String)>;

/// From 2.75 on, a key that is not known is a 400.
const STRICT_SINCE: u16 = 75;

/// The last value of `key` that is not empty.
pub(super) fn value<'a>(pairs: &'a Pairs, key: &str) -> Option<&'a str> {
    pairs.iter().rev().find(|(name, value)| name == key && !value.is_empty()).map(|(_, value)| value.as_str())
}

/// What the values of a key look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holds {
    Text,
    /// Not nothing: a pattern, or a part of a name.
    Something,
    /// Digits.
    Number,
    Time,
    /// One of the words for yes and no.
    Boolean,
    /// One of the words of these lists.
    OneOf(&'static [&'static [&'static str]]),
}

/// A key that a query may have, and from when to when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    field: Field,
    holds: Holds,
}

impl Parameter {
    /// In all versions.
    pub const fn new(name: &'static str, holds: Holds) -> Self {
        Self { field: Field::always(name), holds }
    }

    /// From 2.`since` on.
    pub const fn since(name: &'static str, since: u16, holds: Holds) -> Self {
        Self { field: Field::since(name, since), holds }
    }

    /// From 2.`since` to 2.`until`, both included.
    pub const fn between(name: &'static str, since: u16, until: u16, holds: Holds) -> Self {
        Self { field: Field::between(name, since, until), holds }
    }

    pub const fn name(&self) -> &'static str {
        self.field.name
    }
}

/// The pairs that the call knows in `version`. A key that it does not know is dropped, and from 2.75 on refused; a value
/// that does not fit its key is refused in any version.
pub(super) fn read(pairs: Pairs, known: &[Parameter], version: Microversion) -> Result<Pairs, Error> {
    read_since(pairs, known, version, STRICT_SINCE)
}

/// The same for a call that refuses unknown keys from 2.`strict_since` on.
pub(super) fn read_since(
    pairs: Pairs,
    known: &[Parameter],
    version: Microversion,
    strict_since: u16,
) -> Result<Pairs, Error> {
    let mut kept = Pairs::new();
    for (name, value) in pairs {
        let mut named = known.iter().filter(|parameter| parameter.field.name == name);
        match named.find(|parameter| parameter.field.exists_in(version)) {
            Some(parameter) => {
                fit(&name, &value, parameter.holds)?;
                kept.push((name, value));
            }
            None if version.at_least(strict_since) => return Err(unexpected(&name)),
            None => {}
        }
    }
    Ok(kept)
}

fn unexpected(name: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    let message = format!("Additional properties are not allowed ('{name}' was unexpected)");
    Error::bad_request("ValidationError", message)
}

fn fit(name: &str, value: &str, holds: Holds) -> Result<(), Error> {
    let shown: String = value.chars().take(64).collect();
    let reason = match holds {
        Holds::Something | Holds::Number if value.is_empty() => "'' is too short".to_owned(),
        Holds::Number if !value.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("'{shown}' does not match '^[0-9]*$'")
        }
        Holds::Time if parsed_time(value).is_none() => format!("'{shown}' is not a 'date-time'"),
        Holds::Boolean if !BOOLEANS.contains(&value) => format!("'{shown}' is not one of {BOOLEANS:?}"),
        Holds::OneOf(lists) if !lists.iter().any(|words| words.contains(&value)) => {
            format!("'{shown}' is not one of {:?}", lists.concat())
        }
        Holds::Text | Holds::Something | Holds::Number | Holds::Time | Holds::Boolean | Holds::OneOf(_) => {
            return Ok(());
        }
    };
    let message = format!("Invalid input for query parameters {name}. Value: {shown}. {reason}");
    Err(Error::bad_request("ValidationError", message))
}

/// The words for yes and no where the API is strict about them.
const BOOLEANS: [&str; 20] = [
    "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "False", "FALSE", "false", "0",
    "OFF", "Off", "off", "NO", "No", "no",
];

/// For calls that take each key once.
pub(super) fn refuse_repeated(pairs: &Pairs) -> Result<(), Error> {
    let repeated = pairs
        .iter()
        .enumerate()
        .find(|(index, (name, _))| pairs.iter().skip(index + 1).any(|(other, _)| other == name));
    match repeated {
        None => Ok(()),
        Some((_, (name, _))) => {
            let message =
                format!("Invalid input for query parameters {name}. Its list of values is too long");
            Err(Error::bad_request("ValidationError", message))
        }
    }
}

/// A span of time does not end before it begins.
pub(super) fn refuse_backwards(since: Option<Timestamp>, before: Option<Timestamp>) -> Result<(), Error> {
    match (since, before) {
        (Some(since), Some(before)) if before < since => {
            let message = "The value of changes-since must be less than or equal to changes-before.";
            Err(Error::bad_request("BadRequest", message))
        }
        _ => Ok(()),
    }
}

/// `1`, `true`, … A key without a value is a yes, as in `?all_tenants`.
pub(super) fn flag(pairs: &Pairs, key: &str) -> Result<Option<bool>, Error> {
    let Some((_, value)) = pairs.iter().rev().find(|(name, _)| name == key) else { return Ok(None) };
    match value.to_ascii_lowercase().as_str() {
        "" | "1" | "true" | "t" | "on" | "yes" | "y" => Ok(Some(true)),
        "0" | "false" | "f" | "off" | "no" | "n" | "none" => Ok(Some(false)),
        _ => Err(Error::bad_request("ValidationError", format!("Invalid input for query parameters {key}."))),
    }
}

/// A number; one that is too large to be held is the largest.
pub(super) fn number(pairs: &Pairs, key: &str) -> Result<Option<u32>, Error> {
    let Some(text) = value(pairs, key) else { return Ok(None) };
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Some(text.parse().unwrap_or(u32::MAX)));
    }
    let message = format!("Invalid input for query parameters {key}. A number is expected");
    Err(Error::bad_request("ValidationError", message))
}

pub(super) fn time(pairs: &Pairs, key: &str) -> Result<Option<Timestamp>, Error> {
    let Some(text) = value(pairs, key) else { return Ok(None) };
    parsed_time(text).map(Some).ok_or_else(|| {
        Error::bad_request(
            "ValidationError",
            format!("Invalid input for query parameters {key}. A date and time is expected"),
        )
    })
}

/// Times without a zone are UTC, days begin at midnight.
fn parsed_time(text: &str) -> Option<Timestamp> {
    ["", "Z", "T00:00:00Z"].into_iter().find_map(|rest| Timestamp::parse(&format!("{text}{rest}")))
}

/// What comes after `marker`, and at most `limit` of it; true when something is left.
pub(super) fn page<T>(
    mut items: Vec<T>,
    pairs: &Pairs,
    most: u32,
    id: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, bool), Error> {
    if let Some((_, marker)) = pairs.iter().rev().find(|(name, _)| name == "marker") {
        let Some(index) = items.iter().position(|item| id(item) == marker) else {
            let marker: String = marker.chars().take(255).collect();
            return Err(Error::bad_request("MarkerNotFound", format!("marker [{marker}] not found")));
        };
        items.drain(..=index);
    }
    let limit = number(pairs, "limit")?.unwrap_or(most).min(most);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit && limit > 0;
    items.truncate(limit);
    Ok((items, more))
}

/// The link to the next page: the same query with another marker.
pub(super) fn next_link(endpoint: &str, path: &str, pairs: &Pairs, marker: &str) -> serde_json::Value {
    let mut query = String::new();
    let kept = pairs
        .iter()
        .filter(|(name, _)| name != "marker")
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in kept.chain([("marker", marker)]) {
        query.push(if query.is_empty() { '?' } else { '&' });
        query += &escape(name);
        query.push('=');
        query += &escape(value);
    }
    serde_json::json!([{"rel": "next", "href": format!("{endpoint}/compute/v2.1/{path}{query}")}])
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use updraft_wire::compute::Microversion;

    use super::{Holds, Pairs, Parameter, flag, next_link, page, read, time};

    fn pairs(list: &[(&str, &str)]) -> Pairs {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn pages_follow_each_other() {
        let items = || vec!["a".to_owned(), "b".into(), "c".into()];
        let cut = |query: &[(&str, &str)]| page(items(), &pairs(query), 1000, |item| item);
        assert_eq!(cut(&[("limit", "2")]).unwrap(), (vec!["a".into(), "b".into()], true));
        assert_eq!(cut(&[("limit", "2"), ("marker", "b")]).unwrap(), (vec!["c".into()], false));
        assert!(!cut(&[("limit", "3")]).unwrap().1, "no link to an empty page");
        assert!(cut(&[("marker", "x")]).is_err());
        assert!(cut(&[("marker", "")]).is_err());
        assert!(!cut(&[("limit", "99999999999")]).unwrap().1, "no number is too large");
        assert!(cut(&[("limit", "-1")]).is_err());
    }

    /// (key, value, microversion, whether it is kept, dropped or refused)
    #[test]
    fn what_a_query_may_hold_depends_on_the_microversion() {
        const KNOWN: &[Parameter] = &[
            Parameter::new("limit", Holds::Number),
            Parameter::new("name", Holds::Something),
            Parameter::since("changes-before", 66, Holds::Time),
            Parameter::new("with_servers", Holds::Boolean),
            Parameter::new("sort_dir", Holds::OneOf(&[&["asc", "desc"]])),
        ];
        for (key, value, minor, kept) in [
            ("limit", "5", 1, Some(1)),
            ("limit", "99999999999999999999", 1, Some(1)),
            ("limit", "", 1, None),
            ("limit", "+1", 1, None),
            ("limit", "-1", 96, None),
            ("name", "", 1, None),
            ("changes-before", "soon", 65, Some(0)),
            ("changes-before", "soon", 66, None),
            ("changes-before", "2026-01-01", 66, Some(1)),
            ("changes-before", "2026-01-01T00:00:00Z", 75, Some(1)),
            ("with_servers", "yes", 1, Some(1)),
            ("with_servers", "y", 1, None),
            ("sort_dir", "DESC", 1, None),
            ("unheard", "1", 74, Some(0)),
            ("unheard", "1", 75, None),
        ] {
            let result = read(pairs(&[(key, value)]), KNOWN, Microversion(minor));
            assert_eq!(result.ok().map(|kept| kept.len()), kept, "2.{minor} {key}={value}");
        }
    }

    #[test]
    fn a_next_link_keeps_the_query() {
        let link = next_link("http://c", "servers", &pairs(&[("limit", "1"), ("name", "a b&")]), "id");
        assert_eq!(link[0]["href"], "http://c/compute/v2.1/servers?limit=1&name=a%20b%26&marker=id");
    }

    #[test]
    fn flags_and_times() {
        assert_eq!(flag(&pairs(&[("all_tenants", "")]), "all_tenants").unwrap(), Some(true));
        assert_eq!(flag(&pairs(&[("all_tenants", "False")]), "all_tenants").unwrap(), Some(false));
        assert!(flag(&pairs(&[("all_tenants", "x")]), "all_tenants").is_err());
        assert!(
            time(&pairs(&[("changes-since", "2026-01-01T00:00:00")]), "changes-since").unwrap().is_some()
        );
        assert!(time(&pairs(&[("changes-since", "soon")]), "changes-since").is_err());
    }
}
