use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{MySql, Sqlite, SqlitePool};

use crate::error::StoreError;
use crate::migrations;
use crate::query::query;

/// A future that a transaction runs; see [`Store::write`].
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Connections that read at the same time. More wait for [`ACQUIRE_TIMEOUT`], then get `Busy`.
const READERS: u32 = 8;
/// How long a caller waits for a connection before the answer is "busy".
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite waits for another process's lock (a backup, an operator's shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Added rows that a transaction remembers, for its audit event.
const MAX_MADE: usize = 256;

/// The database: cheap to clone, shared by everything in the controller.
///
/// SQLite in WAL mode with one writer and several readers: writers never find the file locked by each
/// other, and readers never wait. Every commit is on the disk before it is acknowledged.
#[derive(Clone, Debug)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// One connection to the database, for as long as the value lives.
#[derive(Debug)]
pub struct Conn {
    connection: Connection,
    /// (table, id) of the rows that were added, in their order.
    made: Vec<(String, String)>,
}

/// The driver's connection, for [`crate::query`].
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    #[allow(dead_code, reason = "its pool comes next")]
    MySql(PoolConnection<MySql>),
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
    conn: Conn,
}

impl Store {
    /// Opens the database at `path`, makes it when it is missing, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        migrations::apply(&mut Conn::new(Connection::Sqlite(writer.acquire().await?))).await?;
        let readers = pool(READERS).connect_with(options.pragma("query_only", "on")).await?;
        Ok(Self { writer, readers })
    }

    /// A connection to read with. Drop it before calling [`Self::write`] in the same task: not a
    /// deadlock, but it keeps a reader from others for no use.
    pub async fn read(&self) -> Result<Conn, StoreError> {
        Ok(Conn::new(Connection::Sqlite(self.readers.acquire().await?)))
    }

    /// Runs `work` in one write transaction: commits when it returns `Ok`, rolls back when it returns
    /// `Err` or panics.
    ///
    /// The work may run more than once: MySQL rolls one of two conflicting transactions back, and then a clone of
    /// the closure starts from the beginning. So it must leave everything outside the transaction alone.
    ///
    /// It runs in a task of its own, so a client that hangs up (its handler's future is dropped)
    /// never cuts a transaction in half nor leaves one open on the connection.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Clone + Send + 'static,
    {
        let writer = self.writer.clone();
        match tokio::spawn(async move { transact(&writer, work).await }).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::broken("the transaction's task was cancelled").into()),
        }
    }

    /// Waits for what runs and closes the files.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn transact<T, E, F>(writer: &SqlitePool, work: F) -> Result<T, E>
where
    E: From<StoreError>,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
{
    let connection = writer.acquire().await.map_err(StoreError::from)?;
    let mut tx = Tx { conn: Conn::new(Connection::Sqlite(connection)) };
    // IMMEDIATE: a transaction that starts by reading and then writes would get "busy" at once.
    tx.statement("BEGIN IMMEDIATE").await?;
    match AssertUnwindSafe(work(&mut tx)).catch_unwind().await {
        Ok(Ok(value)) => match tx.statement("COMMIT").await {
            Ok(()) => Ok(value),
            Err(error) => {
                tx.roll_back().await;
                Err(error.into())
            }
        },
        Ok(Err(error)) => {
            tx.roll_back().await;
            Err(error)
        }
        Err(_panic) => {
            tx.roll_back().await;
            Err(StoreError::broken("the transaction's code panicked").into())
        }
    }
}

impl Tx {
    /// (table, id) of the rows that this transaction has added so far, up to [`MAX_MADE`]; of tables whose first
    /// column is `id`.
    pub fn made(&self) -> &[(String, String)] {
        &self.conn.made
    }

    async fn statement(&mut self, sql: &'static str) -> Result<(), StoreError> {
        query(sql).execute(self).await?;
        Ok(())
    }

    /// SQLite may have rolled back by itself (a full disk); then there is nothing left to do.
    async fn roll_back(&mut self) {
        if let Err(error) = self.statement("ROLLBACK").await {
            tracing::debug!(%error, "rollback");
        }
    }
}

impl Conn {
    fn new(connection: Connection) -> Self {
        Self { connection, made: Vec::new() }
    }

    /// Notes a row that was added; for [`crate::query`] alone.
    pub(crate) fn note_made(&mut self, table: &str, id: &str) {
        if self.made.len() < MAX_MADE {
            self.made.push((table.to_owned(), id.to_owned()));
        }
    }

    /// The driver's connection, for [`crate::query`] alone.
    pub(crate) fn raw(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.connection {
            Connection::Sqlite(_) => Dialect::Sqlite,
            Connection::MySql(_) => Dialect::MySql,
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
