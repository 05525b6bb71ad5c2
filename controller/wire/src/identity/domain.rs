use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ListLinks, SelfLink};

/// `POST /v3/domains` and `PATCH /v3/domains/{id}`. A field that is absent keeps its value, or its default.
#[derive(Clone, Debug, Deserialize)]
pub struct DomainRequest {
    pub domain: DomainFields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DomainFields {
    pub name: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DomainBody {
    pub domain: DomainView,
}

#[derive(Clone, Debug, Serialize)]
pub struct DomainList {
    pub domains: Vec<DomainView>,
    pub links: ListLinks,
}

#[derive(Clone, Debug, Serialize)]
pub struct DomainView {
    pub id: String,
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub tags: Vec<String>,
    pub options: Map<String, Value>,
    pub links: SelfLink,
}
