//! Password hashes: argon2id, or bcrypt where users may go back to a Keystone, on a bounded number of threads. Hashes of
//! the other kind, which users of a Keystone bring along, are verified, too, and replaced when their owner next logs in.

mod argon2id;
mod pool;

pub use argon2id::Memory as HashMemory;
use pool::Pool;
use tokio::sync::{Semaphore, oneshot};

use crate::{Error, ErrorKind, Result};

/// The longest password in bytes; a longer one costs time before it is even looked at (CVE-2012-1572).
pub const MAX_PASSWORD_BYTES: usize = 128;
/// Logins that may wait for their turn; more are refused as "unavailable".
const WAITING: usize = 256;

/// How new passwords are hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordHashing {
    /// 19 MiB, two passes, one lane.
    #[default]
    Argon2id,
    /// As Keystone does; of a password's bytes the first 72 count.
    Bcrypt {
        /// 2^cost rounds.
        cost: u32,
    },
}

/// Hashes and checks passwords.
///
/// The work is done on threads of its own that yield to everything else in the process: a flood of logins takes what
/// is left of the processors, and requests that carry a token do not feel it.
#[derive(Debug)]
pub struct Passwords {
    hashing: PasswordHashing,
    places: Semaphore,
    pool: Pool,
}

impl Passwords {
    /// Starts the threads that hash.
    pub fn new(hashing: PasswordHashing) -> Self {
        let pool = Pool::start();
        Self { hashing, places: Semaphore::new(pool.threads() + WAITING), pool }
    }

    /// The hash of a new password. 400 when it is longer than [`MAX_PASSWORD_BYTES`] or empty.
    pub async fn hash(&self, password: String) -> Result<String> {
        check_length(&password)?;
        let hashing = self.hashing;
        self.run(move |memory| hashing.hash(&password, memory)).await
    }

    /// Whether `password` fits `hash`. Without a hash (no such user, or one that has no password) the same work
    /// is done and the answer is no, so that the time tells nothing.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        check_length(&password)?;
        let hashing = self.hashing;
        self.run(move |memory| {
            let Some(hash) = hash else { return hashing.hash(&password, memory).map(|_| false) };
            if is_bcrypt(&hash) {
                // As Keystone does: bcrypt knows 72 bytes, the others do not count.
                return bcrypt::verify(password.as_bytes(), &hash).map_err(failed);
            }
            argon2id::verify(&password, &hash, memory).map_err(failed)
        })
        .await
    }

    async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut HashMemory) -> Result<T> + Send + 'static,
    {
        let _place = self.places.try_acquire().map_err(|_| overloaded())?;
        let (done, result) = oneshot::channel();
        // Nobody may wait for the result any more: a client hung up.
        self.pool.add(Box::new(move |memory| drop(done.send(work(memory)))));
        result.await.map_err(Error::internal)?
    }

    /// Whether the hash is of the other kind: to be replaced as soon as the password is at hand.
    pub fn is_dated(&self, hash: &str) -> bool {
        is_bcrypt(hash) == (self.hashing == PasswordHashing::Argon2id)
    }
}

impl PasswordHashing {
    /// The hash of a password, worked out on the calling thread.
    pub fn hash(self, password: &str, memory: &mut HashMemory) -> Result<String> {
        match self {
            Self::Argon2id => argon2id::hash(password, memory).map_err(failed),
            Self::Bcrypt { cost } => bcrypt::hash(password.as_bytes(), cost).map_err(failed),
        }
    }
}

/// `$2a$`, `$2b$`, `$2x$`, `$2y$`
fn is_bcrypt(hash: &str) -> bool {
    hash.starts_with("$2") && hash.as_bytes().get(3) == Some(&b'$')
}

fn check_length(password: &str) -> Result<()> {
    if password.is_empty() || password.len() > MAX_PASSWORD_BYTES {
        let message = format!("A password has 1 to {MAX_PASSWORD_BYTES} bytes.");
        return Err(Error::bad_request("PasswordLength", message));
    }
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::internal(error.to_string())
}

fn overloaded() -> Error {
    Error::new(ErrorKind::Unavailable, "TooManyLogins", "Too many logins are waiting; try again.")
}

#[cfg(test)]
mod tests {
    use super::{MAX_PASSWORD_BYTES, PasswordHashing, Passwords};
    use crate::ErrorKind;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new(PasswordHashing::Argon2id);
        let hash = passwords.hash("secret".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(passwords.verify("secret".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("Secret".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("secret".into(), None).await.unwrap());
    }

    /// A hash as Keystone's default hasher makes them, of "correct horse".
    #[tokio::test]
    async fn the_hashes_of_imported_users_are_verified() {
        let passwords = Passwords::new(PasswordHashing::Argon2id);
        let hash = bcrypt::hash_with_salt("correct horse", 4, [7; 16])
            .unwrap()
            .format_for_version(bcrypt::Version::TwoB);
        assert!(hash.starts_with("$2b$04$"), "{hash}");
        assert!(passwords.is_dated(&hash));
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct cow".into(), Some(hash)).await.unwrap());
        let ours = passwords.hash("correct horse".into()).await.unwrap();
        assert!(!passwords.is_dated(&ours));
    }

    #[tokio::test]
    async fn a_cloud_whose_users_may_go_back_hashes_as_keystone_does() {
        let hash = Passwords::new(PasswordHashing::Argon2id).hash("correct horse".into()).await.unwrap();
        let passwords = Passwords::new(PasswordHashing::Bcrypt { cost: 4 });
        assert!(passwords.is_dated(&hash));
        assert!(passwords.verify("correct horse".into(), Some(hash)).await.unwrap());
        let renewed = passwords.hash("correct horse".into()).await.unwrap();
        assert!(renewed.starts_with("$2b$04$"), "{renewed}");
        assert!(!passwords.is_dated(&renewed));
        assert!(passwords.verify("correct horse".into(), Some(renewed)).await.unwrap());
        assert!(!passwords.verify("correct horse".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_huge_password_is_refused_before_any_work() {
        let passwords = Passwords::new(PasswordHashing::Argon2id);
        let longest = "x".repeat(MAX_PASSWORD_BYTES);
        assert!(passwords.hash(longest.clone()).await.is_ok());
        let refused = passwords.verify(longest + "x", None).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::BadRequest);
    }
}
