//! JSON shapes of the identity API, v3 (<https://docs.openstack.org/api-ref/identity/v3/>).

mod project;

pub use project::{ProjectBody, ProjectList, ProjectRequest, ProjectView};

use serde::Serialize;

/// The links of one resource.
#[derive(Clone, Debug, Serialize)]
pub struct SelfLink {
    #[serde(rename = "self")]
    pub this: String,
}

/// The links of a collection. Keystone's lists here are whole: `next` is always null.
#[derive(Clone, Debug, Serialize)]
pub struct ListLinks {
    #[serde(rename = "self")]
    pub this: String,
    pub previous: Option<String>,
    pub next: Option<String>,
}

impl ListLinks {
    /// Links of a list that is whole.
    pub fn whole(this: String) -> Self {
        Self { this, previous: None, next: None }
    }
}
