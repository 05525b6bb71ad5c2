//! Opening the database, and getting at a connection: to read, or to write in a transaction that a client that hangs up
//! cannot cut and that is run again when it lost against another.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{MySql, MySqlPool, Sqlite, SqlitePool};

use crate::counters::{Counters, StoreCounters};
use crate::database_url::{DatabaseUrl, Kind};
use crate::epoch::{self, Epoch};
use crate::error::{Fault, StoreError};
use crate::query::query;
use crate::{migrations, mysql, transaction};

/// A future that a transaction runs; see [`Store::write`].
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// SQLite connections that read at the same time. More wait for [`ACQUIRE_TIMEOUT`], then get `Busy`.
const READERS: u32 = 8;
/// How long a caller waits for a connection before the answer is "busy".
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Rows that SQLite's thread of a connection works ahead of whoever reads them.
const ROWS_AHEAD: usize = 4096;
/// How long SQLite waits for another process's lock (a backup, an operator's shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a MySQL server may take over one statement before its connection counts as lost.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);
/// The same for a change of the schema.
const MIGRATION_LIMIT: Duration = Duration::from_secs(3600);

/// Added rows that a transaction remembers, for its audit event.
const MAX_MADE: usize = 256;

/// The database: cheap to clone, shared by everything in the controller.
///
/// SQLite in WAL mode with one writer and several readers: writers never find the file locked by each other, and readers
/// never wait. MySQL with several writers, each serializable; what conflicts is run again. Either way what a transaction
/// has read still holds when it commits, and a commit is on the disk before it is acknowledged.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) backend: Backend,
    pub(crate) counters: Arc<Counters>,
    pub(crate) identity_epoch: Arc<Epoch>,
    /// Whether transactions collect notices.
    pub(crate) collects_notices: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Backend {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    MySql { writers: MySqlPool, readers: MySqlPool },
}

/// One connection to the database, for as long as the value lives.
#[derive(Debug)]
pub struct Conn {
    connection: Connection,
    /// Why nothing more may be done with it.
    fault: Option<Fault>,
    /// Where a lost connection is replaced from: reads may be repeated, what is inside a transaction may not.
    spare: Option<MySqlPool>,
    limit: Duration,
    /// (table, id) of the rows that were added, in their order.
    made: Vec<(String, String)>,
    /// A statement changed a table that answers about tokens may come from.
    identity_changed: bool,
}

/// What outside consumers are to hear of a transaction, if it is committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// OpenStack's name, `image.create`.
    pub event_type: String,
    /// Something failed, rather than happened.
    pub is_error: bool,
    pub payload: serde_json::Value,
    /// On whose behalf (`request_id`, `project_id`, `user_id`), where no request is under way that says so.
    pub context: Vec<(&'static str, String)>,
}

/// The driver's connection, for [`crate::query`].
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    MySql(PoolConnection<MySql>),
    /// It was given up.
    Gone,
}

/// What a database speaks, where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    /// MySQL and MariaDB.
    MySql,
}

/// A connection inside a write transaction.
#[derive(Debug)]
pub struct Tx {
    pub(crate) conn: Conn,
    /// `None`: nobody outside listens.
    notices: Option<Vec<Notice>>,
}

impl Store {
    /// Opens the database, makes SQLite's file when it is missing, and brings the schema up to date.
    pub async fn open(database: impl Into<DatabaseUrl>) -> Result<Self, StoreError> {
        let backend = Backend::open(&database.into()).await?;
        let mut conn = backend.writer().await?;
        conn.limit = MIGRATION_LIMIT;
        migrations::apply(&mut conn).await?;
        drop(conn);
        Ok(Self {
            backend,
            counters: Arc::default(),
            identity_epoch: Arc::default(),
            collects_notices: false,
        })
    }

    /// The same store, whose transactions collect notices for outside consumers, or do not.
    pub fn collecting_notices(self, collects_notices: bool) -> Self {
        Self { collects_notices, ..self }
    }

    /// A connection to read with. Drop it before calling [`Self::write`] in the same task: not a
    /// deadlock, but it keeps a reader from others for no use.
    pub async fn read(&self) -> Result<Conn, StoreError> {
        self.backend.reader().await
    }

