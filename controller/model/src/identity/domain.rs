use serde::{Deserialize, Serialize};

use super::{Extra, Options};
use crate::Timestamp;

/// The id of the domain that always exists; clients rely on the literal string.
pub const DEFAULT_DOMAIN_ID: &str = "default";

/// A namespace of projects and users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    pub id: String,
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub tags: Vec<String>,
    pub options: Options,
    pub extra: Extra,
    /// Tokens issued before this point are dead; moved when the domain is disabled.
    pub tokens_valid_after: Timestamp,
}
