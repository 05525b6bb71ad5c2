//! The query string of an image list: Glance's filters, orders and pages.

use updraft_core::Error;
use updraft_model::Timestamp;
use updraft_model::image::{
    Comparison, ImageQuery, MemberStatus, SortDirection, SortKey, TimeFilter, Visibility,
};

/// Images on a page when the client does not say.
pub(in crate::image) const DEFAULT_PAGE: usize = 25;
/// Images on a page at most.
pub(in crate::image) const MAX_PAGE: usize = 1000;

/// Attributes that are compared as text and may be given as `in:one,other`.
const TEXTS: [&str; 5] = ["name", "id", "status", "disk_format", "container_format"];
/// Attributes that must have the very value.
const VALUES: [&str; 8] =
    ["owner", "min_disk", "min_ram", "checksum", "os_hash_algo", "os_hash_value", "size", "virtual_size"];

/// The pairs of a query string, decoded, in order.
pub(in crate::image) struct Pairs(Vec<(String, String)>);

impl Pairs {
    pub fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The last value of a name.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// The relative URL of the page after `marker`, or of the first one.
    pub fn url(&self, marker: Option<&str>) -> String {
        self.url_of("/v2/images", marker)
    }

    /// The same for another collection.
    pub fn url_of(&self, path: &str, marker: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(name, _)| name != "marker"));
        if let Some(marker) = marker {
            query.append_pair("marker", marker);
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

/// What the list asks for, and which shared images by the caller's membership (`None`: any).
pub(super) fn parse(pairs: &Pairs) -> Result<(ImageQuery, Option<MemberStatus>), Error> {
    let mut query = ImageQuery {
        limit: limit(pairs)?,
        marker: pairs.one("marker").map(Into::into),
        order: order(pairs)?,
        tags: pairs.all("tag").map(Into::into).collect(),
        ..ImageQuery::default()
    };
    let mut member_status = Some(MemberStatus::Accepted);
    for (name, value) in &pairs.0 {
        match name.as_str() {
            "limit" | "marker" | "sort" | "sort_key" | "sort_dir" | "tag" => {}
            "visibility" if value == "all" => {}
            "visibility" => {
                let parsed = Visibility::parse(value).ok_or_else(|| invalid(name, value))?;
                query.visibility = Some(parsed);
            }
            "member_status" if value == "all" => member_status = None,
            "member_status" => {
                member_status = Some(MemberStatus::parse(value).ok_or_else(|| invalid(name, value))?);
            }
            "protected" => query.protected = Some(boolean(name, value)?),
            "os_hidden" => query.hidden = boolean(name, value)?,
            "size_min" => query.min_size_bytes = Some(value.parse().map_err(|_| invalid(name, value))?),
            "size_max" => query.max_size_bytes = Some(value.parse().map_err(|_| invalid(name, value))?),
            "created_at" => query.created.push(time_filter(name, value)?),
            "updated_at" => query.updated.push(time_filter(name, value)?),
            "changes-since" => {
                let message = "The \"changes-since\" filter is no longer available on v2.";
                return Err(Error::bad_request("Invalid", message));
            }
            _ => attribute(&mut query, name, value)?,
        }
    }
    Ok((query, member_status))
}

/// Any other name: an attribute, or else a free-form property.
fn attribute(query: &mut ImageQuery, name: &str, value: &str) -> Result<(), Error> {
    if let Some(known) = TEXTS.into_iter().find(|known| *known == name) {
        query.one_of.insert(known, one_of(value)?);
    } else if let Some(known) = VALUES.into_iter().find(|known| *known == name) {
        query.one_of.insert(known, vec![value.to_owned()]);
    } else {
        query.properties.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

fn invalid(name: &str, value: &str) -> Error {
    Error::bad_request("Invalid", format!("Invalid value '{value}' for '{name}' filter."))
}

/// `in:one,"two, with a comma"`, `eq:one`, or a value without a colon; glance/common/utils.py, `split_filter_op`.
fn one_of(value: &str) -> Result<Vec<String>, Error> {
    match value.split_once(':') {
        None => Ok(vec![value.to_owned()]),
        Some(("eq", value)) => Ok(vec![value.to_owned()]),
        Some(("in", list)) => listed(list).ok_or_else(|| invalid("in", list)),
        Some((operator, _)) => {
            let message = format!("Unable to filter by unknown operator '{operator}'.");
            Err(Error::bad_request("Invalid", message))
        }
    }
}

/// Values between commas; one in double quotes may hold commas, and quotes after a backslash. `None` when a quote
/// has no partner.
fn listed(list: &str) -> Option<Vec<String>> {
    let (mut values, mut value, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = list.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            '\\' if quoted => value.push(characters.next()?),
            ',' if !quoted => values.push(std::mem::take(&mut value)),
            other => value.push(other),
        }
    }
    values.push(value);
    (!quoted).then_some(values)
}

fn boolean(name: &str, value: &str) -> Result<bool, Error> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(invalid(name, value)),
    }
}

