use std::path::Path;

use crate::mariadb::{MariaDb, TestDatabase};

/// Names what tests run on: `sqlite`, which is the default, or `mariadb`.
const VARIABLE: &str = "UPDRAFT_TEST_DATABASE";

/// The database of one test. It goes with the value, so let that be the last thing that a test drops.
#[derive(Debug)]
pub enum Database {
    /// A file in the test's own folder.
    Sqlite { url: String },
    /// A database of its own on the server that the process shares.
    MariaDb(TestDatabase),
}

impl Database {
    /// A new database of the kind that `UPDRAFT_TEST_DATABASE` names, for a whole store: empty, or with the tables that
    /// the first of its users has made.
    pub fn new(folder: &Path) -> Self {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("sqlite") => {
                Self::Sqlite { url: format!("sqlite:{}", folder.join("updraft.sqlite").display()) }
            }
            Ok("mariadb") => Self::MariaDb(MariaDb::prepared_database()),
            Ok(other) => panic!("{VARIABLE}={other}: sqlite and mariadb are known"),
        }
    }

    /// What the store is opened with.
    pub fn url(&self) -> &str {
        match self {
            Self::Sqlite { url } => url,
            Self::MariaDb(database) => &database.url,
        }
    }
}
