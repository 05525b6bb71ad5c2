//! What is MySQL's alone: its sessions, and marks that tell whether a transaction was committed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection as _, MySql, MySqlPool};

use crate::connection::ACQUIRE_TIMEOUT;
use crate::error::StoreError;

/// Connections of one controller that write at the same time.
const WRITERS: u32 = 16;
/// Connections of one controller that read at the same time.
const READERS: u32 = 16;
/// How long the pool tries before it tells us; we try again until [`ACQUIRE_TIMEOUT`]. Short, as the pool waits between
/// attempts to connect for up to a fifth of it, and a server that is back is to be used soon.
const ACQUIRE_STEP: Duration = Duration::from_secs(1);
const ACQUIRE_PAUSE: Duration = Duration::from_millis(50);
/// A connection that was idle for longer is asked whether it still lives before it is used.
const TRUST_IDLE: Duration = Duration::from_secs(1);
/// Idle connections are closed after this time, before servers and firewalls do it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// A transaction mark is kept for longer than anybody could ask for it.
const KEEP_MARKS: Duration = Duration::from_secs(3600);

/// The server's defaults do not matter: text is compared byte by byte, wrong values are refused, and a transaction
/// does not wait for another's lock for longer than its own retries take.
const SESSION: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,\
     PIPES_AS_CONCAT,ONLY_FULL_GROUP_BY', innodb_lock_wait_timeout = 10, autocommit = 1, foreign_key_checks = 1, \
     collation_connection = (SELECT COLLATION_NAME FROM information_schema.COLLATIONS \
     WHERE COLLATION_NAME IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin'))";

/// Serializable: what a transaction has read stays true until it commits, so that "it is free, I take it" holds with any
/// number of writers, as it does on SQLite with one. Of two that would break it, one is rolled back and tries again.
const WRITER_SESSION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE";
/// Readers cannot write, and each statement sees what is committed when it begins.
const READER_SESSION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY";

/// Pools of writers and of readers, both still without connections.
pub(crate) fn pools(options: &MySqlConnectOptions) -> (MySqlPool, MySqlPool) {
    (pool(options, WRITERS, WRITER_SESSION), pool(options, READERS, READER_SESSION))
}

fn pool(options: &MySqlConnectOptions, connections: u32, session: &'static str) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_STEP)
        .idle_timeout(IDLE_TIMEOUT)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(SESSION).execute(&mut *connection).await?;
                sqlx::raw_sql(session).execute(connection).await?;
                Ok(())
            })
        })
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > TRUST_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options.clone())
}

/// A connection, as soon as there is one: a server that restarts is waited for.
pub(crate) async fn acquire(pool: &MySqlPool) -> Result<PoolConnection<MySql>, StoreError> {
    let deadline = tokio::time::Instant::now() + ACQUIRE_TIMEOUT;
    loop {
        // The outer limit is for a server that accepts connections and then says nothing.
        let error = match tokio::time::timeout_at(deadline, pool.acquire()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => StoreError::from(error),
            Err(_) => return Err(StoreError::from(sqlx::Error::PoolTimedOut)),
        };
        if !error.is_passing() || tokio::time::Instant::now() + ACQUIRE_PAUSE > deadline {
            return Err(error);
        }
        tokio::time::sleep(ACQUIRE_PAUSE).await;
    }
}

/// Names one attempt of a transaction. Its row is written at the beginning, so its lock stands until the outcome is
/// decided, and is there afterwards if and only if the transaction was committed.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    id: String,
}

impl Mark {
    /// Ascending in time, so that rows are added at the end and purged from the beginning.
    fn new() -> Self {
        Self { id: format!("{:016x}-{:016x}", micros_since_epoch(Duration::ZERO), rand::random::<u64>()) }
    }

    /// Begins a transaction that leaves this mark.
    pub async fn begin(connection: &mut PoolConnection<MySql>) -> Result<Self, StoreError> {
        let mark = Self::new();
        // SAFETY of content: the id is hexadecimal.
        let sql = format!("BEGIN; INSERT INTO transaction_marks (id) VALUES ('{}')", mark.id);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **connection).await?;
        Ok(mark)
    }

    /// Whether the transaction was committed. The locking read waits until the server has decided: it may still have
    /// the COMMIT of a connection that we have lost before it.
    pub async fn was_committed(&self, pool: &MySqlPool) -> Result<bool, StoreError> {
        let mut connection = acquire(pool).await?;
        let row = sqlx::query("SELECT id FROM transaction_marks WHERE id = ? FOR UPDATE")
            .bind(&self.id)
            .fetch_optional(&mut *connection)
            .await?;
        Ok(row.is_some())
    }
}

/// Forgets old marks.
pub(crate) async fn purge_marks(pool: &MySqlPool) -> Result<(), StoreError> {
    let oldest = format!("{:016x}", micros_since_epoch(KEEP_MARKS));
    loop {
        let mut connection = acquire(pool).await?;
        let purged = sqlx::query("DELETE FROM transaction_marks WHERE id < ? ORDER BY id LIMIT 1000")
            .bind(&oldest)
            .execute(&mut *connection)
            .await?
            .rows_affected();
        if purged == 0 {
            return Ok(());
        }
    }
}

fn micros_since_epoch(ago: Duration) -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(ago).as_micros()
}
