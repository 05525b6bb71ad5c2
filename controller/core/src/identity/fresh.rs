//! What was worked out from the identity tables, kept until something in them changes.
//!
//! A request's token is checked against the user, the scope, the roles and what was revoked. All of it changes rarely
//! and is asked for all the time, so answers are kept together with the *epoch* of the identity tables that they were
//! worked out in ([`updraft_store::Store::identity_epoch`]): every transaction that touches one of those tables starts
//! another epoch. A change made through this process counts from its commit on; one made through another controller
//! within [`updraft_store::IDENTITY_EPOCH_MAX_AGE`]. Where the epoch is not known that freshly, nothing is kept and every
//! request reads the database.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use updraft_model::identity::ServiceProvider;

use super::catalog::Enabled;
use super::live::{LiveStanding, Standing};
use super::login::Named;

/// Answers kept of one kind. One more starts again from nothing: an attacker's many tokens cost time, not memory.
const MAX_ENTRIES: usize = 16_384;

/// All kinds of answers that are kept.
#[derive(Debug, Default)]
pub struct FreshIdentity {
    /// Whose tokens are alive.
    pub(super) standings: Fresh<Standing, LiveStanding>,
    /// Whether a token was revoked, by its audit id.
    pub(super) revoked: Fresh<String, bool>,
    pub(super) catalog: Fresh<(), Enabled>,
    pub(super) service_providers: Fresh<(), Vec<ServiceProvider>>,
    /// The project that somebody wants to scope to, by its name.
    pub(super) project_ids: Fresh<Named, String>,
}

/// Answers to one kind of question, of one epoch.
#[derive(Debug)]
pub struct Fresh<K, V> {
    kept: Mutex<Kept<K, V>>,
}

#[derive(Debug)]
struct Kept<K, V> {
    epoch: u64,
    answers: HashMap<K, Arc<V>>,
}

impl<K, V> Default for Fresh<K, V> {
    fn default() -> Self {
        Self { kept: Mutex::new(Kept { epoch: 0, answers: HashMap::new() }) }
    }
}

impl<K: Eq + Hash, V> Fresh<K, V> {
    /// The answer, when it was worked out in this very epoch.
    pub fn get(&self, epoch: Option<u64>, key: &K) -> Option<Arc<V>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch != Some(kept.epoch) {
            return None;
        }
        kept.answers.get(key).cloned()
    }

    /// Keeps an answer. `epoch` is what it was *before* the database was read for it.
    pub fn put(&self, epoch: Option<u64>, key: K, answer: &Arc<V>) {
        let Some(epoch) = epoch else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch < kept.epoch {
            return;
        }
        if epoch > kept.epoch || kept.answers.len() >= MAX_ENTRIES {
            kept.epoch = epoch;
            kept.answers.clear();
        }
        kept.answers.insert(key, Arc::clone(answer));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Fresh, MAX_ENTRIES};

    #[test]
    fn an_answer_lives_as_long_as_its_epoch() {
        let fresh = Fresh::default();
        fresh.put(Some(3), "who", &Arc::new("alice"));
        assert_eq!(fresh.get(Some(3), &"who").as_deref(), Some(&"alice"));
        assert!(fresh.get(Some(4), &"who").is_none(), "something changed since");
        assert!(fresh.get(None, &"who").is_none(), "nobody knows whether something changed");
        fresh.put(Some(4), "else", &Arc::new("bob"));
        fresh.put(Some(3), "who", &Arc::new("alice"));
        assert!(fresh.get(Some(4), &"who").is_none(), "an answer that took long comes too late");
        assert!(fresh.get(Some(4), &"else").is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let fresh = Fresh::default();
        for key in 0..=MAX_ENTRIES {
            fresh.put(Some(1), key, &Arc::new(()));
        }
        assert!(fresh.get(Some(1), &0).is_none());
        assert!(fresh.get(Some(1), &MAX_ENTRIES).is_some());
    }
}
