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
    /// There was no connection or no lock in time, or the server is not there.
    Busy,
    /// Other transactions were in the way again and again.
    Conflict,
    /// A text is longer than its column.
    TooLong,
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

/// MySQL's numbers for a transaction that lost against another: a deadlock, a lock that was not released in time, a row
/// that was changed since it was read.
const MYSQL_CONFLICT: &[u16] = &[1213, 1205, 1020];
/// For a connection, or a server, that is of no more use: the node is not in its cluster, shutdown, trouble on the wire,
/// read-only since a failover, interrupted, killed, gone away, idle for too long.
const MYSQL_LOST: &[u16] =
    &[1047, 1053, 1152, 1158, 1159, 1160, 1161, 1184, 1290, 1317, 1927, 2006, 2013, 4031];
/// For too many connections, of all or of this user.
const MYSQL_BUSY: &[u16] = &[1040, 1203, 1226];
/// For a disk or a table space that is full.
const MYSQL_FULL: &[u16] = &[1021, 1114];
const MYSQL_TOO_LONG: u16 = 1406;

/// What ends a transaction by no fault of its own, so that it may be run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Another transaction was in the way.
    Conflict,
    /// The connection is gone, and the transaction with it.
    Lost,
}

impl StoreError {
    /// What a transaction fails with that was not worth another attempt.
    pub(crate) fn after(fault: Fault) -> Self {
        let (kind, context) = match fault {
            Fault::Conflict => (StoreErrorKind::Conflict, "other transactions were in the way"),
            Fault::Lost => (StoreErrorKind::Busy, "the connection was lost"),
        };
        Self { kind, context: context.to_owned(), source: None }
    }

    /// Whether the transaction that the statement was in is gone.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match (self.mysql_number(), self.source.as_deref()) {
            (Some(number), _) if MYSQL_CONFLICT.contains(&number) => Some(Fault::Conflict),
            (Some(number), _) if MYSQL_LOST.contains(&number) => Some(Fault::Lost),
            // SQLite has no connection to lose: its own errors of this kind are errors of the disk.
            (None, Some(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_))) => {
                Some(Fault::Lost)
            }
            (None, None) => match self.kind {
                StoreErrorKind::Conflict => Some(Fault::Conflict),
                StoreErrorKind::Busy => Some(Fault::Lost),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it is worth trying to connect again.
    pub(crate) fn is_passing(&self) -> bool {
        self.kind == StoreErrorKind::Busy || self.fault().is_some()
    }

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
            sqlx::Error::Database(error) => {
                match error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number) {
                    Some(number) => mysql_kind(number, &error.kind()),
                    None => sqlite_kind(error.code().as_deref(), &error.kind()),
                }
            }
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::Tls(_) => StoreErrorKind::Busy,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Broken,
        };
        Self { kind, context: source.to_string(), source: Some(Box::new(source)) }
    }
}

fn sqlite_kind(code: Option<&str>, kind: &DatabaseKind) -> StoreErrorKind {
    match (kind, code) {
        (DatabaseKind::UniqueViolation, _) => StoreErrorKind::Duplicate,
        (DatabaseKind::ForeignKeyViolation, _) => StoreErrorKind::Reference,
        (_, Some(SQLITE_FULL)) => StoreErrorKind::Full,
        (_, Some(SQLITE_BUSY)) => StoreErrorKind::Busy,
        _ => StoreErrorKind::Broken,
    }
}

fn mysql_kind(number: u16, kind: &DatabaseKind) -> StoreErrorKind {
    match kind {
        DatabaseKind::UniqueViolation => StoreErrorKind::Duplicate,
        DatabaseKind::ForeignKeyViolation => StoreErrorKind::Reference,
        _ if MYSQL_CONFLICT.contains(&number) => StoreErrorKind::Conflict,
        _ if MYSQL_LOST.contains(&number) || MYSQL_BUSY.contains(&number) => StoreErrorKind::Busy,
        _ if MYSQL_FULL.contains(&number) => StoreErrorKind::Full,
        _ if number == MYSQL_TOO_LONG => StoreErrorKind::TooLong,
        _ => StoreErrorKind::Broken,
    }
}
