use serde::{Deserialize, Serialize};

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
    /// Tokens issued before this point are dead; moved when the project is disabled.
    pub tokens_valid_after: Timestamp,
}
