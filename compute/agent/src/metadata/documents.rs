//! The tree of documents that one guest may read, by path.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use updraft_base::ServerId;
use updraft_compute_api::metadata::ServerMetadata;

use crate::metadata::{ec2, openstack};

/// Every document of one guest. Paths have no slash at either end.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    files: BTreeMap<String, Vec<u8>>,
    /// Listings that are not just the names of what lies below.
    listings: BTreeMap<String, String>,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Json(Vec<u8>),
    Text(Vec<u8>),
    /// The tenant's user data: any bytes.
    Bytes(Vec<u8>),
    /// A folder: one name a line.
    Listing(String),
}

impl Documents {
    /// Renders all documents of one guest.
    pub fn render(id: ServerId, metadata: &ServerMetadata, random_seed: &[u8]) -> Self {
        let mut documents = Self::default();
        let user_data = metadata.user_data.as_ref().and_then(|text| BASE64_STANDARD.decode(text).ok());
        openstack::render(&mut documents, id, metadata, user_data.as_deref(), random_seed);
        ec2::render(&mut documents, id, metadata, user_data.as_deref());
        documents
    }

    pub(crate) fn insert(&mut self, path: String, content: impl Into<Vec<u8>>) {
        self.files.insert(path, content.into());
    }

    pub(crate) fn list_as(&mut self, path: String, listing: String) {
        self.listings.insert(path, listing);
    }

    /// What is at `path` of a request; slashes at the ends do not matter.
    pub fn find(&self, path: &str) -> Option<Found> {
        let path = path.trim_matches('/');
        if let Some(content) = self.files.get(path) {
            let content = content.clone();
            let name = path.rsplit('/').next().unwrap_or_default();
            return Some(match name {
                "user_data" | "user-data" => Found::Bytes(content),
                name if name.ends_with(".json") => Found::Json(content),
                _ => Found::Text(content),
            });
        }
        if let Some(listing) = self.listings.get(path) {
            return Some(Found::Listing(listing.clone()));
        }
        self.names_below(path).map(Found::Listing)
    }

    /// The documents below a folder, by their whole paths.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let inside =
            move |path: &&String| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        self.files
            .iter()
            .filter(move |(path, _)| inside(path))
            .map(|(path, content)| (path.as_str(), &content[..]))
    }

    /// As EC2 lists: folders with a slash behind.
    fn names_below(&self, folder: &str) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        for path in self.files.keys() {
            let rest = if folder.is_empty() {
                Some(path.as_str())
            } else {
                path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'))
            };
            let Some(rest) = rest else { continue };
            let name = match rest.split_once('/') {
                Some((name, _)) => format!("{name}/"),
                None => rest.to_owned(),
            };
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        (!names.is_empty()).then(|| names.join("\n"))
    }
}
