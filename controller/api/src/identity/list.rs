//! Keystone's dialect of lists: exact filters, inexact ones (`name__contains`), sorting, `limit` and `marker`
//! (`keystone/server/flask/common.py`).

use std::cmp::Ordering;
use std::convert::Infallible;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::{Map, Value, json};
use updraft_core::{Error, Result};

use crate::routes::{Reads, Shape};

/// Items in one answer, however many a client asks for.
const MAX_PAGE: usize = 1000;

/// The query of a list call, as it came.
#[derive(Clone, Debug)]
pub(super) struct ListCall {
    pairs: Vec<(String, String)>,
    query: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for ListCall {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> std::result::Result<Self, Infallible> {
        let query = parts.uri.query().map(str::to_owned);
        let pairs = parsed(query.as_deref().unwrap_or_default());
        Ok(Self { pairs, query })
    }
}

fn parsed(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

impl Reads for ListCall {
    fn describe(shape: &mut Shape) {
        shape.queries.extend(["limit", "marker", "sort_key", "sort_dir"]);
    }
}

impl ListCall {
    /// The value of a parameter, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A switch: on when it is there, unless its value is `0`.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "0")
    }

    /// A filter by a boolean; 400 for a value that means neither yes nor no. An empty one means yes.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let words = ["", "0", "1", "false", "n", "no", "off", "on", "true", "y", "yes"];
        match words.contains(&value.to_ascii_lowercase().as_str()) {
            true => Ok(Some(as_boolean(value))),
            false => Err(invalid_filter(name, "it is neither true nor false")),
        }
    }

    /// 400 when one of these filters is there without a value.
    pub fn require_values(&self, names: &[&str]) -> Result<()> {
        match names.iter().find(|name| self.get(name) == Some("")) {
            Some(name) => Err(invalid_filter(name, "it is empty")),
            None => Ok(()),
        }
    }

    /// The answer: of `items`, those that pass the filters on `attributes`, in order, a page of them.
    pub fn answer(
        &self,
        endpoint: &str,
        path: &str,
        collection: &'static str,
        attributes: &[&str],
        items: Vec<impl Serialize>,
    ) -> Result<Json<Value>> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(serde_json::to_value(item).map_err(Error::internal)?);
        }
        values.retain(|item| self.passes(item, attributes));
        self.sort(&mut values);
        let url = format!("{endpoint}/identity/v3/{path}");
        let is_cut = self.cut(&mut values)?;
        let next = match (is_cut, values.last().and_then(|last| last["id"].as_str())) {
            (true, Some(marker)) => Value::from(format!("{url}?{}", self.query_after(marker))),
            _ => Value::Null,
        };
        let this = self.query.as_ref().map_or_else(|| url.clone(), |query| format!("{url}?{query}"));
        let links = json!({"self": this, "next": next, "previous": null});
        let mut body = Map::from_iter([(collection.to_owned(), values.into()), ("links".to_owned(), links)]);
        if is_cut {
            body.insert("truncated".to_owned(), true.into());
        }
        Ok(Json(body.into()))
    }

    fn passes(&self, item: &Value, attributes: &[&str]) -> bool {
        self.pairs.iter().all(|(key, wanted)| match key.split_once("__") {
            None if attributes.contains(&key.as_str()) => is_equal(&item[key], wanted),
            Some((name, comparator)) if attributes.contains(&name) => {
                is_like(item[name].as_str(), comparator, wanted)
            }
            _ => true,
        })
    }

    fn sort(&self, values: &mut [Value]) {
        let Some(key) = self.get("sort_key") else { return };
        let text = |value: &Value| value[key].as_str().unwrap_or_default().to_lowercase();
        values.sort_by(|one, other| {
            let order = text(one).cmp(&text(other));
            if self.get("sort_dir") == Some("desc") { order.reverse() } else { order }
        });
    }

    /// Leaves one page; whether there is more.
    fn cut(&self, values: &mut Vec<Value>) -> Result<bool> {
        if let Some(marker) = self.get("marker") {
            let position = values.iter().position(|value| value["id"].as_str() == Some(marker));
            let not_found = || Error::not_found("NotFound", format!("Marker {marker} could not be found."));
            values.drain(..=position.ok_or_else(not_found)?);
        }
        let Some(limit) = self.get("limit") else { return Ok(false) };
        let limit: usize = limit.parse().map_err(|_| {
            Error::bad_request(
                "ValidationError",
                "Invalid input for query parameter 'limit': a number is expected.",
            )
        })?;
        let limit = limit.min(MAX_PAGE);
        let is_cut = limit > 0 && values.len().cmp(&limit) == Ordering::Greater;
        if limit > 0 {
            values.truncate(limit);
        }
        Ok(is_cut)
    }

    fn query_after(&self, marker: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs.iter().filter(|(key, _)| key != "marker"));
        query.append_pair("marker", marker);
        query.finish()
    }
}

