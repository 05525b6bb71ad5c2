//! Password hashes: argon2id, on a bounded number of threads. Bcrypt's, which users of a Keystone bring along, are
//! verified, too, and replaced when their owner next logs in.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Argon2, Params};
use tokio::sync::{Semaphore, oneshot};

use crate::{Error, ErrorKind, Result};

/// The longest password in bytes; a longer one costs time before it is even looked at (CVE-2012-1572).
pub const MAX_PASSWORD_BYTES: usize = 128;
/// Hashes computed at the same time. Each takes [`MEMORY_KIB`], so this bounds the memory of a login flood.
const AT_ONCE: usize = 4;
/// Logins that may wait for their turn; more are refused as "unavailable".
const WAITING: usize = 256;
/// How far the hashing threads stand back (`nice(2)`).
const NICENESS: i32 = 15;
/// OWASP's least for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Hashes and checks passwords.
///
/// The work is done on threads of its own that yield to everything else in the process: a flood of logins takes what
/// is left of the processors, and requests that carry a token do not feel it.
#[derive(Debug)]
pub struct Passwords {
    places: Semaphore,
    work: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Default for Passwords {
    fn default() -> Self {
        let (work, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..AT_ONCE {
            let queue = Arc::clone(&queue);
            let started = thread::Builder::new().name(format!("password-{number}")).spawn(move || {
                // Of this thread alone: Linux keeps the value per thread. Without it logins are only less polite.
                let _ = rustix::process::setpriority_process(None, NICENESS);
                // Ends with the sender, when the process is done with logins.
                while let Ok(job) = next(&queue) {
                    job();
                }
            });
            if let Err(error) = started {
                tracing::error!(%error, "a thread for passwords was not started");
            }
        }
        Self { places: Semaphore::new(AT_ONCE + WAITING), work }
    }
}

fn next(queue: &Mutex<mpsc::Receiver<Job>>) -> std::result::Result<Job, mpsc::RecvError> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv()
}

impl Passwords {
    /// The PHC string of a new password. 400 when it is longer than [`MAX_PASSWORD_BYTES`] or empty.
    pub async fn hash(&self, password: String) -> Result<String> {
        check_length(&password)?;
        self.run(move || {
            let hash = hasher()?.hash_password(password.as_bytes()).map_err(failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether `password` fits `hash`. Without a hash (no such user, or one that has no password) the same work
    /// is done and the answer is no, so that the time tells nothing.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        check_length(&password)?;
        self.run(move || {
            let Some(hash) = hash else {
                hasher()?.hash_password(password.as_bytes()).map_err(failed)?;
                return Ok(false);
            };
            if is_bcrypt(&hash) {
                // As Keystone does: bcrypt knows 72 bytes, the others do not count.
                return bcrypt::verify(password.as_bytes(), &hash).map_err(failed);
            }
            let hash = PasswordHash::new(&hash).map_err(failed)?;
            Ok(hasher()?.verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let _place = self.places.try_acquire().map_err(|_| overloaded())?;
        let (done, result) = oneshot::channel();
        // Nobody may wait for the result any more: a client hung up.
        let job = Box::new(move || drop(done.send(work())));
        self.work.send(job).map_err(|_| overloaded())?;
        result.await.map_err(Error::internal)?
    }
}

/// Whether the hash is to be replaced by one of ours as soon as the password is at hand.
pub fn is_dated(hash: &str) -> bool {
    is_bcrypt(hash)
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

fn hasher() -> Result<Argon2<'static>> {
    let params =
        Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params))
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::internal(error.to_string())
}

fn overloaded() -> Error {
    Error::new(ErrorKind::Unavailable, "TooManyLogins", "Too many logins are waiting; try again.")
}

#[cfg(test)]
mod tests {
    use super::{MAX_PASSWORD_BYTES, Passwords};
    use crate::ErrorKind;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::default();
        let hash = passwords.hash("secret".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(passwords.verify("secret".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("Secret".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("secret".into(), None).await.unwrap());
    }

    /// A hash as Keystone's default hasher makes them, of "correct horse".
    #[tokio::test]
    async fn the_hashes_of_imported_users_are_verified() {
        let passwords = Passwords::default();
        let hash = bcrypt::hash_with_salt("correct horse", 4, [7; 16])
            .unwrap()
            .format_for_version(bcrypt::Version::TwoB);
        assert!(hash.starts_with("$2b$04$"), "{hash}");
        assert!(super::is_dated(&hash));
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct cow".into(), Some(hash)).await.unwrap());
        let ours = passwords.hash("correct horse".into()).await.unwrap();
        assert!(!super::is_dated(&ours));
    }

    #[tokio::test]
    async fn a_huge_password_is_refused_before_any_work() {
        let passwords = Passwords::default();
        let longest = "x".repeat(MAX_PASSWORD_BYTES);
        assert!(passwords.hash(longest.clone()).await.is_ok());
        let refused = passwords.verify(longest + "x", None).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::BadRequest);
    }
}
