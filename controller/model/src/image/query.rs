//! Filters, order and page of an image list, over the images that the caller may see at all.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{HASH_ALGORITHM, Image, Visibility};
use crate::Timestamp;

/// What a list asks for. An empty field does not narrow.
#[derive(Clone, Debug, Default)]
pub struct ImageQuery {
    /// Attribute to accepted values, as the API spells them.
    pub one_of: BTreeMap<&'static str, Vec<String>>,
    pub visibility: Option<Visibility>,
    pub protected: Option<bool>,
    /// Hidden images, or those that are not: never both.
    pub hidden: bool,
    pub min_size_bytes: Option<u64>,
    pub max_size_bytes: Option<u64>,
    /// All must hold.
    pub created: Vec<TimeFilter>,
    pub updated: Vec<TimeFilter>,
    /// All must be there.
    pub tags: Vec<String>,
    /// Free-form properties that must have these values.
    pub properties: BTreeMap<String, String>,
    /// Most significant first.
    pub order: Vec<(SortKey, SortDirection)>,
    /// The id of the last image of the page before.
    pub marker: Option<String>,
    pub limit: usize,
}

/// A point in time that an image's own is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeFilter {
    pub comparison: Comparison,
    pub than: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
    Equal,
}

impl Comparison {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "gt" => Self::Greater,
            "gte" => Self::GreaterOrEqual,
            "lt" => Self::Less,
            "lte" => Self::LessOrEqual,
            "neq" => Self::NotEqual,
            "eq" => Self::Equal,
            _ => return None,
        })
    }
}

impl TimeFilter {
    /// To whole seconds, which is what the API shows of an image's times.
    fn takes(self, time: Timestamp) -> bool {
        let ordering = time.0.div_euclid(1_000_000).cmp(&self.than.0.div_euclid(1_000_000));
        match self.comparison {
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Equal => ordering.is_eq(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    Name,
    Status,
    ContainerFormat,
    DiskFormat,
    Size,
    Id,
    CreatedAt,
    UpdatedAt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortDirection {
    Ascending,
    Descending,
}

impl SortKey {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "name" => Self::Name,
            "status" => Self::Status,
            "container_format" => Self::ContainerFormat,
            "disk_format" => Self::DiskFormat,
            "size" => Self::Size,
            "id" => Self::Id,
            "created_at" => Self::CreatedAt,
            "updated_at" => Self::UpdatedAt,
            _ => return None,
        })
    }

    fn compare(self, one: &Image, other: &Image) -> Ordering {
        let size = |image: &Image| image.data.as_ref().map(|data| data.size_bytes);
        match self {
            Self::Name => one.name.cmp(&other.name),
            Self::Status => one.status.as_str().cmp(other.status.as_str()),
            Self::ContainerFormat => container(one).cmp(&container(other)),
            Self::DiskFormat => disk(one).cmp(&disk(other)),
            Self::Size => size(one).cmp(&size(other)),
            Self::Id => one.id.cmp(&other.id),
            Self::CreatedAt => one.created_at.cmp(&other.created_at),
            Self::UpdatedAt => one.updated_at.cmp(&other.updated_at),
        }
    }
}

impl SortDirection {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "asc" => Some(Self::Ascending),
            "desc" => Some(Self::Descending),
            _ => None,
        }
    }

    fn apply(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }
}

fn disk(image: &Image) -> Option<&'static str> {
    image.disk_format.map(|format| format.as_str())
}

fn container(image: &Image) -> Option<&'static str> {
    image.container_format.map(|format| format.as_str())
}

impl ImageQuery {
    /// The page that the query asks for, and whether more follow. `None` when the marker is not among the
    /// images.
    pub fn apply(&self, images: Vec<Image>) -> Option<(Vec<Image>, bool)> {
        let mut found: Vec<Image> = images.into_iter().filter(|image| self.takes(image)).collect();
        found.sort_by(|one, other| self.compare(one, other));
        let start = match &self.marker {
            None => 0,
            Some(marker) => found.iter().position(|image| image.id == *marker)? + 1,
        };
        let mut page = found.split_off(start);
        let more = page.len() > self.limit;
        page.truncate(self.limit);
        Some((page, more))
    }

    fn takes(&self, image: &Image) -> bool {
        let size = image.data.as_ref().map(|data| data.size_bytes);
        self.one_of.iter().all(|(attribute, values)| {
            value_of(image, attribute).is_some_and(|value| values.contains(&value))
        }) && self.visibility.is_none_or(|wanted| image.visibility == wanted)
            && self.protected.is_none_or(|wanted| image.protected == wanted)
            && self.hidden == image.hidden
            && self.min_size_bytes.is_none_or(|least| size.is_some_and(|size| size >= least))
            && self.max_size_bytes.is_none_or(|most| size.is_some_and(|size| size <= most))
            && self.created.iter().all(|filter| filter.takes(image.created_at))
            && self.updated.iter().all(|filter| filter.takes(image.updated_at))
            && self.tags.iter().all(|tag| image.tags.contains(tag))
            && self.properties.iter().all(|(name, value)| image.properties.get(name) == Some(value))
    }

