//! What a list, and a look at one item, may be asked: filters on every attribute, fields, an order, a page.
//!
//! Filters work on what the caller is shown, so nothing can be probed that is not seen. The few that narrow most are
//! also given to the database, by [`ListQuery::values`].

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::{Map, Value, json};
use updraft_core::Error;
use updraft_wire::network::boolean;

use super::filters;
use crate::http::{Answer, Fault};
use crate::routes::{Reads, Shape};

/// Items in one answer; more come by following the link.
const MAX_PAGE: usize = 1000;

type Object = Map<String, Value>;

/// The query string, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ListQuery {
    filters: BTreeMap<String, Vec<String>>,
    fields: Vec<String>,
    /// (attribute, whether descending)
    sort: Vec<(String, bool)>,
    /// As they were said, one for each of `sort`.
    directions: Vec<String>,
    limit: Option<String>,
    marker: Option<String>,
    page_reverse: bool,
    /// As it came, for links.
    pairs: Vec<(String, String)>,
}

/// What goes into one answer.
pub(super) struct Page {
    pub items: Vec<Object>,
    pub links: Vec<Value>,
}

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Reads for ListQuery {
    fn describe(shape: &mut Shape) {
        shape.queries.extend(["fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"]);
    }
}

impl ListQuery {
    fn parse(query: &str) -> Self {
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).map(|(key, value)| (key.into(), value.into())).collect();
        let mut parsed = Self::default();
        for (key, value) in &pairs {
            match key.as_str() {
                "fields" => parsed.fields.push(value.clone()),
                "sort_key" => parsed.sort.push((value.clone(), false)),
                "sort_dir" => parsed.directions.push(value.clone()),
                "limit" => parsed.limit = Some(value.clone()),
                "marker" => parsed.marker = Some(value.clone()),
                "page_reverse" => parsed.page_reverse = value.eq_ignore_ascii_case("true"),
                _ => parsed.filters.entry(key.clone()).or_default().push(value.clone()),
            }
        }
        for ((_, descending), wanted) in parsed.sort.iter_mut().zip(&parsed.directions) {
            *descending = wanted == "desc";
        }
        parsed.pairs = pairs;
        parsed
    }

    /// Refuses what the collection cannot be filtered or sorted by.
    pub fn check(&self, collection: &str) -> Answer<()> {
        let known = filters::of(collection);
        refuse_all(
            self.filters.keys().filter(|key| !known.is_filter(key)),
            "is invalid attribute for filtering",
        )?;
        for (key, values) in &self.filters {
            for value in values {
                filters::check_value(key, value)?;
            }
        }
        if self.sort.len() != self.directions.len() {
            return Err(refused("The number of sort_keys and sort_dirs must be same"));
        }
        let keys = self.sort.iter().map(|(key, _)| key).filter(|key| !known.is_sort_key(key));
        refuse_all(keys, "is invalid attribute for sort_keys")?;
        let directions = self.directions.iter().filter(|wanted| !matches!(wanted.as_str(), "asc" | "desc"));
        refuse_all(directions, "is invalid value for sort_dirs, valid value is 'asc' and 'desc'")
    }

    /// The values that `key` is filtered by, if it is.
    pub fn values(&self, key: &str) -> Option<Vec<String>> {
        self.filters.get(key).cloned()
    }

    /// The same for one part of `fixed_ips`, such as `fixed_ips=ip_address=10.0.0.5`.
    pub fn fixed_ip_values(&self, part: &str) -> Option<Vec<String>> {
        let values = self.filters.get("fixed_ips")?;
        let of_part: Vec<String> =
            values.iter().filter_map(|value| parts_of(value, part)).map(str::to_owned).collect();
        (!of_part.is_empty()).then_some(of_part)
    }

    /// The item, or the fields of it that were asked for.
    pub fn only_fields(&self, mut object: Object) -> Object {
        if !self.fields.is_empty() {
            object.retain(|key, _| self.fields.iter().any(|field| field == key));
        }
        object
    }

    /// Filters, sorts and cuts. 400 for a limit that is no number, 404 for a marker that is not in the list.
    pub fn page(&self, mut items: Vec<Object>, url: &str) -> Answer<Page> {
        items.retain(|item| self.filters.iter().all(|(key, values)| matches(item, key, values)));
        items.sort_by(|a, b| self.compare(a, b));
        let limit = self.limit()?;
        let marker = match &self.marker {
            None => None,
            Some(marker) => Some(position(&items, marker)?),
        };
        let (start, end) = match (self.page_reverse, marker) {
            (false, None) => (0, items.len().min(limit)),
            (false, Some(marker)) => (marker + 1, items.len().min(marker + 1 + limit)),
            (true, None) => (items.len().saturating_sub(limit), items.len()),
            (true, Some(marker)) => (marker.saturating_sub(limit), marker),
        };
        let mut links = Vec::new();
        if start < end {
            if end < items.len() {
                links.push(self.link(url, "next", &items[end - 1]));
            }
            if start > 0 && self.limit.is_some() {
                links.push(self.link(url, "previous", &items[start]));
            }
        }
        let items = items.drain(start..end).map(|item| self.only_fields(item)).collect();
        Ok(Page { items, links })
    }

    fn limit(&self) -> Answer<usize> {
        let Some(text) = &self.limit else { return Ok(MAX_PAGE) };
        match text.parse::<usize>() {
            Ok(0) => Ok(MAX_PAGE),
            Ok(limit) => Ok(limit.min(MAX_PAGE)),
            Err(_) => {
                let message =
                    format!("Bad limit request: Limit must be an integer 0 or greater and not '{text}'.");
                Err(Error::bad_request("BadRequest", message).into())
            }
        }
    }

    fn compare(&self, a: &Object, b: &Object) -> Ordering {
        let by_key = |(key, descending): &(String, bool)| {
            let order = compare_values(a.get(key), b.get(key));
            if *descending { order.reverse() } else { order }
        };
        self.sort.iter().map(by_key).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn link(&self, url: &str, rel: &str, marker: &Object) -> Value {
        let kept = self.pairs.iter().filter(|(key, _)| key != "marker" && key != "page_reverse");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept);
        query.append_pair("marker", marker.get("id").and_then(Value::as_str).unwrap_or_default());
        if rel == "previous" {
            query.append_pair("page_reverse", "True");
        }
        json!({"rel": rel, "href": format!("{url}?{}", query.finish())})
    }
}

