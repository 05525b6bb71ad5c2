use crate::Timestamp;

/// A public key that a user puts into servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// Given by the store when the row is written; 0 before.
    pub id: i64,
    pub user_id: String,
    /// Unique for the user.
    pub name: String,
    pub kind: KeyPairKind,
    pub public_key: String,
    /// MD5 of the key's bytes, in colon-separated pairs of digits, as Nova shows it.
    pub fingerprint: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPairKind {
    Ssh,
}

impl KeyPairKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
        }
    }
}
