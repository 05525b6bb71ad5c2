//! The key repository: a directory of files whose names are numbers, as Keystone's Fernet repository.
//!
//! `0` is the *staged* key, which becomes primary at the next rotation and so is known to every process
//! before the first token is made with it; the highest number is the *primary*, which makes tokens; the
//! others are *secondary* and only verify.
//!
//! Several controllers may share the directory: a lock file lets one change it at a time, and every key is
//! renamed into place whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fernet::Fernet;

use crate::receipt;

/// Keys that are kept unless more are asked for: staged, primary and one secondary.
pub const MAX_ACTIVE_KEYS: usize = 3;
/// How often the directory is read again when it changes underneath; each try finds a newer state.
const MAX_READS: usize = 20;
/// What processes lock to change the repository.
const LOCK_FILE: &str = ".lock";

/// Why the keys could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("key repository {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} is not a Fernet key (32 bytes in URL-safe base64)")]
    NotAKey { path: PathBuf },
    #[error("key repository {path} has no primary key")]
    NoPrimary { path: PathBuf },
}

/// A directory of keys, readable by its owner alone.
#[derive(Debug)]
pub struct KeyRepository {
    directory: PathBuf,
}

/// What the keys of notes are derived for (see [`crate::Tokens::seal_note`]).
const NOTES: &[u8] = b"updraft note 1";

/// A key as it was in its file, and those of receipts and notes that go with it.
pub(crate) struct Key {
    pub fernet: Fernet,
    pub receipts: Fernet,
    pub notes: Fernet,
}

/// The state of the files: another one means that the keys have to be read again. (number, inode, time of change)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(Vec<(u64, u64, i64, i64)>);

impl KeyRepository {
    /// Opens the repository, and makes it with a staged and a primary key when it is not there.
    pub fn open_or_create(directory: &Path) -> Result<Self, KeyError> {
        let repository = Self { directory: directory.to_owned() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io_error(directory))?;
        let _lock = repository.lock()?;
        let present = repository.files()?;
        if present.keys().all(|number| *number == 0) {
            repository.write_key(1, &Fernet::generate_key())?;
        }
        if !present.contains_key(&0) {
            repository.write_key(0, &Fernet::generate_key())?;
        }
        Ok(repository)
    }

    /// The keys, primary first.
    pub fn load(&self) -> Result<Vec<Fernet>, KeyError> {
        self.load_with_fingerprint().map(|(keys, _)| keys.into_iter().map(|key| key.fernet).collect())
    }

    /// The keys, primary first, and the state of the files that they were read from.
    pub(crate) fn load_with_fingerprint(&self) -> Result<(Vec<Key>, Fingerprint), KeyError> {
        let mut reads = 1;
        loop {
            let result = self.read();
            let changed = |error: &KeyError| matches!(error, KeyError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound);
            match result {
                // A file was renamed or removed between the listing and its reading.
                Err(error) if changed(&error) && reads < MAX_READS => reads += 1,
                result => return result,
            }
        }
    }

    fn read(&self) -> Result<(Vec<Key>, Fingerprint), KeyError> {
        let fingerprint = self.fingerprint()?;
        let files = self.files()?;
        if files.keys().all(|number| *number == 0) {
            return Err(KeyError::NoPrimary { path: self.directory.clone() });
        }
        let keys = files.values().rev().map(|path| read_key(path)).collect::<Result<_, _>>()?;
        Ok((keys, fingerprint))
    }

    pub(crate) fn fingerprint(&self) -> Result<Fingerprint, KeyError> {
        let mut state = Vec::new();
        for (number, path) in self.files()? {
            let found = fs::metadata(&path).map_err(io_error(&path))?;
            state.push((number, found.ino(), found.mtime(), found.mtime_nsec()));
        }
        Ok(Fingerprint(state))
    }

