//! One write transaction, from the first attempt to the one that counts.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::MySqlPool;
use tokio::time::Instant;

use crate::connection::{Backend, BoxFuture, Conn, Connection, Dialect, Store, Tx};
use crate::counters::count;
use crate::epoch;
use crate::error::{Fault, StoreError};
use crate::mysql::{self, Mark};
use crate::query::query;

/// For how long a transaction that lost is tried again. A client does not wait for much longer.
const RETRY_LIMIT: Duration = Duration::from_secs(30);
/// The longest pause before the second attempt; it doubles with each, up to [`LONGEST_PAUSE`]. The real pause is drawn
/// from all up to it, so that those who collided do not meet again.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// For how long we ask whether a transaction was committed.
const RESOLVE_LIMIT: Duration = Duration::from_secs(60);
const RESOLVE_PAUSE: Duration = Duration::from_millis(100);
/// Every so many commits, old marks are removed.
const PURGE_EVERY: u64 = 1000;

enum Attempt<T, E> {
    /// Committed, or failed for a reason of its own and rolled back.
    Final(Result<T, E>),
    /// Rolled back by no fault of its own.
    Again(Fault, StoreError),
}

/// Runs clones of `work` until one is committed or fails by itself.
pub(crate) async fn run<T, E, F>(store: &Store, work: F) -> Result<T, E>
where
    E: From<StoreError>,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Clone,
{
    let deadline = Instant::now() + RETRY_LIMIT;
    let mut longest = FIRST_PAUSE;
    loop {
        let (fault, error) = match attempt(store, work.clone()).await {
            Attempt::Final(result) => return result,
            Attempt::Again(fault, error) => (fault, error),
        };
        count(match fault {
            Fault::Conflict => &store.counters.conflicts,
            Fault::Lost => &store.counters.lost,
        });
        let pause = longest.mul_f64(rand::random());
        if Instant::now() + pause > deadline {
            return Err(error.into());
        }
        tracing::debug!(%error, "the transaction is run again");
        tokio::time::sleep(pause).await;
        longest = (longest * 2).min(LONGEST_PAUSE);
    }
}

async fn attempt<T, E, F>(store: &Store, work: F) -> Attempt<T, E>
where
    E: From<StoreError>,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
{
    let mut conn = match store.backend.writer().await {
        Ok(conn) => conn,
        Err(error) => return Attempt::Final(Err(error.into())),
    };
    let mark = match begin(&mut conn).await {
        Ok(mark) => mark,
        Err(error) => return failed(conn, error).await,
    };
    let mut tx = Tx { conn };
    let outcome = AssertUnwindSafe(work(&mut tx)).catch_unwind().await;
    let mut conn = tx.conn;
    match outcome {
        // Whatever the work made of the failure: its transaction is no more.
        Ok(_) if conn.fault().is_some() => failed(conn, StoreError::broken("")).await,
        Ok(Ok(value)) if conn.identity_changed() => commit_identity(store, conn, mark, value).await,
        Ok(Ok(value)) => commit(store, conn, mark, value).await,
        Ok(Err(error)) => {
            roll_back(&mut conn).await;
            Attempt::Final(Err(error))
        }
        Err(_panic) => {
            roll_back(&mut conn).await;
            Attempt::Final(Err(StoreError::broken("the transaction's code panicked").into()))
        }
    }
}

/// A commit that starts another epoch of the identity tables, here and in the database.
async fn commit_identity<T, E>(store: &Store, mut conn: Conn, mark: Option<Mark>, value: T) -> Attempt<T, E>
where
    E: From<StoreError>,
{
    if let Err(error) = epoch::raise(&mut conn).await {
        return failed(conn, error).await;
    }
    let attempt = commit(store, conn, mark, value).await;
    // Also after a failure: the commit may have come through.
    store.identity_epoch.advance();
    attempt
}