fn refused(message: impl Into<String>) -> Fault {
    Error::bad_request("HTTPBadRequest", message).into()
}

/// Refuses a request that says any of these, naming them all.
fn refuse_all<'a>(wrong: impl Iterator<Item = &'a String>, why: &str) -> Answer<()> {
    let wrong: Vec<String> = wrong.map(|one| format!("'{one}'")).collect();
    if wrong.is_empty() { Ok(()) } else { Err(refused(format!("[{}] {why}", wrong.join(", ")))) }
}

fn position(items: &[Object], marker: &str) -> Answer<usize> {
    let found = items.iter().position(|item| item.get("id").and_then(Value::as_str) == Some(marker));
    Ok(found.ok_or_else(|| {
        Error::not_found("HTTPNotFound", format!("The marker {marker} could not be found in the list."))
    })?)
}

/// Null before everything, numbers by value, the rest by spelling.
fn compare_values(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null)) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (a, b) => spelling(a).cmp(&spelling(b)),
    }
}

fn spelling(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What only some are shown; nobody else finds anything by it.
const SHOWN_TO_SOME: [&str; 4] =
    ["binding:host_id", "provider:network_type", "provider:physical_network", "provider:segmentation_id"];

/// Whether the item is among what `key=value` (for any of the values) asks for. Attributes that the item does not
/// have are no filters.
fn matches(item: &Object, key: &str, values: &[String]) -> bool {
    match key {
        "tags" => tag_lists(values).all(|tag| has_tag(item, tag)),
        "tags-any" => tag_lists(values).any(|tag| has_tag(item, tag)),
        "not-tags" => !tag_lists(values).all(|tag| has_tag(item, tag)),
        "not-tags-any" => !tag_lists(values).any(|tag| has_tag(item, tag)),
        "changed_since" => values.iter().all(|since| changed_since(item, since)),
        "fixed_ips" => matches_fixed_ips(item, values),
        _ => match item.get(key) {
            None => !SHOWN_TO_SOME.contains(&key),
            Some(Value::Array(elements)) => {
                values.iter().any(|wanted| elements.iter().any(|element| spelling(element) == *wanted))
            }
            Some(Value::Bool(value)) => values.iter().any(|wanted| boolean(wanted) == Some(*value)),
            Some(Value::Null) if key == "protocol" && values.iter().any(|wanted| wanted == "any") => true,
            Some(Value::Null) => values.iter().any(|wanted| wanted.is_empty() || wanted == "null"),
            Some(value) if ["mac_address", "ethertype", "protocol"].contains(&key) => {
                values.iter().any(|wanted| wanted.eq_ignore_ascii_case(&spelling(value)))
            }
            Some(value) => values.iter().any(|wanted| *wanted == spelling(value)),
        },
    }
}

fn tag_lists(values: &[String]) -> impl Iterator<Item = &str> {
    values.iter().flat_map(|value| value.split(','))
}

fn has_tag(item: &Object, tag: &str) -> bool {
    item.get("tags").and_then(Value::as_array).is_some_and(|tags| tags.iter().any(|known| known == tag))
}

fn changed_since(item: &Object, since: &str) -> bool {
    let updated = item.get("updated_at").and_then(Value::as_str).unwrap_or_default();
    updated.trim_end_matches('Z') >= since.trim_end_matches('Z')
}

/// `ip_address=10.0.0.5`, `subnet_id=…` or `ip_address_substr=10.0.`: one of each part that is named must fit.
fn matches_fixed_ips(item: &Object, values: &[String]) -> bool {
    let fixed_ips = item.get("fixed_ips").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let attribute =
        |fixed: &Value, name: &str| fixed.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fits = |part: &str, test: &dyn Fn(&Value, &str) -> bool| {
        let mut wanted = values.iter().filter_map(|value| parts_of(value, part)).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| fixed_ips.iter().any(|fixed| test(fixed, wanted)))
    };
    fits("ip_address", &|fixed, wanted| attribute(fixed, "ip_address") == wanted)
        && fits("subnet_id", &|fixed, wanted| attribute(fixed, "subnet_id") == wanted)
        && fits("ip_address_substr", &|fixed, wanted| attribute(fixed, "ip_address").contains(wanted))
}

