//! Metadata definitions: what properties mean, for clients that let people choose them.

use serde_json::Value;

use crate::Timestamp;

/// A set of definitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its name, unique in the cloud.
    pub namespace: String,
    /// The project that it belongs to.
    pub owner: String,
    /// Everybody may read it; otherwise its owner's project.
    pub public: bool,
    /// Cannot be deleted, nor what is in it.
    pub protected: bool,
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Something that a namespace holds, under a name of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub namespace: String,
    pub kind: ItemKind,
    pub name: String,
    /// As the API shows it, without name and times.
    pub body: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// A group of properties.
    Object,
    Property,
    Tag,
    /// An association with a kind of resources.
    ResourceType,
}

impl ItemKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Property => "property",
            Self::Tag => "tag",
            Self::ResourceType => "resource_type",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Object, Self::Property, Self::Tag, Self::ResourceType]
            .into_iter()
            .find(|known| known.as_str() == text)
    }
}

/// A kind of resources, such as `OS::Glance::Image`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceType {
    pub name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