async fn begin(conn: &mut Conn) -> Result<Option<Mark>, StoreError> {
    let limit = conn.limit();
    match conn.raw()? {
        Connection::MySql(connection) => {
            let begun = tokio::time::timeout(limit, Mark::begin(connection)).await;
            let begun = begun.unwrap_or_else(|_| Err(StoreError::after(Fault::Lost)));
            begun.inspect_err(|error| conn.note(error)).map(Some)
        }
        // IMMEDIATE: a transaction that starts by reading and then writes would get "busy" at once.
        _ => query("BEGIN IMMEDIATE").execute(conn).await.map(|_| None),
    }
}

async fn commit<T, E>(store: &Store, mut conn: Conn, mark: Option<Mark>, value: T) -> Attempt<T, E>
where
    E: From<StoreError>,
{
    let (Backend::MySql { writers, .. }, Some(mark)) = (&store.backend, mark) else {
        return match query("COMMIT").execute(&mut conn).await {
            Ok(_) => {
                count(&store.counters.commits);
                Attempt::Final(Ok(value))
            }
            Err(error) => failed(conn, error).await,
        };
    };
    match statement(&mut conn, "COMMIT").await {
        Ok(()) => {}
        Err(error) if error.fault() == Some(Fault::Conflict) => return failed(conn, error).await,
        Err(error) => {
            conn.give_up();
            count(&store.counters.unknown);
            tracing::warn!(%error, "it is not known whether the transaction was committed; its mark is looked for");
            match resolve(writers, &mark).await {
                Ok(true) => {}
                Ok(false) => return Attempt::Again(Fault::Lost, error),
                Err(error) => return Attempt::Final(Err(error.into())),
            }
        }
    }
    if count(&store.counters.commits) % PURGE_EVERY == PURGE_EVERY - 1 {
        let writers = writers.clone();
        tokio::spawn(async move {
            if let Err(error) = mysql::purge_marks(&writers).await {
                tracing::debug!(%error, "old transaction marks stay for now");
            }
        });
    }
    Attempt::Final(Ok(value))
}

/// Asks until the server answers whether the marked transaction was committed.
async fn resolve(writers: &MySqlPool, mark: &Mark) -> Result<bool, StoreError> {
    let deadline = Instant::now() + RESOLVE_LIMIT;
    loop {
        match tokio::time::timeout_at(deadline, mark.was_committed(writers)).await {
            Ok(Ok(committed)) => return Ok(committed),
            Ok(Err(error)) if Instant::now() > deadline => return Err(error),
            Ok(Err(_)) => tokio::time::sleep(RESOLVE_PAUSE).await,
            Err(_) => return Err(StoreError::after(Fault::Lost)),
        }
    }
}

/// Ends a transaction that failed: to be tried again if that was none of its doing.
async fn failed<T, E: From<StoreError>>(mut conn: Conn, error: StoreError) -> Attempt<T, E> {
    let fault = conn.fault().or(error.fault());
    if fault == Some(Fault::Lost) {
        conn.give_up();
    } else {
        roll_back(&mut conn).await;
    }
    match fault {
        Some(fault) => Attempt::Again(fault, StoreError::after(fault)),
        None => Attempt::Final(Err(error.into())),
    }
}

/// The connection is outside of any transaction afterwards, or closed.
async fn roll_back(conn: &mut Conn) {
    if let Err(error) = statement(conn, "ROLLBACK").await {
        // SQLite may have rolled back by itself (a full disk); then there is nothing left to do.
        tracing::debug!(%error, "rollback");
        if conn.dialect() == Dialect::MySql {
            conn.give_up();
        }
    }
}

/// COMMIT or ROLLBACK: without preparing it, and whatever happened on the connection before.
async fn statement(conn: &mut Conn, sql: &'static str) -> Result<(), StoreError> {
    let limit = conn.limit();
    let Some(connection) = conn.mysql() else { return query(sql).execute(conn).await.map(drop) };
    match tokio::time::timeout(limit, sqlx::raw_sql(sql).execute(&mut **connection)).await {
        Ok(result) => Ok(result.map(drop)?),
        Err(_) => Err(StoreError::after(Fault::Lost)),
    }
}
