use std::collections::BTreeMap;

use serde::Serialize;

/// An image: base attributes and free-form properties side by side. What the data measures is null until
/// there is some.
#[derive(Clone, Debug, Serialize)]
pub struct ImageView {
    #[serde(flatten)]
    pub properties: BTreeMap<String, String>,
    pub id: String,
    pub name: Option<String>,
    pub status: &'static str,
    pub visibility: &'static str,
    pub protected: bool,
    pub os_hidden: bool,
    pub owner: String,
    pub disk_format: Option<&'static str>,
    pub container_format: Option<&'static str>,
    pub min_disk: u32,
    pub min_ram: u32,
    pub size: Option<u64>,
    pub virtual_size: Option<u64>,
    pub checksum: Option<String>,
    pub os_hash_algo: Option<&'static str>,
    pub os_hash_value: Option<String>,
    pub tags: Vec<String>,
    pub created_at: String,
    pub updated_at: String,
    /// Relative to the service's endpoint, as `file` and `schema` are.
    #[serde(rename = "self")]
    pub this: String,
    pub file: String,
    pub schema: &'static str,
    /// Comma-separated; there once the data is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stores: Option<&'static str>,
}

/// `first` and `next` are relative URLs; `next` is there only when more follow.
#[derive(Clone, Debug, Serialize)]
pub struct ImageList {
    pub images: Vec<ImageView>,
    pub first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    pub schema: &'static str,
}
