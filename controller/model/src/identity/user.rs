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
    /// `None` when the user cannot log in by password.
    pub password: Option<Password>,
    /// `None` for a user that is older than this column.
    pub created_at: Option<Timestamp>,
    /// Tokens issued before this point are dead; moved when the user is disabled or changes password.
    pub tokens_valid_after: Timestamp,
}

/// A user's password, as far as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// A PHC string (argon2id), or bcrypt's.
    pub hash: String,
    pub created_at: Timestamp,
    /// From then on it is good for nothing but to be changed.
    pub expires_at: Option<Timestamp>,
    /// The user chose it, and not an administrator.
    pub is_own: bool,
}

/// Who a user is to an identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederatedName {
    pub idp_id: String,
    pub protocol_id: String,
    pub unique_id: String,
}

/// The hash stays out of logs and panics.
impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Password").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
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