/// `gt:2026-01-02T03:04:05Z` and the other five comparisons; without one, equality.
fn time_filter(name: &str, value: &str) -> Result<TimeFilter, Error> {
    let (comparison, time) = match value.split_once(':') {
        _ if parsed_time(value).is_some() => (Some(Comparison::Equal), value),
        Some((operator, time)) => (Comparison::parse(operator), time),
        None => (Some(Comparison::Equal), value),
    };
    let comparison =
        comparison.ok_or_else(|| Error::bad_request("Invalid", "Unable to filter on a unknown operator."))?;
    let than = parsed_time(time).ok_or_else(|| {
        let message = format!("Bad \"{name}\" query filter format. Use ISO 8601 DateTime notation.");
        Error::bad_request("Invalid", message)
    })?;
    Ok(TimeFilter { comparison, than })
}

/// A time with a zone, or one without, which is UTC.
fn parsed_time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z")))
}

fn limit(pairs: &Pairs) -> Result<usize, Error> {
    match pairs.one("limit") {
        None => Ok(DEFAULT_PAGE),
        Some(text) => {
            let limit: usize = text.parse().map_err(|_| invalid("limit", text))?;
            Ok(limit.min(MAX_PAGE))
        }
    }
}

/// `sort=name:asc,size` (both in one), or the older `sort_key=…&sort_dir=…`, repeated in step.
fn order(pairs: &Pairs) -> Result<Vec<(SortKey, SortDirection)>, Error> {
    if let Some(sort) = pairs.one("sort") {
        if pairs.one("sort_key").is_some() || pairs.one("sort_dir").is_some() {
            return Err(Error::bad_request("Invalid", "Old and new sorting syntax cannot be combined"));
        }
        return sort
            .split(',')
            .map(|entry| sorted_by(entry.split_once(':').unwrap_or((entry, "desc"))))
            .collect();
    }
    let directions: Vec<&str> = pairs.all("sort_dir").collect();
    let keys: Vec<&str> = pairs.all("sort_key").collect();
    if directions.len() > 1 && directions.len() != keys.len() {
        return Err(Error::bad_request(
            "Invalid",
            "Number of sort dirs does not match the number of sort keys",
        ));
    }
    let only = directions.first().copied().unwrap_or("desc");
    if keys.is_empty() && !directions.is_empty() {
        return Ok(vec![sorted_by(("created_at", only))?]);
    }
    let pair = |(index, key): (usize, &str)| sorted_by((key, directions.get(index).copied().unwrap_or(only)));
    keys.into_iter().enumerate().map(pair).collect()
}

fn sorted_by((key, direction): (&str, &str)) -> Result<(SortKey, SortDirection), Error> {
    let parsed = SortKey::parse(key.trim()).zip(SortDirection::parse(direction.trim()));
    parsed.ok_or_else(|| {
        Error::bad_request("Invalid", format!("Invalid sort key or direction: {key}:{direction}."))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use updraft_model::image::{MemberStatus, SortDirection, SortKey};

    use super::{Pairs, parse};

    #[test]
    fn filters_orders_and_pages() {
        let pairs = Pairs::parse("name=in:a,b&os_distro=debian&sort=name:asc,size&limit=2&tag=x&tag=y");
        let (query, member_status) = parse(&pairs).unwrap();
        assert_eq!(query.one_of, BTreeMap::from([("name", vec!["a".to_owned(), "b".to_owned()])]));
        assert_eq!(query.properties, BTreeMap::from([("os_distro".to_owned(), "debian".to_owned())]));
        let order = [(SortKey::Name, SortDirection::Ascending), (SortKey::Size, SortDirection::Descending)];
        assert_eq!((query.order.as_slice(), query.limit), (order.as_slice(), 2));
        assert_eq!(query.tags, ["x", "y"]);
        assert_eq!(member_status, Some(MemberStatus::Accepted));
    }

    #[test]
    fn quotes_keep_commas_together() {
        let pairs = Pairs::parse("name=in:%22a,b%22,c&status=eq:active");
        let query = parse(&pairs).unwrap().0;
        assert_eq!(query.one_of["name"], ["a,b", "c"]);
        assert_eq!(query.one_of["status"], ["active"]);
    }

    #[test]
    fn the_next_page_keeps_what_was_asked_for() {
        let pairs = Pairs::parse("limit=1&marker=old&name=a%20b");
        assert_eq!(pairs.url(Some("new")), "/v2/images?limit=1&name=a+b&marker=new");
        assert_eq!(pairs.url(None), "/v2/images?limit=1&name=a+b");
        assert_eq!(Pairs::parse("").url(None), "/v2/images");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for query in [
            "limit=-1",
            "limit=x",
            "sort=colour:asc",
            "visibility=secret",
            "sort_key=a&sort_dir=asc&sort_dir=asc",
            "sort=name&sort_key=name",
            "changes-since=2026-01-01T00:00:00Z",
            "name=like:x",
            "name=in:%22open",
            "created_at=gte:yesterday",
            "created_at=about:2026-01-01T00:00:00Z",
            "size_min=big",
            "protected=maybe",
            "member_status=maybe",
        ] {
            assert!(parse(&Pairs::parse(query)).is_err(), "{query}");
        }
    }
}
