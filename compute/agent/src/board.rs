//! Where the servers' tasks pin what they observe, for the controller to be told.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use updraft_base::ServerId;
use updraft_compute_api::observed::ServerObserved;

/// The newest observation of every server.
#[derive(Debug)]
pub struct Board {
    servers: Mutex<BTreeMap<ServerId, ServerObserved>>,
    changes: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self { servers: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Board {
    /// Notes an observation.
    pub fn put(&self, observed: ServerObserved) {
        let mut servers = self.lock();
        if servers.get(&observed.id) != Some(&observed) {
            servers.insert(observed.id, observed);
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Forgets a server that is gone.
    pub fn remove(&self, id: ServerId) {
        if self.lock().remove(&id).is_some() {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// All observations, in the order of the ids.
    pub fn all(&self) -> Vec<ServerObserved> {
        self.lock().values().cloned().collect()
    }

    /// Changes with every observation.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServerId, ServerObserved>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
