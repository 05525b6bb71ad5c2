//! Issues and verifies tokens without a network hop.
//!
//! A token is a Fernet message (<https://github.com/fernet/spec>) over [`Claims`]; clients treat it as opaque.
//! Whoever holds the key repository can verify one; whether the user, project or token was revoked since
//! is the controller's to say (`core::identity::token`).

mod claims;
mod keys;

pub use claims::{Claims, Method, Scope};
pub use keys::{KeyError, KeyRepository, MAX_ACTIVE_KEYS};

use std::sync::{PoisonError, RwLock};

use fernet::MultiFernet;

/// The longest token that is looked at, in bytes. Ours stay under 300.
const MAX_TOKEN_BYTES: usize = 1024;

/// Why a token was not accepted. Outside, all are the same 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token was not issued by this cloud")]
    Foreign,
    #[error("the token's content is of an unknown form")]
    Malformed,
    #[error("the token has expired")]
    Expired,
}

/// Issues and verifies tokens with the keys of one repository.
pub struct Tokens {
    repository: KeyRepository,
    keys: RwLock<MultiFernet>,
}

impl Tokens {
    pub fn new(repository: KeyRepository) -> Result<Self, KeyError> {
        let keys = RwLock::new(MultiFernet::new(repository.load()?));
        Ok(Self { repository, keys })
    }

    /// The token for these claims, encrypted and signed with the primary key.
    pub fn issue(&self, claims: &Claims) -> String {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).encrypt(&claims.encode())
    }

    /// The claims of a token that one of our keys made and that has not expired at `now_us`
    /// (microseconds since the epoch).
    pub fn verify(&self, token: &str, now_us: i64) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Foreign);
        }
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let message = keys.decrypt(token).map_err(|_| TokenError::Foreign)?;
        let claims = Claims::decode(&message).ok_or(TokenError::Malformed)?;
        if claims.expires_at_us <= now_us {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    /// Rotates the repository: the staged key becomes primary, a new one is staged, the oldest goes.
    pub fn rotate(&self) -> Result<(), KeyError> {
        self.repository.rotate()?;
        self.reload()
    }

    /// Reads the keys again, after another process rotated them.
    pub fn reload(&self) -> Result<(), KeyError> {
        let fresh = MultiFernet::new(self.repository.load()?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokens").field("repository", &self.repository).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
