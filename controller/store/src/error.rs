use sqlx::error::ErrorKind as DatabaseKind;
use sqlx::mysql::MySqlDatabaseError;

/// What went wrong, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// A unique or primary key exists already.
    Duplicate,
    /// A row that is referred to does not exist, or a row that is referred to would go.
    Reference,
    /// The disk is full.
    Full,
    /// The database did not get a connection or a lock in time.
    Busy,
    /// A stored value does not decode: the database was changed by other means.
    Corrupt,
    /// Anything else: the database or its disk is broken.
    Broken,
}

/// A failed query. The source is for the log, never for a tenant.
#[derive(Debug, thiserror::Error)]
#[error("database: {context} ({kind:?})")]
pub struct StoreError {
    pub kind: StoreErrorKind,
    pub context: String,
    #[source]
    source: Option<Box<sqlx::Error>>,
}

/// SQLite's primary result code for a full disk (<https://sqlite.org/rescode.html#full>).
const SQLITE_FULL: &str = "13";
/// SQLite's primary result code for a lock that was not released in time.
const SQLITE_BUSY: &str = "5";

impl StoreError {
    /// A stored value that does not decode.
    pub fn corrupt(context: impl Into<String>) -> Self {
        Self { kind: StoreErrorKind::Corrupt, context: context.into(), source: None }
    }

    pub(crate) fn broken(context: impl Into<String>) -> Self {
        Self { kind: StoreErrorKind::Broken, context: context.into(), source: None }
    }
}

/// MySQL's numbers for a change of the schema that finds its work done: table, column, key or constraint exists, or what
/// was to be dropped is gone (<https://mariadb.com/kb/en/mariadb-error-code-reference/>).
const MYSQL_DONE_ALREADY: &[u16] = &[1050, 1051, 1060, 1061, 1091, 1826];

impl StoreError {
    /// Whether a statement that changes the schema failed because that change was made before.
    pub(crate) fn is_done_already(&self) -> bool {
        self.mysql_number().is_some_and(|number| MYSQL_DONE_ALREADY.contains(&number))
    }

    fn mysql_number(&self) -> Option<u16> {
        match self.source.as_deref()? {
            sqlx::Error::Database(error) => {
                error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
            }
            _ => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> Self {
        let kind = match &source {
            sqlx::Error::Database(error) => match (error.kind(), error.code().as_deref()) {
                (DatabaseKind::UniqueViolation, _) => StoreErrorKind::Duplicate,
                (DatabaseKind::ForeignKeyViolation, _) => StoreErrorKind::Reference,
                (_, Some(SQLITE_FULL)) => StoreErrorKind::Full,
                (_, Some(SQLITE_BUSY)) => StoreErrorKind::Busy,
                _ => StoreErrorKind::Broken,
            },
            sqlx::Error::PoolTimedOut => StoreErrorKind::Busy,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Broken,
        };
        Self { kind, context: source.to_string(), source: Some(Box::new(source)) }
    }
}
