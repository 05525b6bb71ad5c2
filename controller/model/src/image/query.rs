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
    pub visibility: VisibilityFilter,
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
    /// How images are told apart that are alike by `order`: by age, then by id.
    pub tie: SortDirection,
    /// The id of the last image of the page before.
    pub marker: Option<String>,
    pub limit: usize,
}

/// Which images by who else sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VisibilityFilter {
    /// All that a list shows by itself: of community images, those of the own project.
    #[default]
    Usual,
    /// Other projects' community images, too.
    All,
    Only(Visibility),
}

impl VisibilityFilter {
    /// Whether other projects' community images are wanted.
    pub fn with_community(self) -> bool {
        matches!(self, Self::All | Self::Only(Visibility::Community))
    }
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortDirection {
    Ascending,
    #[default]
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
        let size = Image::size_bytes;
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
    /// The direction, where the order is that of age, and of ids among images of the same age.
    pub fn by_age(&self) -> Option<SortDirection> {
        let is_by_age = match self.order.as_slice() {
            [] => true,
            [(key, direction)] => *key == SortKey::CreatedAt && *direction == self.tie,
            [(first, one), (second, other)] => {
                (*first, *second) == (SortKey::CreatedAt, SortKey::Id) && *one == *other
            }
            _ => false,
        };
        is_by_age.then(|| self.order.first().map_or(self.tie, |(_, direction)| *direction))
    }

    /// The page that the query asks for, and whether more follow. `None` when the marker is not among the
    /// images; it may be one that the filters leave out (by now).
    pub fn apply(&self, images: Vec<Image>) -> Option<(Vec<Image>, bool)> {
        let marker = match &self.marker {
            None => None,
            Some(marker) => Some(images.iter().find(|image| image.id == *marker)?.clone()),
        };
        let follows = |image: &Image| marker.as_ref().is_none_or(|last| self.compare(last, image).is_lt());
        let mut page: Vec<Image> =
            images.into_iter().filter(|image| self.takes(image) && follows(image)).collect();
        page.sort_by(|one, other| self.compare(one, other));
        let more = page.len() > self.limit;
        page.truncate(self.limit);
        Some((page, more))
    }

    /// Whether the image is one of those that are asked for, wherever it stands in their order.
    pub fn takes(&self, image: &Image) -> bool {
        let size = image.size_bytes();
        self.one_of.iter().all(|(attribute, values)| {
            value_of(image, attribute).is_some_and(|value| values.contains(&value))
        }) && self.takes_visibility(image)
            && self.protected.is_none_or(|wanted| image.protected == wanted)
            && self.hidden == image.hidden
            && self.min_size_bytes.is_none_or(|least| size.is_some_and(|size| size >= least))
            && self.max_size_bytes.is_none_or(|most| size.is_some_and(|size| size <= most))
            && self.created.iter().all(|filter| filter.takes(image.created_at))
            && self.updated.iter().all(|filter| filter.takes(image.updated_at))
            && self.tags.iter().all(|tag| image.tags.contains(tag))
            && self.properties.iter().all(|(name, value)| image.properties.get(name) == Some(value))
    }

    fn takes_visibility(&self, image: &Image) -> bool {
        match self.visibility {
            VisibilityFilter::Usual | VisibilityFilter::All => true,
            VisibilityFilter::Only(wanted) => image.visibility == wanted,
        }
    }

    /// By the wanted order, then by age and id, as Glance does.
    fn compare(&self, one: &Image, other: &Image) -> Ordering {
        let rest = [(SortKey::CreatedAt, self.tie), (SortKey::Id, self.tie)];
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
        "size" => image.size_bytes().map(|size| size.to_string()),
        "virtual_size" => image.data.as_ref()?.virtual_size_bytes.map(|size| size.to_string()),
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
            staged_bytes: None,
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
        let by_name = ImageQuery { one_of: [("name", vec!["b".into()])].into(), ..query(9) };
        let after_another = ImageQuery { marker: Some("2".into()), ..by_name.clone() };
        assert_eq!(ids(&after_another).unwrap().0, ["1"], "the marker need not be on the list itself");
        assert!(ids(&ImageQuery { marker: Some("1".into()), ..by_name }).unwrap().0.is_empty());
    }

    #[test]
    fn what_order_is_that_of_age() {
        use SortDirection::{Ascending, Descending};
        let by_age = |order: &[(SortKey, SortDirection)], tie| {
            ImageQuery { order: order.to_vec(), tie, ..query(9) }.by_age()
        };
        assert_eq!(query(9).by_age(), Some(Descending));
        assert_eq!(by_age(&[], Ascending), Some(Ascending));
        assert_eq!(by_age(&[(SortKey::CreatedAt, Ascending)], Ascending), Some(Ascending));
        assert_eq!(by_age(&[(SortKey::CreatedAt, Ascending)], Descending), None, "ids the other way around");
        let both = [(SortKey::CreatedAt, Ascending), (SortKey::Id, Ascending)];
        assert_eq!(by_age(&both, Descending), Some(Ascending));
        assert_eq!(by_age(&[(SortKey::UpdatedAt, Descending)], Descending), None);
    }

    #[test]
    fn several_keys_in_order() {
        let order =
            vec![(SortKey::Name, SortDirection::Ascending), (SortKey::CreatedAt, SortDirection::Ascending)];
        assert_eq!(ids(&ImageQuery { order, ..query(9) }).unwrap().0, ["3", "2", "1"]);
        let order = vec![(SortKey::Name, SortDirection::Ascending)];
        let tie = SortDirection::Ascending;
        assert_eq!(ids(&ImageQuery { order: order.clone(), tie, ..query(9) }).unwrap().0, ["3", "2", "1"]);
        assert_eq!(ids(&ImageQuery { order, ..query(9) }).unwrap().0, ["2", "3", "1"]);
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
