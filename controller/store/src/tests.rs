mod composed;
mod kills;
mod mariadb;
mod statements;

use std::time::Duration;

use tempfile::TempDir;
use updraft_model::Timestamp;
use updraft_model::identity::Domain;
use updraft_peers::Database;

use crate::connection::Backend;
use crate::identity::domain;
use crate::query::query;
use crate::{DatabaseUrl, Store, StoreError, StoreErrorKind, migrations};

/// A database of a test; the folder goes last.
struct Scratch {
    database: Database,
    _directory: TempDir,
}

impl Scratch {
    async fn open(&self) -> Store {
        Store::open(self.database.url().parse::<DatabaseUrl>().unwrap()).await.unwrap()
    }
}

async fn store() -> (Scratch, Store) {
    let directory = tempfile::tempdir().unwrap();
    let scratch = Scratch { database: Database::new(directory.path()), _directory: directory };
    let store = scratch.open().await;
    (scratch, store)
}

fn named(name: &str) -> Domain {
    Domain {
        id: name.to_lowercase(),
        name: name.into(),
        description: String::new(),
        enabled: true,
        tags: Vec::new(),
        options: updraft_model::identity::Options::new(),
        extra: updraft_model::identity::Extra::new(),
        tokens_valid_after: Timestamp(0),
    }
}

async fn insert(store: &Store, name: &'static str) -> Result<(), StoreError> {
    store.write(move |tx| Box::pin(async move { domain::insert(tx, &named(name)).await })).await
}

async fn count(store: &Store) -> usize {
    domain::list(&mut store.read().await.unwrap(), None, None, None).await.unwrap().len()
}

#[tokio::test]
async fn what_was_committed_is_there_after_the_next_start() {
    let (scratch, store) = store().await;
    insert(&store, "Red").await.unwrap();
    store.close().await;
    let store = scratch.open().await;
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn an_error_and_a_panic_leave_nothing_behind() {
    let (_directory, store) = store().await;
    let failed: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                domain::insert(tx, &named("Red")).await?;
                Err(StoreError::corrupt("on purpose"))
            })
        })
        .await;
    assert_eq!(failed.unwrap_err().kind, StoreErrorKind::Corrupt);
    let panicked: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                domain::insert(tx, &named("Red")).await?;
                panic!("on purpose")
            })
        })
        .await;
    assert!(panicked.is_err());
    assert_eq!(count(&store).await, 0);
    insert(&store, "Red").await.unwrap();
}

#[tokio::test]
async fn names_are_unique_without_regard_to_case() {
    let (_directory, store) = store().await;
    insert(&store, "Red").await.unwrap();
    let twin: Result<(), StoreError> = store
        .write(|tx| {
            Box::pin(async move {
                let twin = Domain { id: "other".into(), ..named("RED") };
                domain::insert(tx, &twin).await
            })
        })
        .await;
    assert_eq!(twin.unwrap_err().kind, StoreErrorKind::Duplicate);
}

/// The hazard of sqlx's issues 4393 and 4394: a handler that is dropped because its client hung up.
#[tokio::test]
async fn dropped_writers_leave_no_transaction_open() {
    let (_directory, store) = store().await;
    insert(&store, "Red").await.unwrap();
    for attempt in 0..200_u64 {
        let write = store.write::<(), StoreError, _>(|tx| {
            Box::pin(async move {
                let mut red = domain::get(tx, "red").await?.ok_or_else(|| StoreError::corrupt("gone"))?;
                red.tokens_valid_after.0 += 1;
                domain::update(tx, &red).await
            })
        });
        // Cut at a different point each time.
        let _cut = tokio::time::timeout(Duration::from_micros(attempt * 5), write).await;
    }
    // A writer's connection serves the next transaction, which could not begin inside another.
    insert(&store, "Blue").await.unwrap();
    // Each write is done whole, whoever waited for it; MySQL's may come in any order.
    for _ in 0..600 {
        let mut conn = store.read().await.unwrap();
        let cuts = domain::get(&mut conn, "red").await.unwrap().unwrap().tokens_valid_after.0;
        if cuts == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not every write was done");
}

#[tokio::test]
async fn readers_cannot_write_and_do_not_wait_for_a_writer() {
    let (_directory, store) = store().await;
    insert(&store, "Red").await.unwrap();
    let (reading, other) = (store.clone(), store.clone());
    let seen = store
        .write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                domain::insert(tx, &named("Blue")).await?;
                Ok(count(&reading).await)
            })
        })
        .await
        .unwrap();
    assert_eq!((seen, count(&other).await), (1, 2));
    let mut conn = other.read().await.unwrap();
    assert!(query("DELETE FROM domains").execute(&mut conn).await.is_err());
}

#[tokio::test]
async fn sqlite_commits_are_durable_and_references_hold() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("updraft.sqlite")).await.unwrap();
    let pragmas = store
        .write::<_, StoreError, _>(|tx| {
            Box::pin(async move {
                let mut values = Vec::new();
                for (pragma, column) in
                    [("PRAGMA synchronous", "synchronous"), ("PRAGMA foreign_keys", "foreign_keys")]
                {
                    let row = query(pragma).fetch_one(tx).await?;
                    values.push(row.try_get::<i64>(column)?);
                }
                Ok(values)
            })
        })
        .await
        .unwrap();
    assert_eq!(pragmas, [2, 1], "synchronous is FULL, foreign keys are on");
}

/// The same as on MariaDB (`tests/mariadb.rs`), where it is harder: here all of it is one transaction.
#[tokio::test]
async fn a_schema_that_was_killed_half_way_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(directory.path().join("updraft.sqlite"));
    let mut allowed = 0;
    loop {
        let mut left = allowed;
        let mut checkpoint = || match left {
            0 => Err(StoreError::corrupt("killed")),
            _ => {
                left -= 1;
                Ok(())
            }
        };
        let mut conn = Backend::open(&url).await.unwrap().writer().await.unwrap();
        let result = migrations::apply_with(&mut conn, &mut checkpoint).await;
        let row = query("SELECT COUNT(*) AS number FROM sqlite_master").fetch_one(&mut conn).await.unwrap();
        let tables: i64 = row.try_get("number").unwrap();
        match result {
            Ok(()) => break assert!(tables > 30),
            Err(_) => assert_eq!(tables, 0),
        }
        allowed += 7;
    }
}

#[tokio::test]
async fn a_change_of_an_identity_table_starts_another_epoch() {
    let (_directory, store) = store().await;
    assert_eq!(store.identity_epoch(), None, "nobody watches");
    let watching = store.clone();
    let watcher = tokio::spawn(async move { watching.watch_identity().await });
    let epoch = || async {
        loop {
            if let Some(epoch) = store.identity_epoch() {
                return epoch;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let first = epoch().await;
    insert(&store, "Red").await.unwrap();
    let second = epoch().await;
    assert!(second > first, "the commit is known before the next look");
    insert(&store, "Red").await.unwrap_err();
    assert_eq!(epoch().await, second, "what was rolled back changed nothing");
    watcher.abort();
}
