use serde::{Deserialize, Serialize};

use super::{Domain, Extra, Options};
use crate::Timestamp;

/// A tenant: the owner of servers, networks and images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    pub id: String,
    pub domain_id: String,
    /// The domain's id for a project at the top, as Keystone has it.
    pub parent_id: String,
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub tags: Vec<String>,
    pub options: Options,
    pub extra: Extra,
    /// A domain in its other shape; then `domain_id` and `parent_id` are empty.
    pub is_domain: bool,
    /// Tokens issued before this point are dead; moved when the project is disabled.
    pub tokens_valid_after: Timestamp,
}

impl Project {
    /// The project that acts as this domain.
    pub fn acting_as(domain: Domain) -> Self {
        Self {
            id: domain.id,
            domain_id: String::new(),
            parent_id: String::new(),
            name: domain.name,
            description: domain.description,
            enabled: domain.enabled,
            tags: domain.tags,
            options: domain.options,
            extra: domain.extra,
            is_domain: true,
            tokens_valid_after: domain.tokens_valid_after,
        }
    }
}