    /// Runs `work` in one write transaction: commits when it returns `Ok`, rolls back when it returns
    /// `Err` or panics.
    ///
    /// The work may run more than once: MySQL rolls one of two conflicting transactions back, and then a clone of
    /// the closure starts from the beginning. So it must leave everything outside the transaction alone. `Conflict`
    /// when it lost again and again.
    ///
    /// It runs in a task of its own, so a client that hangs up (its handler's future is dropped)
    /// never cuts a transaction in half nor leaves one open on the connection.
    pub fn write<T, E, F>(&self, work: F) -> BoxFuture<'_, Result<T, E>>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Clone + Send + 'static,
    {
        // There are hundreds of closures: what follows is compiled once for all of them.
        let work: transaction::Work = Box::new(move |tx| transaction::erased(work.clone()(tx)));
        Box::pin(transaction::run(self.clone(), work))
    }

    /// What happened since the start that an operator may want to see.
    pub fn counters(&self) -> StoreCounters {
        self.counters.read()
    }

    /// A number that stays the same as long as no identity table changes; `None` when that is not known freshly
    /// enough ([`crate::IDENTITY_EPOCH_MAX_AGE`]): it is read by [`Self::watch_identity`] all the time, and by
    /// [`Self::refresh_identity`] at once.
    pub fn identity_epoch(&self) -> Option<u64> {
        self.identity_epoch.current()
    }

    /// Reads the epoch: what is asked for next is as fresh as the database is now.
    pub async fn refresh_identity(&self) -> Result<(), StoreError> {
        self.identity_epoch.refresh(&mut self.read().await?).await
    }

    /// Looks for what other controllers change, until the future is dropped.
    pub async fn watch_identity(&self) {
        let mut outage = epoch::Outage::default();
        loop {
            let refreshed = self.refresh_identity().await;
            match (outage.note(refreshed.is_err(), Instant::now()), refreshed) {
                (Some(epoch::Turn::Began), Err(error)) => {
                    tracing::warn!(%error, "the identity tables' epoch is not read: each request asks the database");
                }
                (Some(epoch::Turn::Ended(lasted)), _) => {
                    tracing::info!(lasted_s = lasted.as_secs(), "the identity tables' epoch is read again");
                }
                _ => {}
            }
            tokio::time::sleep(epoch::POLL).await;
        }
    }

    /// Waits for what runs and closes the files.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Backend::MySql { writers, readers } => {
                readers.close().await;
                writers.close().await;
            }
        }
    }
}

async fn open_sqlite(path: &Path) -> Result<Backend, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .row_buffer_size(ROWS_AHEAD)
        .busy_timeout(BUSY_TIMEOUT);
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
    };
    // The writer first: it makes the file.
    let writer = pool(1).connect_with(options.clone()).await?;
    let readers = pool(READERS).connect_with(options.pragma("query_only", "on")).await?;
    Ok(Backend::Sqlite { writer, readers })
}

impl Backend {
    /// With the schema as it is.
    pub async fn open(database: &DatabaseUrl) -> Result<Self, StoreError> {
        match &database.0 {
            Kind::Sqlite(path) => open_sqlite(path).await,
            Kind::MySql(options) => {
                let (writers, readers) = mysql::pools(options);
                Ok(Self::MySql { writers, readers })
            }
        }
    }

    pub async fn writer(&self) -> Result<Conn, StoreError> {
        Ok(Conn::new(match self {
            Self::Sqlite { writer, .. } => Connection::Sqlite(writer.acquire().await?),
            Self::MySql { writers, .. } => Connection::MySql(mysql::acquire(writers).await?),
        }))
    }

    async fn reader(&self) -> Result<Conn, StoreError> {
        match self {
            Self::Sqlite { readers, .. } => Ok(Conn::new(Connection::Sqlite(readers.acquire().await?))),
            Self::MySql { readers, .. } => {
                let connection = Connection::MySql(mysql::acquire(readers).await?);
                Ok(Conn { spare: Some(readers.clone()), ..Conn::new(connection) })
            }
        }
    }
}

