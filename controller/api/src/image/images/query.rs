//! The query string of an image list: Glance's filters, orders and pages.

use updraft_core::Error;
use updraft_model::Timestamp;
use updraft_model::image::{
    Comparison, ImageQuery, MemberStatus, SortDirection, SortKey, TimeFilter, Visibility, VisibilityFilter,
};

/// Images on a page when the client does not say.
/// What a list may be asked; a property of images by its own name besides.
pub(in crate::image) const PARAMETERS: [&str; 25] = [
    "name",
    "id",
    "status",
    "disk_format",
    "container_format",
    "owner",
    "min_disk",
    "min_ram",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "size",
    "virtual_size",
    "limit",
    "marker",
    "sort",
    "sort_key",
    "sort_dir",
    "tag",
    "visibility",
    "member_status",
    "protected",
    "os_hidden",
    "size_min",
    "size_max",
];
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
    let order = order(pairs)?;
    let mut query = ImageQuery {
        limit: limit(pairs)?,
        marker: pairs.one("marker").map(Into::into),
        tie: tie(pairs, &order),
        order,
        tags: pairs.all("tag").map(|tag| tag.trim().to_owned()).collect(),
        ..ImageQuery::default()
    };
    let mut member_status = Some(MemberStatus::Accepted);
    for (name, value) in &pairs.0 {
        match name.as_str() {
            // No list has what was deleted, whatever is asked.
            "limit" | "marker" | "sort" | "sort_key" | "sort_dir" | "tag" | "deleted" => {}
            "visibility" if value == "all" => query.visibility = VisibilityFilter::All,
            "visibility" => {
                let problem = || refused(format!("Invalid visibility value: {value}"));
                query.visibility = VisibilityFilter::Only(Visibility::parse(value).ok_or_else(problem)?);
            }
            "member_status" if value == "all" => member_status = None,
            "member_status" => {
                let problem = || refused(format!("Invalid status: {value}"));
                member_status = Some(MemberStatus::parse(value).ok_or_else(problem)?);
            }
            "protected" => query.protected = Some(boolean(name, value)?),
            "os_hidden" => query.hidden = boolean(name, &value.to_ascii_lowercase())?,
            "size_min" => query.min_size_bytes = Some(size(value)?),
            "size_max" => query.max_size_bytes = Some(size(value)?),
            "created_at" => query.created.push(time_filter(name, value)?),
            "updated_at" => query.updated.push(time_filter(name, value)?),
            "changes-since" if !value.is_empty() => {
                return Err(refused("The \"changes-since\" filter is no longer available on v2."));
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

fn refused(message: impl Into<String>) -> Error {
    Error::bad_request("Invalid", message)
}

fn size(value: &str) -> Result<u64, Error> {
    value.parse().map_err(|_| refused("Unable to filter on a range with a non-numeric value."))
}

/// `in:one,"two, with a comma"`, `eq:one`, or a value without a colon; glance/common/utils.py, `split_filter_op`.
fn one_of(value: &str) -> Result<Vec<String>, Error> {
    match value.split_once(':') {
        None => Ok(vec![value.to_owned()]),
        Some(("eq", value)) => Ok(vec![value.to_owned()]),
        Some(("in", list)) => {
            listed(list).map_err(|problem| refused(format!("Invalid filter value {list}. {problem}")))
        }
        Some((operator, _)) => Err(refused(format!("Unable to filter by unknown operator '{operator}'."))),
    }
}

/// Values between commas; one in double quotes may hold commas, and quotes after a backslash. The error says which
/// quote is out of place.
fn listed(list: &str) -> Result<Vec<String>, &'static str> {
    const OPEN: &str = "The quote is not closed.";
    let (mut values, mut value, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted => {
                quoted = false;
                if characters.peek().is_some_and(|next| *next != ',') {
                    return Err("There is no comma after closing quotation mark.");
                }
            }
            '"' if value.is_empty() => quoted = true,
            '"' => return Err("There is no comma before opening quotation mark."),
            '\\' if quoted => value.push(characters.next().ok_or(OPEN)?),
            ',' if !quoted => values.push(std::mem::take(&mut value)),
            other => value.push(other),
        }
    }
    values.push(value);
    if quoted { Err(OPEN) } else { Ok(values) }
}

fn boolean(name: &str, value: &str) -> Result<bool, Error> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(refused(format!(
            "Invalid value '{value}' for '{name}' filter. Valid values are 'true' or 'false'."
        ))),
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

/// A time with a zone, or one without, which is UTC; or a day, which is its beginning.
fn parsed_time(text: &str) -> Option<Timestamp> {
    let spellings = [text.to_owned(), format!("{text}Z"), format!("{text}T00:00:00Z")];
    spellings.iter().find_map(|text| Timestamp::parse(text))
}

/// How many a client wants on a page.
pub(in crate::image) fn limit(pairs: &Pairs) -> Result<usize, Error> {
    match pairs.one("limit") {
        None => Ok(DEFAULT_PAGE),
        Some(text) => {
            let limit: i64 = text.trim().parse().map_err(|_| refused("limit param must be an integer"))?;
            let limit = usize::try_from(limit).map_err(|_| refused("limit param must be positive"))?;
            Ok(limit.min(MAX_PAGE))
        }
    }
}

/// `sort=name:asc,size` (both in one), or the older `sort_key=…&sort_dir=…`, repeated in step.
fn order(pairs: &Pairs) -> Result<Vec<(SortKey, SortDirection)>, Error> {
    if let Some(sort) = pairs.one("sort") {
        if pairs.one("sort_key").is_some() || pairs.one("sort_dir").is_some() {
            return Err(refused("Old and new sorting syntax cannot be combined"));
        }
        return sort
            .split(',')
            .map(|entry| match entry.split_once(':') {
                None | Some((_, "")) => sorted_by((entry.trim_end_matches(':'), "desc")),
                Some(pair) => sorted_by(pair),
            })
            .collect();
    }
    let directions: Vec<&str> = pairs.all("sort_dir").collect();
    let keys: Vec<&str> = pairs.all("sort_key").collect();
    if directions.len() > 1 && directions.len() != keys.len() {
        return Err(refused("Number of sort dirs does not match the number of sort keys"));
    }
    let only = directions.first().copied().unwrap_or("desc");
    if keys.is_empty() && !directions.is_empty() {
        return Ok(vec![sorted_by(("created_at", only))?]);
    }
    let pair = |(index, key): (usize, &str)| sorted_by((key, directions.get(index).copied().unwrap_or(only)));
    keys.into_iter().enumerate().map(pair).collect()
}

fn sorted_by((key, direction): (&str, &str)) -> Result<(SortKey, SortDirection), Error> {
    let (key, direction) = (key.trim(), direction.trim());
    let parsed = SortKey::parse(key).ok_or_else(|| {
        let known = "name, status, container_format, disk_format, size, id, created_at, updated_at";
        refused(format!("Invalid sort key: {key}. It must be one of the following: {known}."))
    })?;
    let direction = SortDirection::parse(direction)
        .ok_or_else(|| refused(format!("Invalid sort direction: {direction}")))?;
    Ok((parsed, direction))
}

/// How ties are broken: as the one direction says that the client gave, if it gave one.
fn tie(pairs: &Pairs, order: &[(SortKey, SortDirection)]) -> SortDirection {
    let given = match pairs.one("sort") {
        Some(_) => order.len(),
        None => pairs.all("sort_dir").count(),
    };
    match order {
        [(_, direction), ..] if given == 1 => *direction,
        _ => SortDirection::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use updraft_model::image::{MemberStatus, SortDirection, SortKey, Visibility, VisibilityFilter};

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
    fn who_sees_and_how_ties_are_broken() {
        let parsed = |text: &str| parse(&Pairs::parse(text)).unwrap().0;
        assert_eq!(parsed("").visibility, VisibilityFilter::Usual);
        assert_eq!(parsed("visibility=all").visibility, VisibilityFilter::All);
        let shared = parsed("visibility=shared&protected=true&os_hidden=TRUE");
        assert_eq!(shared.visibility, VisibilityFilter::Only(Visibility::Shared));
        assert_eq!((shared.protected, shared.hidden), (Some(true), true));
        for (text, tie) in [
            ("", SortDirection::Descending),
            ("sort=name:asc", SortDirection::Ascending),
            ("sort=name:asc,size:asc", SortDirection::Descending),
            ("sort_key=name&sort_key=size&sort_dir=asc", SortDirection::Ascending),
            ("sort_dir=asc", SortDirection::Ascending),
            ("sort_key=name", SortDirection::Descending),
        ] {
            assert_eq!(parsed(text).tie, tie, "{text}");
        }
        assert_eq!(parsed("created_at=gt:2026-01-01").created.len(), 1);
    }

    #[test]
    fn quotes_keep_commas_together() {
        let pairs = Pairs::parse("name=in:%22a,b%22,c&status=eq:active");
        let query = parse(&pairs).unwrap().0;
        assert_eq!(query.one_of["name"], ["a,b", "c"]);
        assert_eq!(query.one_of["status"], ["active"]);
        let pairs = Pairs::parse("name=in:a,%22b%5C%22,c%22&deleted=true");
        let query = parse(&pairs).unwrap().0;
        assert_eq!(query.one_of["name"], ["a", "b\",c"]);
        assert!(query.properties.is_empty(), "no property is called deleted");
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
            "name=in:%22a%22b",
            "name=in:a%22b%22",
            "created_at=gte:yesterday",
            "created_at=about:2026-01-01T00:00:00Z",
            "size_min=big",
            "protected=1",
            "os_hidden=maybe",
            "member_status=maybe",
        ] {
            assert!(parse(&Pairs::parse(query)).is_err(), "{query}");
        }
    }
}