    /// The staged key becomes primary, a new key is staged, and the oldest secondaries go, down to `max_keys` keys.
    pub(crate) fn rotate_keeping(&self, max_keys: usize) -> Result<(), KeyError> {
        let _lock = self.lock()?;
        self.rotate_locked(max_keys)
    }

    /// [`Self::rotate_keeping`] with [`MAX_ACTIVE_KEYS`].
    pub fn rotate(&self) -> Result<(), KeyError> {
        self.rotate_keeping(MAX_ACTIVE_KEYS)
    }

    /// Rotates unless somebody did less than `interval` ago; whether it did. Of several processes that ask at
    /// once, one does.
    pub(crate) fn rotate_if_due(&self, interval: Duration, max_keys: usize) -> Result<bool, KeyError> {
        if !self.is_due(interval)? {
            return Ok(false);
        }
        let _lock = self.lock()?;
        if !self.is_due(interval)? {
            return Ok(false);
        }
        self.rotate_locked(max_keys)?;
        Ok(true)
    }

    /// The staged key is as old as the last rotation. A clock that was set back makes nothing due. No staged key:
    /// somebody is at it right now, or was killed; who gets the lock will see which.
    fn is_due(&self, interval: Duration) -> Result<bool, KeyError> {
        let staged = self.path(0);
        match fs::metadata(&staged).and_then(|found| found.modified()) {
            Ok(written) => Ok(SystemTime::now().duration_since(written).is_ok_and(|age| age >= interval)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(io_error(&staged)(error)),
        }
    }

    /// A kill in between leaves no staged key, or one secondary too many: both are mended by the next call.
    fn rotate_locked(&self, max_keys: usize) -> Result<(), KeyError> {
        let files = self.files()?;
        let next = files.keys().last().copied().unwrap_or(0) + 1;
        let staged = self.path(0);
        if files.contains_key(&0) {
            fs::rename(&staged, self.path(next)).map_err(io_error(&staged))?;
        }
        self.write_key(0, &Fernet::generate_key())?;
        let files = self.files()?;
        let surplus = files.len().saturating_sub(max_keys.max(MAX_ACTIVE_KEYS));
        for path in files.range(1..next).take(surplus).map(|(_, path)| path) {
            fs::remove_file(path).map_err(io_error(path))?;
        }
        Ok(())
    }

    /// Waits for the lock; it goes when the file is closed, also by a kill.
    fn lock(&self) -> Result<fs::File, KeyError> {
        let path = self.directory.join(LOCK_FILE);
        let take = || -> io::Result<fs::File> {
            let file =
                fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        take().map_err(io_error(&path))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(number.to_string())
    }

    fn files(&self) -> Result<BTreeMap<u64, PathBuf>, KeyError> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&self.directory).map_err(io_error(&self.directory))? {
            let path = entry.map_err(io_error(&self.directory))?.path();
            let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if let Some(number) = number {
                files.insert(number, path);
            }
        }
        Ok(files)
    }

    /// Written aside and renamed: a reader sees the whole key or none.
    fn write_key(&self, number: u64, key: &str) -> Result<(), KeyError> {
        let temporary = self.directory.join(format!(".{number}.new"));
        let write = || -> io::Result<()> {
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(key.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, self.path(number))?;
            fs::File::open(&self.directory)?.sync_all()
        };
        write().map_err(io_error(&temporary))
    }
}

fn read_key(path: &Path) -> Result<Key, KeyError> {
    let text = fs::read_to_string(path).map_err(io_error(path))?;
    let text = text.trim();
    let keys = || {
        Some(Key {
            fernet: Fernet::new(text)?,
            receipts: receipt::key(text)?,
            notes: receipt::derived(text, NOTES)?,
        })
    };
    keys().ok_or_else(|| KeyError::NotAKey { path: path.to_owned() })
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> KeyError + use<> {
    let path = path.to_owned();
    move |source| KeyError::Io { path: path.clone(), source }
}
