//! The key repository: a directory of files whose names are numbers, as Keystone's Fernet repository.
//!
//! `0` is the *staged* key, which becomes primary at the next rotation and so is known to every process
//! before the first token is made with it; the highest number is the *primary*, which makes tokens; the
//! others are *secondary* and only verify.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fernet::Fernet;

/// Keys that are kept: staged, primary and secondaries. Rotated every token lifetime, three suffice.
pub const MAX_ACTIVE_KEYS: usize = 3;

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

impl KeyRepository {
    /// Opens the repository, and makes it with a staged and a primary key when it is not there.
    pub fn open_or_create(directory: &Path) -> Result<Self, KeyError> {
        let repository = Self { directory: directory.to_owned() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io_error(directory))?;
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
    pub(crate) fn load(&self) -> Result<Vec<Fernet>, KeyError> {
        let files = self.files()?;
        if files.keys().all(|number| *number == 0) {
            return Err(KeyError::NoPrimary { path: self.directory.clone() });
        }
        files.values().rev().map(|path| read_key(path)).collect()
    }

    /// The staged key becomes primary, a new key is staged, and the oldest secondaries go.
    pub(crate) fn rotate(&self) -> Result<(), KeyError> {
        let files = self.files()?;
        let next = files.keys().last().copied().unwrap_or(0) + 1;
        let staged = self.path(0);
        fs::rename(&staged, self.path(next)).map_err(io_error(&staged))?;
        self.write_key(0, &Fernet::generate_key())?;
        let files = self.files()?;
        let surplus = files.len().saturating_sub(MAX_ACTIVE_KEYS);
        for path in files.range(1..next).take(surplus).map(|(_, path)| path) {
            fs::remove_file(path).map_err(io_error(path))?;
        }
        Ok(())
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

fn read_key(path: &Path) -> Result<Fernet, KeyError> {
    let text = fs::read_to_string(path).map_err(io_error(path))?;
    Fernet::new(text.trim()).ok_or_else(|| KeyError::NotAKey { path: path.to_owned() })
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> KeyError + use<> {
    let path = path.to_owned();
    move |source| KeyError::Io { path: path.clone(), source }
}
