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

pub(super) fn check(pairs: &Pairs, fields: &[Field], version: Microversion) -> Result<(), Error> {
    if !version.at_least(STRICT_SINCE) {
        return Ok(());
    }
    let known = |name: &str| fields.iter().any(|field| field.name == name && field.exists_in(version));
    match pairs.iter().find(|(name, _)| !known(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let name: String = name.chars().take(64).collect();
            let message = format!(
                "Invalid input for query parameters {name}. Additional properties are not allowed ('{name}' was unexpected)"
            );
            Err(Error::bad_request("ValidationError", message))
        }
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

pub(super) fn number(pairs: &Pairs, key: &str) -> Result<Option<u32>, Error> {
    let parsed = value(pairs, key).map(str::parse).transpose();
    parsed.map_err(|_| {
        Error::bad_request(
            "ValidationError",
            format!("Invalid input for query parameters {key}. A number is expected"),
        )
    })
}

pub(super) fn time(pairs: &Pairs, key: &str) -> Result<Option<Timestamp>, Error> {
    let Some(text) = value(pairs, key) else { return Ok(None) };
    // Times without a zone are UTC.
    let parsed = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z")));
    parsed.map(Some).ok_or_else(|| {
        Error::bad_request(
            "ValidationError",
            format!("Invalid input for query parameters {key}. A date and time is expected"),
        )
    })
}

/// What comes after `marker`, and at most `limit` of it; true when something is left.
pub(super) fn page<T>(
    mut items: Vec<T>,
    pairs: &Pairs,
    most: u32,
    id: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, bool), Error> {
    if let Some(marker) = value(pairs, "marker") {
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
    use super::{Pairs, flag, next_link, page, time};

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
        assert!(cut(&[("limit", "-1")]).is_err());
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