    /// By the wanted order, then newest first, as Glance does.
    fn compare(&self, one: &Image, other: &Image) -> Ordering {
        let rest =
            [(SortKey::CreatedAt, SortDirection::Descending), (SortKey::Id, SortDirection::Descending)];
        let keys = self.order.iter().chain(&rest);
        keys.map(|(key, direction)| direction.apply(key.compare(one, other)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

fn value_of(image: &Image, attribute: &str) -> Option<String> {
    match attribute {
        "name" => image.name.clone(),
        "id" => Some(image.id.clone()),
        "status" => Some(image.status.as_str().to_owned()),
        "owner" => Some(image.owner.clone()),
        "disk_format" => disk(image).map(str::to_owned),
        "container_format" => container(image).map(str::to_owned),
        "min_disk" => Some(image.min_disk_gib.to_string()),
        "min_ram" => Some(image.min_ram_mib.to_string()),
        "checksum" => image.data.as_ref().map(|data| data.md5.clone()),
        "os_hash_algo" => image.data.as_ref().map(|_| HASH_ALGORITHM.to_owned()),
        "os_hash_value" => image.data.as_ref().map(|data| data.sha512.clone()),
        "size" => image.data.as_ref().map(|data| data.size_bytes.to_string()),
        "virtual_size" => image.data.as_ref().map(|data| data.virtual_size_bytes.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, ImageQuery, SortDirection, SortKey, TimeFilter};
    use crate::Timestamp;
    use crate::image::{Image, ImageStatus, Visibility};

    fn image(id: &str, name: &str, created_at: i64) -> Image {
        Image {
            id: id.into(),
            name: Some(name.into()),
            owner: "p".into(),
            status: ImageStatus::Queued,
            visibility: Visibility::Private,
            protected: false,
            hidden: false,
            disk_format: None,
            container_format: None,
            min_disk_gib: 0,
            min_ram_mib: 0,
            data: None,
            properties: [("os_distro".to_owned(), name.to_owned())].into(),
            tags: [name.to_owned()].into(),
            created_at: Timestamp(created_at),
            updated_at: Timestamp(created_at),
        }
    }

    fn ids(query: &ImageQuery) -> Option<(Vec<String>, bool)> {
        let images = vec![image("1", "b", 10), image("2", "a", 30), image("3", "a", 20)];
        let (page, more) = query.apply(images)?;
        Some((page.into_iter().map(|image| image.id).collect(), more))
    }

    fn query(limit: usize) -> ImageQuery {
        ImageQuery { limit, ..ImageQuery::default() }
    }

    #[test]
    fn newest_first_and_pages_without_gap_or_overlap() {
        assert_eq!(ids(&query(2)).unwrap(), (vec!["2".into(), "3".into()], true));
        let next = ImageQuery { marker: Some("3".into()), ..query(2) };
        assert_eq!(ids(&next).unwrap(), (vec!["1".into()], false));
        assert_eq!(ids(&ImageQuery { marker: Some("gone".into()), ..query(2) }), None);
        assert!(!ids(&query(3)).unwrap().1, "a full page is not a promise of more");
    }

    #[test]
    fn several_keys_in_order() {
        let order =
            vec![(SortKey::Name, SortDirection::Ascending), (SortKey::CreatedAt, SortDirection::Ascending)];
        assert_eq!(ids(&ImageQuery { order, ..query(9) }).unwrap().0, ["3", "2", "1"]);
    }

    #[test]
    fn times_are_compared_by_the_second() {
        let count = |comparison, than| {
            let created = vec![TimeFilter { comparison, than: Timestamp(than) }];
            let (mut images, second) = (vec![image("1", "a", 0), image("2", "a", 5_000_000)], 5_999_999);
            images[1].created_at = Timestamp(second);
            ImageQuery { created, ..query(9) }.apply(images).unwrap().0.len()
        };
        assert_eq!(count(Comparison::Equal, 5_000_000), 1);
        assert_eq!(count(Comparison::NotEqual, 5_000_000), 1);
        assert_eq!(count(Comparison::Greater, 5_000_000), 0);
        assert_eq!((count(Comparison::LessOrEqual, 5_000_000), count(Comparison::Less, 5_000_000)), (2, 1));
    }

    #[test]
    fn filters_narrow_together() {
        let by_name = ImageQuery { one_of: [("name", vec!["a".into()])].into(), ..query(9) };
        assert_eq!(ids(&by_name).unwrap().0, ["2", "3"]);
        let by_property = ImageQuery { properties: [("os_distro".into(), "b".into())].into(), ..query(9) };
        assert_eq!(ids(&by_property).unwrap().0, ["1"]);
        let both = ImageQuery { tags: vec!["b".into()], ..by_name };
        assert!(ids(&both).unwrap().0.is_empty());
        assert!(ids(&ImageQuery { min_size_bytes: Some(0), ..query(9) }).unwrap().0.is_empty());
        assert!(ids(&ImageQuery { hidden: true, ..query(9) }).unwrap().0.is_empty());
    }
}
