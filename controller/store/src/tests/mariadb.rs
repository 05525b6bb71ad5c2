//! What can happen on a server alone: other writers, lost connections, kills. On a real MariaDB, whatever database the
//! rest of the suite runs on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Row as _;
use updraft_peers::{Cut, MariaDb, Proxy};

use super::{count, insert, named};
use crate::connection::Backend;
use crate::identity::domain;
use crate::{DatabaseUrl, Store, StoreError, StoreErrorKind, migrations};

/// Longer than any of this takes, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(300);

pub(super) async fn open(url: &str) -> Store {
    Store::open(url.parse::<DatabaseUrl>().unwrap()).await.unwrap()
}

/// Reads a number and writes the next one: two that do so at once must not write the same.
pub(super) async fn increment(store: &Store) -> Result<(), StoreError> {
    let work = store.write(|tx| {
        Box::pin(async move {
            let mut red = domain::get(tx, "red").await?.ok_or_else(|| StoreError::corrupt("gone"))?;
            red.tokens_valid_after.0 += 1;
            domain::update(tx, &red).await
        })
    });
    work.await
}

pub(super) async fn value(store: &Store) -> i64 {
    let mut conn = store.read().await.unwrap();
    domain::get(&mut conn, "red").await.unwrap().unwrap().tokens_valid_after.0
}

/// The writers' connections, all of them.
pub(super) async fn transactions_left_open(store: &Store) -> Vec<u64> {
    let Backend::MySql { writers, .. } = &store.backend else { panic!("a server was expected") };
    let mut held = Vec::new();
    let mut open = Vec::new();
    for _ in 0..writers.options().get_max_connections() {
        let mut connection = crate::mysql::acquire(writers).await.unwrap();
        let row = sqlx::query("SELECT @@in_transaction AS open").fetch_one(&mut *connection).await.unwrap();
        open.push(row.get("open"));
        held.push(connection);
    }
    open.retain(|open| *open != 0);
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_on_three_controllers_take_turns() {
    let database = MariaDb::shared_database();
    let url = &database.url;
    // All bring the schema up to date at once.
    let stores: [Store; 3] = tokio::join!(open(url), open(url), open(url)).into();
    insert(&stores[0], "Red").await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for store in &stores {
        for _ in 0..4 {
            let store = store.clone();
            tasks.spawn(async move {
                let mut firsts = 0;
                for name in ["Blue", "Green", "White", "Black", "Grey"] {
                    increment(&store).await.unwrap();
                    match insert(&store, name).await {
                        Ok(()) => firsts += 1,
                        Err(error) => assert_eq!(error.kind, StoreErrorKind::Duplicate, "{error}"),
                    }
                }
                firsts
            });
        }
    }
    let firsts: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!((firsts, count(&stores[1]).await), (5, 6), "each name was taken once");
    assert_eq!(value(&stores[2]).await, 60, "no increment was lost");
    let conflicts: u64 = stores.iter().map(|store| store.counters().conflicts).sum();
    assert!(conflicts > 0, "twelve writers of one row never met");
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_counts_once() {
    let database = MariaDb::shared_database();
    let proxy = Proxy::start(database.server().port());
    let store = open(&database.url_through(&proxy)).await;
    insert(&store, "Red").await.unwrap();
    let commit = b"COMMIT".to_vec();
    for (cut, expected) in [(Cut::After(commit.clone()), 1), (Cut::Before(commit), 2)] {
        proxy.cut(cut);
        increment(&store).await.unwrap();
        assert!(!proxy.is_armed());
        assert_eq!(value(&store).await, expected);
    }
    let counters = store.counters();
    assert_eq!((counters.unknown, counters.lost), (2, 1), "one was committed, one was run again");
}

#[tokio::test]
async fn connections_cut_anywhere_lose_and_double_nothing() {
    let database = MariaDb::shared_database();
    let proxy = Proxy::start(database.server().port());
    let store = open(&database.url_through(&proxy)).await;
    insert(&store, "Red").await.unwrap();
    for round in 1..=150 {
        // Some thousand bytes are one write with a connection of its own; steps of a prime go everywhere in it.
        proxy.cut(Cut::AfterBytes(usize::try_from(round).unwrap() * 131 % 2003));
        increment(&store).await.unwrap();
        assert_eq!(value(&store).await, round);
    }
    proxy.pass();
    assert!(store.counters().lost > 0);
    assert_eq!(transactions_left_open(&store).await, [0; 0]);
}

/// `UPDRAFT_ABORTS=10000` for the full count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_requests_leave_no_transaction_open() {
    let aborts = std::env::var("UPDRAFT_ABORTS").map_or(400, |text| text.parse::<u64>().unwrap());
    let database = MariaDb::shared_database();
    let store = open(&database.url).await;
    insert(&store, "Red").await.unwrap();
    for attempt in 0..aborts {
        // Cut at a different point each time: while it waits, reads, writes, commits.
        let limit = Duration::from_micros(attempt * 37 % 5000);
        let _cut = tokio::time::timeout(limit, increment(&store)).await;
        let _cut = tokio::time::timeout(limit, value(&store)).await;
    }
    assert_eq!(transactions_left_open(&store).await, [0; 0]);
    let deadline = Instant::now() + LIMIT;
    while value(&store).await < i64::try_from(aborts).unwrap() {
        assert!(Instant::now() < deadline, "{} of {aborts} writes were done", value(&store).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_found_again_and_nothing_is_lost_or_doubled() {
    let server = Arc::new(MariaDb::start());
    let database = server.database();
    let store = open(&database.url).await;
    insert(&store, "Red").await.unwrap();
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, stopping) = (store.clone(), stopping.clone());
        tasks.spawn(async move {
            let mut acknowledged = 0;
            while !*stopping.borrow() {
                match increment(&store).await {
                    Ok(()) => acknowledged += 1,
                    Err(error) => assert!(
                        matches!(error.kind, StoreErrorKind::Busy | StoreErrorKind::Conflict),
                        "{error}"
                    ),
                }
            }
            acknowledged
        });
    }
    for _ in 0..3 {
        let before = store.counters().commits;
        wait_for(|| store.counters().commits > before + 20).await;
        let at_restart = tokio::task::block_in_place(|| {
            server.kill();
            let commits = store.counters().commits;
            server.restart();
            commits
        });
        let back = Instant::now();
        wait_for(|| store.counters().commits > at_restart + 4).await;
        eprintln!("written again {} ms after the server's return", back.elapsed().as_millis());
    }
    stop.send_replace(true);
    let acknowledged: i64 = tasks.join_all().await.into_iter().sum();
    assert_eq!(value(&store).await, acknowledged);
    assert_eq!(transactions_left_open(&store).await, [0; 0]);
}

async fn wait_for(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn text_compares_as_on_sqlite() {
    let database = MariaDb::shared_database();
    let store = open(&database.url).await;
    for id in ["a", "A", "a ", "á"] {
        let write = store.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let domain =
                    updraft_model::identity::Domain { id: id.into(), ..named(&format!("n-{}", id.len())) };
                let domain = updraft_model::identity::Domain {
                    name: format!("{id}{}", id.escape_unicode()),
                    ..domain
                };
                domain::insert(tx, &domain).await
            })
        });
        write.await.unwrap();
    }
    let others = format!(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{}' \
         AND NOT (TABLE_COLLATION = 'utf8mb4_nopad_bin' AND ENGINE = 'InnoDB')",
        database.name()
    );
    assert_eq!(database.server().execute(&others), "");
    let long = store
        .write::<_, StoreError, _>(|tx| {
            Box::pin(async move { domain::insert(tx, &named(&"x".repeat(300))).await })
        })
        .await;
    assert_eq!(long.unwrap_err().kind, StoreErrorKind::TooLong, "refused, not cut off");
}

