//! Secrets at rest: the same encryption as tokens, with a key repository of its own.

use std::path::Path;
use std::sync::{PoisonError, RwLock};

use fernet::MultiFernet;

use crate::keys::{KeyError, KeyRepository};

/// Seals and opens secrets that lie in a database, so that a copy of the database alone gives nothing away.
pub struct Vault {
    repository: KeyRepository,
    keys: RwLock<MultiFernet>,
}

impl Vault {
    /// Opens the key repository in `directory`, and makes it when it is not there.
    pub fn open_or_create(directory: &Path) -> Result<Self, KeyError> {
        let repository = KeyRepository::open_or_create(directory)?;
        let keys = RwLock::new(MultiFernet::new(repository.load()?));
        Ok(Self { repository, keys })
    }

    /// `secret`, encrypted and signed with the primary key.
    pub fn seal(&self, secret: &str) -> String {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).encrypt(secret.as_bytes())
    }

    /// What was sealed; `None` when none of the keys fits, even after they were read again (another process may
    /// have rotated them).
    pub fn unseal(&self, sealed: &str) -> Option<String> {
        if let Some(secret) = self.try_unseal(sealed) {
            return Some(secret);
        }
        self.reload().ok()?;
        self.try_unseal(sealed)
    }

    fn try_unseal(&self, sealed: &str) -> Option<String> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(keys.decrypt(sealed).ok()?).ok()
    }

    /// The staged key becomes primary. Seal every secret anew before the next rotation: the oldest key goes.
    pub fn rotate(&self) -> Result<(), KeyError> {
        self.repository.rotate()?;
        self.reload()
    }

    fn reload(&self) -> Result<(), KeyError> {
        let fresh = MultiFernet::new(self.repository.load()?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Vault").field("repository", &self.repository).finish_non_exhaustive()
    }
}
