use serde::{Deserialize, Serialize};

use super::{Extra, Options};

pub const ADMIN: &str = "admin";
pub const MANAGER: &str = "manager";
pub const MEMBER: &str = "member";
pub const READER: &str = "reader";
/// What one service of the cloud holds to act on another.
pub const SERVICE: &str = "service";

/// (prior, implied): who holds the first holds the second too.
pub const IMPLIED_ROLES: [(&str, &str); 3] = [(ADMIN, MANAGER), (MANAGER, MEMBER), (MEMBER, READER)];

/// A named right. What it permits is decided by `core::policy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub id: String,
    pub name: String,
    /// `None` for a role of the whole cloud.
    pub domain_id: Option<String>,
    pub description: Option<String>,
    pub options: Options,
    pub extra: Extra,
}
