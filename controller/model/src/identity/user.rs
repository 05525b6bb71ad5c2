use super::{Extra, Options};
use crate::Timestamp;

/// Somebody, or some program, that can log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub id: String,
    pub domain_id: String,
    pub name: String,
    pub description: Option<String>,
    pub email: Option<String>,
    pub default_project_id: Option<String>,
    pub enabled: bool,
    pub options: Options,
    pub extra: Extra,
    /// A PHC string (argon2id); `None` when the user cannot log in by password.
    pub password_hash: Option<String>,
    /// Tokens issued before this point are dead; moved when the user is disabled or changes password.
    pub tokens_valid_after: Timestamp,
}

/// The hash stays out of logs and panics.
impl std::fmt::Debug for User {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("User").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A set of users that hold roles together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub id: String,
    pub domain_id: String,
    pub name: String,
    pub description: String,
    pub extra: Extra,
}