impl Conn {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            fault: None,
            spare: None,
            limit: STATEMENT_LIMIT,
            made: Vec::new(),
            identity_changed: false,
        }
    }

    /// Notes what a statement changes; for [`crate::query`] alone.
    pub(crate) fn note_change(&mut self, sql: &str) {
        self.identity_changed |= epoch::concerns_identity(sql);
    }

    pub(crate) fn identity_changed(&self) -> bool {
        self.identity_changed
    }

    /// Notes a row that was added; for [`crate::query`] alone.
    pub(crate) fn note_made(&mut self, table: &str, id: &str) {
        if self.made.len() < MAX_MADE {
            self.made.push((table.to_owned(), id.to_owned()));
        }
    }

    /// The driver's connection, for [`crate::query`] alone. An error once something went wrong that took the
    /// transaction with it: the next statement would be committed by itself.
    pub(crate) fn raw(&mut self) -> Result<&mut Connection, StoreError> {
        match self.fault {
            Some(fault) => Err(StoreError::after(fault)),
            None => Ok(&mut self.connection),
        }
    }

    /// The same for the statements that end a transaction, whatever happened before.
    pub(crate) fn mysql(&mut self) -> Option<&mut PoolConnection<MySql>> {
        match &mut self.connection {
            Connection::MySql(connection) => Some(connection),
            Connection::Sqlite(_) | Connection::Gone => None,
        }
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// How long one statement may take.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Looks at how a statement failed.
    pub(crate) fn note(&mut self, error: &StoreError) {
        self.fault = self.fault.or(error.fault());
        if self.fault == Some(Fault::Lost) {
            self.give_up();
        }
    }

    /// Whether a read that failed may be repeated on another connection.
    pub(crate) fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// Another connection in the place of a lost one; false when it is not lost, or there is no other.
    pub(crate) async fn replace_lost(&mut self) -> Result<bool, StoreError> {
        match (&self.spare, self.fault) {
            (Some(readers), Some(Fault::Lost)) => {
                self.connection = Connection::MySql(mysql::acquire(readers).await?);
                self.fault = None;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Closes the connection without another word, so that nobody gets it in whatever state it is; the server rolls its
    /// transaction back. A SQLite connection cannot be lost.
    pub(crate) fn give_up(&mut self) {
        if let Connection::MySql(connection) = std::mem::replace(&mut self.connection, Connection::Gone) {
            // Detached, it does not count for the pool any more; dropped, its socket is closed.
            drop(connection.detach());
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.connection {
            Connection::Sqlite(_) => Dialect::Sqlite,
            Connection::MySql(_) | Connection::Gone => Dialect::MySql,
        }
    }

    /// MySQL's collation that compares as SQLite does: bytes, with trailing blanks. Its name differs by make.
    pub(crate) async fn binary_collation(&mut self) -> Result<String, StoreError> {
        let row = query(
            "SELECT COLLATION_NAME AS name FROM information_schema.COLLATIONS \
             WHERE COLLATION_NAME IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')",
        )
        .fetch_optional(self)
        .await?;
        row.ok_or_else(|| StoreError::broken("neither MariaDB 10.2 or newer nor MySQL 8 or newer"))?
            .try_get("name")
    }
}

impl Tx {
    pub(crate) fn new(conn: Conn, collects_notices: bool) -> Self {
        Self { conn, notices: collects_notices.then(Vec::new) }
    }

    /// Whether anybody outside listens.
    pub fn collects_notices(&self) -> bool {
        self.notices.is_some()
    }

    /// Keeps what outside consumers are to hear; `notice` is not called when there are none. Whoever runs the
    /// transaction takes the notices at its end ([`Self::take_notices`]) and writes them down.
    pub fn notice(&mut self, notice: impl FnOnce() -> Notice) {
        if let Some(notices) = &mut self.notices {
            notices.push(notice());
        }
    }

    /// The notices so far, in their order.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// (table, id) of the rows that this transaction has added so far, up to [`MAX_MADE`]; of tables whose first
    /// column is `id`.
    pub fn made(&self) -> &[(String, String)] {
        &self.conn.made
    }
}

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}
