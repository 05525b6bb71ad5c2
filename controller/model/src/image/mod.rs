//! The image service's resources.

mod file;
mod format;
pub mod metadef;
mod query;
mod status;
mod task;

pub use file::{FileRole, ImageFile, Measured};
pub use format::{ContainerFormat, DiskFormat};
pub use query::{Comparison, ImageQuery, SortDirection, SortKey, TimeFilter};
pub use status::{ImageEvent, ImageStatus};
pub use task::{ImageTask, ImageTaskKind, ImageTaskStatus, ImageTaskStep};

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The one hash besides MD5 that Glance computes by default.
pub const HASH_ALGORITHM: &str = "sha512";
/// Free-form properties of one image; more are refused.
pub const MAX_PROPERTIES: usize = 128;
/// Tags of one image; more are refused.
pub const MAX_TAGS: usize = 128;
/// Projects that one image is shared with; more are refused.
pub const MAX_MEMBERS: usize = 128;
/// The longest name, property name or tag, in characters.
pub const MAX_NAME_CHARS: usize = 255;
/// The longest property value, in bytes: what Glance's text column holds.
pub const MAX_PROPERTY_BYTES: usize = 65_535;

/// A disk image: the record, and once it is active a file that never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub id: String,
    pub name: Option<String>,
    /// The project that it belongs to.
    pub owner: String,
    pub status: ImageStatus,
    pub visibility: Visibility,
    pub protected: bool,
    /// Left out of lists unless they ask for hidden ones.
    pub hidden: bool,
    /// What the owner declared; data of any other format is refused.
    pub disk_format: Option<DiskFormat>,
    pub container_format: Option<ContainerFormat>,
    /// The smallest disk that it may be put on, in GiB.
    pub min_disk_gib: u32,
    /// The least memory that a server needs for it, in MiB.
    pub min_ram_mib: u32,
    /// There once data was uploaded and accepted.
    pub data: Option<ImageData>,
    pub properties: BTreeMap<String, String>,
    pub tags: BTreeSet<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What was measured while the data arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageData {
    /// Of the file, in bytes.
    pub size_bytes: u64,
    /// Of the disk that a guest would see, in bytes.
    pub virtual_size_bytes: u64,
    /// Hexadecimal, for clients of old.
    pub md5: String,
    /// Hexadecimal.
    pub sha512: String,
}

/// Who sees an image besides its owner and administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody, in lists too.
    Public,
    /// Nobody.
    Private,
    /// Its members.
    Shared,
    /// Everybody who knows the id, or asks lists for community images.
    Community,
}

impl Visibility {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::Community => "community",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Public, Self::Private, Self::Shared, Self::Community]
            .into_iter()
            .find(|known| known.as_str() == text)
    }
}

/// A project that a shared image is offered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub image_id: String,
    /// The project.
    pub member_id: String,
    pub status: MemberStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Whether the member wants to see the image in its lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    Pending,
    Accepted,
    Rejected,
}

impl MemberStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Accepted, Self::Rejected].into_iter().find(|known| known.as_str() == text)
    }
}
