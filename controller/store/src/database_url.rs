use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::mysql::MySqlConnectOptions;

use crate::error::StoreError;

/// Which database to open: a file, or a database on a MySQL or MariaDB server.
///
/// As text: `PATH`, `sqlite:PATH`, or `mysql://USER@HOST:PORT/DATABASE`, there with the parameters `ssl-mode` (`DISABLED`,
/// `PREFERRED`, which is the default, `REQUIRED`, `VERIFY_CA`, `VERIFY_IDENTITY`), `ssl-ca`, `ssl-cert`, `ssl-key` (files
/// in PEM) and `socket`. A password is no part of the text; it comes by [`Self::with_password`].
#[derive(Clone)]
pub struct DatabaseUrl(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Sqlite(PathBuf),
    MySql(Box<MySqlConnectOptions>),
}

const MYSQL: &str = "mysql://";
const PARAMETERS: &[&str] = &["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket"];

impl DatabaseUrl {
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Sqlite(path.into()))
    }

    /// The file, when it is SQLite's.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Sqlite(path) => Some(path),
            Kind::MySql(_) => None,
        }
    }

    /// What the server asks the user for. A file has no password.
    #[must_use]
    pub fn with_password(self, password: &str) -> Self {
        match self.0 {
            Kind::MySql(options) => Self(Kind::MySql(Box::new(options.password(password)))),
            file @ Kind::Sqlite(_) => Self(file),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = StoreError;

    /// The error says what is wrong with the text.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        if !text.starts_with(MYSQL) {
            let path = text.strip_prefix("sqlite:").unwrap_or(text);
            if path.is_empty() || path.contains("://") {
                return Err(StoreError::broken("neither a path nor mysql://USER@HOST:PORT/DATABASE"));
            }
            return Ok(Self::sqlite(path));
        }
        let (location, parameters) = text.split_once('?').unwrap_or((text, ""));
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
            if !PARAMETERS.contains(&name) {
                return Err(StoreError::broken(format!(
                    "unknown parameter {name}; known: {}",
                    PARAMETERS.join(", ")
                )));
            }
        }
        let user = location[MYSQL.len()..].rsplit_once('@').map_or("", |(user, _)| user);
        if user.contains(':') {
            return Err(StoreError::broken("a password does not belong here but into a file of its own"));
        }
        let options: MySqlConnectOptions =
            text.parse().map_err(|error| StoreError::broken(format!("not a database URL: {error}")))?;
        if options.get_database().is_none() || user.is_empty() {
            return Err(StoreError::broken("user and database are needed: mysql://USER@HOST:PORT/DATABASE"));
        }
        Ok(Self(Kind::MySql(Box::new(options))))
    }
}

impl From<&Path> for DatabaseUrl {
    fn from(path: &Path) -> Self {
        Self::sqlite(path)
    }
}

impl From<&PathBuf> for DatabaseUrl {
    fn from(path: &PathBuf) -> Self {
        Self::sqlite(path)
    }
}

impl From<&Self> for DatabaseUrl {
    fn from(url: &Self) -> Self {
        url.clone()
    }
}

/// Without the password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Sqlite(path) => write!(formatter, "sqlite:{}", path.display()),
            Kind::MySql(options) => write!(
                formatter,
                "{MYSQL}{}@{}:{}/{}",
                options.get_username(),
                options.get_host(),
                options.get_port(),
                options.get_database().unwrap_or_default()
            ),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::DatabaseUrl;

    #[test]
    fn texts_are_read_and_shown_without_the_password() {
        for (text, shown) in [
            ("/var/lib/updraft.sqlite", "sqlite:/var/lib/updraft.sqlite"),
            ("sqlite:updraft.sqlite", "sqlite:updraft.sqlite"),
            ("mysql://cloud@db.example/updraft", "mysql://cloud@db.example:3306/updraft"),
            (
                "mysql://cloud@db:3307/updraft?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem",
                "mysql://cloud@db:3307/updraft",
            ),
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(format!("{:?}", url.with_password("hunter2")), shown);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("", "path"),
            ("postgres://cloud@db/updraft", "mysql://"),
            ("mysql://cloud:hunter2@db/updraft", "password"),
            ("mysql://cloud@db", "database"),
            ("mysql://db/updraft", "user"),
            ("mysql://cloud@db/updraft?sslmode=no", "sslmode"),
            ("mysql://cloud@db/updraft?ssl-mode=MAYBE", "MAYBE"),
        ] {
            let problem = text.parse::<DatabaseUrl>().unwrap_err().context;
            assert!(problem.contains(named), "{text}: {problem}");
        }
    }
}
