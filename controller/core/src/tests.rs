//! Several controllers over one database, for the unit tests of what they share.

use tempfile::TempDir;
use updraft_bus::Bus;
use updraft_peers::Database;
use updraft_store::{DatabaseUrl, Store};
use updraft_token::{KeyRepository, Tokens};

use crate::{Config, Core};

/// A database, and a folder for whatever controllers keep beside it.
pub(crate) struct TestCore {
    pub directory: TempDir,
    // Last: controllers use it.
    database: Database,
}

impl TestCore {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::new(directory.path());
        Self { directory, database }
    }

    /// One more controller, on its own.
    pub async fn core(&self) -> Core {
        self.core_on(Bus::default()).await
    }

    /// One more controller, on a bus.
    pub async fn core_on(&self, bus: Bus) -> Core {
        let store = Store::open(self.database.url().parse::<DatabaseUrl>().unwrap()).await.unwrap();
        let keys = KeyRepository::open_or_create(&self.directory.path().join("keys")).unwrap();
        let config = Config::new(self.directory.path().join("images"));
        Core::on_bus(store, Tokens::new(keys).unwrap(), config, bus)
    }
}