/// The value of `part` in `part=value`.
fn parts_of<'a>(value: &'a str, part: &str) -> Option<&'a str> {
    value.split_once('=').filter(|(name, _)| *name == part).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ListQuery, Object};

    fn items() -> Vec<Object> {
        let item = |id: &str, name: &str, up: bool, tags: &[&str], ip: &str| {
            json!({"id": id, "name": name, "admin_state_up": up, "tags": tags, "mtu": id.len(), "gateway_ip": null,
                   "fixed_ips": [{"subnet_id": "s1", "ip_address": ip}]})
        };
        [
            item("a", "web", true, &["red", "blue"], "10.0.0.5"),
            item("b", "db", false, &["red"], "10.0.0.50"),
            item("c", "web", true, &[], "10.0.1.5"),
        ]
        .into_iter()
        .map(|item| match item {
            Value::Object(object) => object,
            _ => unreachable!(),
        })
        .collect()
    }

    fn ids(query: &str) -> String {
        let page = ListQuery::parse(query).page(items(), "http://x/ports").unwrap();
        page.items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn filters() {
        let cases = [
            ("", "abc"),
            ("name=web", "ac"),
            ("name=web&name=db", "abc"),
            ("name=web&id=c", "c"),
            ("name=", ""),
            ("admin_state_up=False", "b"),
            ("tags=red,blue", "a"),
            ("tags=red", "ab"),
            ("tags-any=blue,green", "a"),
            ("not-tags=red", "c"),
            ("not-tags-any=blue", "bc"),
            ("fixed_ips=ip_address%3D10.0.0.5", "a"),
            ("fixed_ips=ip_address%3D10.0.0.5&fixed_ips=ip_address%3D10.0.1.5", "ac"),
            ("fixed_ips=ip_address%3D10.0.0.5&fixed_ips=subnet_id%3Ds2", ""),
            ("fixed_ips=ip_address_substr%3D10.0.0", "ab"),
            ("gateway_ip=", "abc"),
            ("no_such_attribute=1", "abc"),
        ];
        for (query, expected) in cases {
            assert_eq!(ids(query), expected, "{query}");
        }
    }

    #[test]
    fn what_is_no_filter_and_no_order_is_refused() {
        let is_good = |query: &str| ListQuery::parse(query).check("ports").is_ok();
        for good in [
            "",
            "name=web&device_owner=a&tags=red&fields=anything",
            "fixed_ips=ip_address%3D10.0.0.5",
            "admin_state_up=no",
            "sort_key=name&sort_dir=asc&limit=1",
        ] {
            assert!(is_good(good), "{good}");
        }
        for bad in [
            "no_such_attribute=1",
            "NAME=web",
            "dns_name=web",
            "admin_state_up=perhaps",
            "fixed_ips=10.0.0.5",
            "sort_key=name",
            "sort_key=name&sort_dir=up",
            "sort_key=tags&sort_dir=asc",
        ] {
            assert!(!is_good(bad), "{bad}");
        }
    }

    #[test]
    fn order() {
        assert_eq!(ids("sort_key=name&sort_dir=asc"), "bac");
        assert_eq!(ids("sort_key=name&sort_dir=desc&sort_key=id&sort_dir=desc"), "cab");
    }

    #[test]
    fn pages_lead_to_each_other_and_end() {
        let first = ListQuery::parse("limit=2&name=web&name=db").page(items(), "http://x/ports").unwrap();
        assert_eq!(
            first.links,
            [json!({"rel": "next", "href": "http://x/ports?limit=2&name=web&name=db&marker=b"})]
        );
        let second =
            ListQuery::parse("limit=2&name=web&name=db&marker=b").page(items(), "http://x/ports").unwrap();
        assert_eq!(second.items.len(), 1);
        assert_eq!(
            second.links,
            [
                json!({"rel": "previous", "href": "http://x/ports?limit=2&name=web&name=db&marker=c&page_reverse=True"})
            ]
        );
        assert_eq!(ids("limit=2&marker=c&page_reverse=True"), "ab");
        assert_eq!(ids("limit=2&marker=c"), "");
        assert!(ListQuery::parse("limit=2&marker=zz").page(items(), "u").is_err());
        for bad in ["limit=-1", "limit=many"] {
            assert!(ListQuery::parse(bad).page(items(), "u").is_err(), "{bad}");
        }
    }

    #[test]
    fn fields() {
        let page = ListQuery::parse("fields=id&fields=name").page(items(), "u").unwrap();
        assert_eq!(Value::Object(page.items[0].clone()), json!({"id": "a", "name": "web"}));
    }
}
