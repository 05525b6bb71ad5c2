//! A MariaDB server that is killed at a given statement, by a proxy that sees it pass.

use std::sync::Arc;
use std::time::Duration;

use updraft_peers::{MariaDb, Proxy, Side, TestDatabase};

use super::mariadb::{described, increment, open, transactions_left_open, value};
use super::{insert, named};
use crate::identity::domain;
use crate::{DatabaseUrl, Store, StoreError};

/// A server behind a proxy that kills it when asked to.
struct Mortal {
    server: Arc<MariaDb>,
    database: TestDatabase,
    proxy: Proxy,
}

impl Mortal {
    fn start() -> Self {
        let server = Arc::new(MariaDb::start());
        let (database, proxy) = (server.database(), Proxy::start(server.port()));
        Self { server, database, proxy }
    }

    fn url(&self) -> String {
        self.database.url_through(&self.proxy)
    }

    /// Kills the server at the passage of this number of the text, and starts it again.
    fn dies_once(&self, text: &[u8], number: usize, side: Side) {
        self.proxy.watch(text);
        let server = Arc::clone(&self.server);
        let die = move || {
            server.kill();
            // Those who notice at once find nobody.
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(100));
                server.restart();
            });
        };
        self.proxy.at(number, side, Box::new(die));
    }
}

/// The answer to COMMIT never comes, and the server that could tell is dead: it is asked when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_over_a_commit_counts_it_once() {
    let mortal = Mortal::start();
    let store = open(&mortal.url()).await;
    insert(&store, "Red").await.unwrap();
    for round in 1..=8 {
        let side = if round % 2 == 0 { Side::Before } else { Side::After };
        mortal.dies_once(b"COMMIT", 0, side);
        increment(&store).await.unwrap();
        assert!(!mortal.proxy.disarm(), "the server did not die");
        assert_eq!(value(&store).await, round, "{side:?}");
    }
    // Where the server had the COMMIT first, its answer may have come through.
    assert!(store.counters().unknown >= 4, "{:?}", store.counters());
    assert_eq!(transactions_left_open(&store).await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_comes_about_whenever_its_server_dies() {
    let whole = MariaDb::shared_database();
    open(&whole.url).await;
    let mortal = Mortal::start();
    let url: DatabaseUrl = mortal.url().parse().unwrap();
    // Each goes on where the one before it died, a few statements further.
    for number in 0..12 {
        let side = if number % 2 == 0 { Side::Before } else { Side::After };
        mortal.dies_once(b"CREATE ", number * 13 % 17, side);
        let _died = Store::open(&url).await;
        mortal.proxy.disarm();
    }
    open(&mortal.url()).await;
    assert_eq!(described(&mortal.database), described(&whole));
}

/// InnoDB ends the statement after the time limit, not the transaction: that one is begun anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_for_too_long_is_waited_for_again() {
    let database = MariaDb::shared_database();
    let store = open(&database.url).await;
    insert(&store, "Red").await.unwrap();
    let hold = format!(
        "BEGIN; SELECT id FROM {}.domains WHERE id = 'red' FOR UPDATE; SELECT SLEEP(11); ROLLBACK",
        database.name()
    );
    let (held, writing) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            held.send(()).unwrap();
            database.server().execute(&hold);
        });
        writing.recv().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let written = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(store.write::<_, StoreError, _>(|tx| {
                Box::pin(async move {
                    domain::insert(tx, &named("Blue")).await?;
                    let mut red = domain::get(tx, "red").await?.ok_or_else(|| StoreError::corrupt("gone"))?;
                    red.tokens_valid_after.0 += 1;
                    domain::update(tx, &red).await
                })
            }))
        });
        written.unwrap();
    });
    assert!(store.counters().conflicts > 0, "it never had to wait again");
    assert_eq!(value(&store).await, 1);
}