fn invalid_filter(name: &str, problem: &str) -> Error {
    Error::bad_request("ValidationError", format!("Invalid input for query parameter '{name}': {problem}."))
}

fn as_boolean(text: &str) -> bool {
    !matches!(text.to_ascii_lowercase().as_str(), "0" | "false" | "f" | "no" | "n" | "off")
}

/// Names are compared without regard to case, as they are unique.
fn is_equal(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Bool(value) => *value == as_boolean(wanted),
        Value::String(value) => value.to_lowercase() == wanted.to_lowercase(),
        Value::Null => wanted.is_empty(),
        other => *other == wanted,
    }
}

/// `contains`, `startswith` or `endswith`, with an `i` in front without regard to case. Others are ignored.
fn is_like(value: Option<&str>, comparator: &str, wanted: &str) -> bool {
    let Some(value) = value else { return false };
    let (value, wanted, comparator) = match comparator.strip_prefix('i') {
        Some(comparator) => (value.to_lowercase(), wanted.to_lowercase(), comparator),
        None => (value.to_owned(), wanted.to_owned(), comparator),
    };
    match comparator {
        "contains" => value.contains(&wanted),
        "startswith" => value.starts_with(&wanted),
        "endswith" => value.ends_with(&wanted),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ListCall, parsed};

    fn ids(query: &str) -> (Vec<String>, Value) {
        let call = ListCall { pairs: parsed(query), query: Some(query.to_owned()) };
        let items = [("1", "Anna", true), ("2", "Bert", false), ("3", "Berta", true)]
            .map(|(id, name, enabled)| json!({"id": id, "name": name, "enabled": enabled}));
        let body = call.answer("http://c", "users", "users", &["name", "enabled"], items.to_vec()).unwrap().0;
        let ids =
            body["users"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned());
        (ids.collect(), body["links"]["next"].clone())
    }

    #[test]
    fn filters_exact_and_inexact() {
        for (query, expected) in [
            ("", &["1", "2", "3"][..]),
            ("name=bert", &["2"]),
            ("enabled=False", &["2"]),
            ("enabled", &["1", "3"]),
            ("name__contains=er", &["2", "3"]),
            ("name__startswith=b", &[]),
            ("name__istartswith=b", &["2", "3"]),
            ("name__iendswith=A", &["1", "3"]),
            ("name__nonsense=x", &["1", "2", "3"]),
            ("nonsense=x", &["1", "2", "3"]),
            ("sort_key=name&sort_dir=desc", &["3", "2", "1"]),
        ] {
            assert_eq!(ids(query).0, expected, "{query}");
        }
    }

    #[test]
    fn filters_have_a_value_that_they_can_have() {
        let call = |query: &str| ListCall { pairs: parsed(query), query: Some(query.to_owned()) };
        for (query, expected) in [("", None), ("enabled", Some(true)), ("enabled=No", Some(false))] {
            assert_eq!(call(query).flag("enabled").unwrap(), expected, "{query}");
        }
        assert!(call("enabled=maybe").flag("enabled").is_err());
        assert!(call("name=").require_values(&["domain_id", "name"]).is_err());
        assert!(call("name=x&other=").require_values(&["domain_id", "name"]).is_ok());
    }

    #[test]
    fn pages_lead_to_each_other_and_end() {
        let (first, next) = ids("limit=2");
        assert_eq!((first.len(), next.as_str()), (2, Some("http://c/identity/v3/users?limit=2&marker=2")));
        let (second, next) = ids("limit=2&marker=2");
        assert_eq!(
            (second, next),
            (vec!["3".to_owned()], Value::Null),
            "a list that goes on for ever loops clients"
        );
    }
}