/// Stops after each statement, before and after its mark is written; each start goes on from there.
#[tokio::test]
async fn the_schema_comes_about_whatever_statement_it_was_killed_after() {
    let (whole, halting) = (MariaDb::shared_database(), MariaDb::shared_database());
    open(&whole.url).await;
    let url: DatabaseUrl = halting.url.parse().unwrap();
    let mut starts = 0;
    loop {
        // In turns: the statement runs and has no mark; it is found done, marked, and the next one is not begun.
        let mut left = 1 + starts % 2;
        let mut checkpoint = || match left {
            0 => Err(StoreError::corrupt("killed")),
            _ => {
                left -= 1;
                Ok(())
            }
        };
        let backend = Backend::open(&url).await.unwrap();
        let mut conn = backend.writer().await.unwrap();
        match migrations::apply_with(&mut conn, &mut checkpoint).await {
            Ok(()) => break,
            Err(error) => assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}"),
        }
        starts += 1;
    }
    assert!(starts > 100, "only {starts} stops");
    assert_eq!(described(&halting), described(&whole));
}

pub(super) fn described(database: &updraft_peers::TestDatabase) -> String {
    let name = database.name();
    let columns = format!(
        "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLLATION_NAME FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = '{name}' ORDER BY TABLE_NAME, ORDINAL_POSITION"
    );
    let keys = format!(
        "SELECT TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = '{name}' ORDER BY 1, 2, 3"
    );
    database.server().execute(&format!("{columns}; {keys}"))
}
