//! Issues and verifies tokens without a network hop.
//!
//! A token is a Fernet message (<https://github.com/fernet/spec>) over [`Claims`]; clients treat it as opaque.
//! Whoever holds the key repository can verify one; whether the user, project or token was revoked since
//! is the controller's to say (`core::identity::token`).

mod claims;
mod keys;
mod receipt;
mod vault;

pub use claims::{Claims, Federated, Grant, MAX_FEDERATED_GROUPS, Method, Scope};
pub use keys::{KeyError, KeyRepository, MAX_ACTIVE_KEYS};
pub use receipt::Receipt;
pub use vault::Vault;

use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fernet::MultiFernet;
use keys::{Fingerprint, Key};

/// The longest token that is looked at, in bytes. Ours stay under 300, but for a federated user in many groups.
const MAX_TOKEN_BYTES: usize = 4096;

/// A token that no key fits makes us look for newer keys, but not more often than this: junk costs no disk reads.
const RELOAD_PAUSE: Duration = Duration::from_millis(50);

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
    keys: RwLock<Keys>,
    last_reload: Mutex<Option<Instant>>,
}

/// The keys, as they were in the files.
struct Keys {
    fernet: MultiFernet,
    receipts: MultiFernet,
    notes: MultiFernet,
    fingerprint: Fingerprint,
}

impl Keys {
    fn new(keys: Vec<Key>, fingerprint: Fingerprint) -> Self {
        let (mut tokens, mut receipts, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            tokens.push(key.fernet);
            receipts.push(key.receipts);
            notes.push(key.notes);
        }
        Self {
            fernet: MultiFernet::new(tokens),
            receipts: MultiFernet::new(receipts),
            notes: MultiFernet::new(notes),
            fingerprint,
        }
    }
}

impl Tokens {
    pub fn new(repository: KeyRepository) -> Result<Self, KeyError> {
        let (keys, fingerprint) = repository.load_with_fingerprint()?;
        let keys = RwLock::new(Keys::new(keys, fingerprint));
        Ok(Self { repository, keys, last_reload: Mutex::new(None) })
    }

    /// The token for these claims, encrypted and signed with the primary key.
    pub fn issue(&self, claims: &Claims) -> String {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).fernet.encrypt(&claims.encode())
    }

    /// The claims of a token that one of our keys made and that has not expired at `now_us`
    /// (microseconds since the epoch).
    pub fn verify(&self, token: &str, now_us: i64) -> Result<Claims, TokenError> {
        let message = self.message(token, |keys| &keys.fernet)?;
        let claims = Claims::decode(&message).ok_or(TokenError::Malformed)?;
        if claims.expires_at_us <= now_us {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    /// The receipt, encrypted and signed with the primary key of receipts.
    pub fn issue_receipt(&self, receipt: &Receipt) -> String {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).receipts.encrypt(&receipt.encode())
    }

    /// The content of a receipt that one of our keys made and that has not expired at `now_us`.
    pub fn verify_receipt(&self, receipt: &str, now_us: i64) -> Result<Receipt, TokenError> {
        let message = self.message(receipt, |keys| &keys.receipts)?;
        let receipt = Receipt::decode(&message).ok_or(TokenError::Malformed)?;
        if receipt.expires_at_us <= now_us {
            return Err(TokenError::Expired);
        }
        Ok(receipt)
    }

    /// A note to ourselves that somebody else carries, who can neither read nor change it. What it says has to hold its
    /// own end.
    pub fn seal_note(&self, note: &str) -> String {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).notes.encrypt(note.as_bytes())
    }

    /// What a note says that one of our keys sealed.
    pub fn open_note(&self, sealed: &str) -> Result<String, TokenError> {
        let message = self.message(sealed, |keys| &keys.notes)?;
        String::from_utf8(message).map_err(|_| TokenError::Malformed)
    }

    /// What is in a token, receipt or note, by the keys of that kind.
    fn message(&self, text: &str, kind: fn(&Keys) -> &MultiFernet) -> Result<Vec<u8>, TokenError> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Foreign);
        }
        let decrypt = || kind(&self.keys.read().unwrap_or_else(PoisonError::into_inner)).decrypt(text).ok();
        match decrypt() {
            Some(message) => Ok(message),
            None if self.may_reload() && self.reload_if_changed().is_ok_and(|changed| changed) => {
                decrypt().ok_or(TokenError::Foreign)
            }
            None => Err(TokenError::Foreign),
        }
    }

    fn may_reload(&self) -> bool {
        let mut last = self.last_reload.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| last.elapsed() >= RELOAD_PAUSE);
        if may {
            *last = Some(Instant::now());
        }
        may
    }

    /// Rotates the repository: the staged key becomes primary, a new one is staged, the oldest go, down to
    /// `max_keys`.
    pub fn rotate(&self, max_keys: usize) -> Result<(), KeyError> {
        self.repository.rotate_keeping(max_keys)?;
        self.reload_if_changed().map(drop)
    }

    /// Rotates unless any process did less than `interval` ago; whether it did.
    pub fn rotate_if_due(&self, interval: Duration, max_keys: usize) -> Result<bool, KeyError> {
        let rotated = self.repository.rotate_if_due(interval, max_keys)?;
        self.reload_if_changed()?;
        Ok(rotated)
    }

    /// Reads the keys again if another process changed them; whether it did.
    pub fn reload_if_changed(&self) -> Result<bool, KeyError> {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner).fingerprint.clone();
        // A file that goes while it is looked at is a change, too.
        if self.repository.fingerprint().is_ok_and(|now| now == known) {
            return Ok(false);
        }
        let (keys, fingerprint) = self.repository.load_with_fingerprint()?;
        let fresh = Keys::new(keys, fingerprint);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokens").field("repository", &self.repository).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
