//! How often the identity tables were changed, known in every process within a second.
//!
//! A request's token is checked against the identity tables, which change rarely. Whoever keeps answers worked out from
//! them asks for the epoch first: as long as it is the same, nothing in those tables has changed. A transaction of this
//! process that touches one of them starts another epoch before [`crate::Store::write`] returns, and raises the number
//! in the database; the other controllers read that number all the time.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::connection::Conn;
use crate::error::StoreError;
use crate::query::query;

/// How long an epoch is trusted without having been read again. So long may a change that was made through another
/// controller stay unseen.
pub const IDENTITY_EPOCH_MAX_AGE: Duration = Duration::from_millis(900);
/// How often it is read.
pub(crate) const POLL: Duration = Duration::from_millis(250);

/// Tables of which no answer about a token is worked out. One that is missing here counts as an identity table: that
/// costs answers that could have been kept, and is never wrong.
const OTHER_TABLES: &[&str] = &[
    "audit_events",
    "audit_subjects",
    "compute_quotas",
    "console_tickets",
    "default_security_groups",
    "domain_options",
    "flavor_access",
    "flavors",
    "floating_ips",
    "host_credentials",
    "host_enrolments",
    "hosts",
    "idempotent_requests",
    "identity_epoch",
    "image_files",
    "image_members",
    "image_tasks",
    "images",
    "keypairs",
    "login_failures",
    "metadef_items",
    "metadef_namespaces",
    "metadef_resource_types",
    "network_quotas",
    "networks",
    "password_history",
    "policy_associations",
    "policy_blobs",
    "port_fixed_ips",
    "port_security_groups",
    "ports",
    "project_limits",
    "registered_limits",
    "routers",
    "schema_history",
    "security_group_rules",
    "security_groups",
    "sequences",
    "servers",
    "subnets",
    "task_events",
    "tasks",
    "totp_uses",
    "transaction_marks",
    "user_activity",
];

/// Whether the statement changes a table that answers about tokens may come from.
pub(crate) fn concerns_identity(sql: &str) -> bool {
    let mut words = sql.split_ascii_whitespace();
    let table = match words.next() {
        Some("UPDATE") => words.next(),
        Some("INSERT" | "DELETE") => words.nth(1),
        _ => return false,
    };
    table.is_none_or(|table| !OTHER_TABLES.contains(&table))
}

/// The epoch as this process knows it.
#[derive(Debug)]
pub(crate) struct Epoch {
    started: Instant,
    current: AtomicU64,
    /// The number in the database when it was last read.
    seen: AtomicI64,
    /// When that was, in milliseconds since `started`; 0 for never.
    read_ms: AtomicU64,
}

impl Default for Epoch {
    fn default() -> Self {
        Self { started: Instant::now(), current: 1.into(), seen: (-1).into(), read_ms: 0.into() }
    }
}

impl Epoch {
    /// The epoch; `None` when it has not been read for [`IDENTITY_EPOCH_MAX_AGE`].
    pub fn current(&self) -> Option<u64> {
        // Before the age is looked at: a change after that only makes it older.
        let current = self.current.load(Ordering::Acquire);
        let read_ms = self.read_ms.load(Ordering::Acquire);
        let age = self.started.elapsed().saturating_sub(Duration::from_millis(read_ms));
        (read_ms > 0 && age < IDENTITY_EPOCH_MAX_AGE).then_some(current)
    }

    /// Something changed through this process.
    pub fn advance(&self) {
        self.current.fetch_add(1, Ordering::AcqRel);
    }

    /// The database had this number at some time after `asked`.
    fn observe(&self, changes: i64, asked: Instant) {
        if self.seen.swap(changes, Ordering::AcqRel) != changes {
            self.advance();
        }
        let asked_ms = asked.saturating_duration_since(self.started).as_millis();
        self.read_ms.store(u64::try_from(asked_ms).unwrap_or(u64::MAX).max(1), Ordering::Release);
    }

    /// Reads the number.
    pub async fn refresh(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let asked = Instant::now();
        let row = query("SELECT changes FROM identity_epoch WHERE id = 1").fetch_optional(conn).await?;
        let changes = row.map_or(Ok(0), |row| row.try_get("changes"))?;
        self.observe(changes, asked);
        Ok(())
    }
}

/// How the reading of the epoch turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Began,
    /// After it had lasted so long.
    Ended(Duration),
}

/// Whether the epoch cannot be read right now: who looks four times a second says so once.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    since: Option<Instant>,
}

impl Outage {
    /// Takes what came of one look.
    pub fn note(&mut self, has_failed: bool, now: Instant) -> Option<Turn> {
        match (self.since, has_failed) {
            (None, true) => {
                self.since = Some(now);
                Some(Turn::Began)
            }
            (Some(since), false) => {
                self.since = None;
                Some(Turn::Ended(now.saturating_duration_since(since)))
            }
            (None, false) | (Some(_), true) => None,
        }
    }
}

/// Raises the number, as the last thing before the commit of a transaction that touched an identity table.
pub(crate) async fn raise(conn: &mut Conn) -> Result<(), StoreError> {
    let changed = query("UPDATE identity_epoch SET changes = changes + 1 WHERE id = 1").execute(conn).await?;
    if changed == 0 {
        query("INSERT INTO identity_epoch (id, changes) VALUES (1, 1)").execute(conn).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Epoch, IDENTITY_EPOCH_MAX_AGE, Outage, POLL, Turn, concerns_identity};

    #[test]
    fn an_outage_is_told_once_and_its_end_too() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut outage = Outage::default();
        let looks = [false, true, true, true, false, false, true, false];
        let told: Vec<_> = looks
            .into_iter()
            .zip(0..)
            .filter_map(|(failed, number)| outage.note(failed, start + second * number))
            .collect();
        assert_eq!(told, [Turn::Began, Turn::Ended(second * 3), Turn::Began, Turn::Ended(second)]);
    }

    #[test]
    fn an_unknown_table_counts_as_one_of_identity() {
        assert!(concerns_identity("UPDATE users SET enabled = ? WHERE id = ?"));
        assert!(concerns_identity("DELETE FROM roles WHERE id = ?"));
        assert!(concerns_identity(&["INSERT INTO", "something_new (id) VALUES (?)"].join(" ")));
        for other in [
            "UPDATE servers SET name = ? WHERE id = ?",
            "DELETE FROM images WHERE id = ?",
            "SELECT 1 FROM users",
            "COMMIT",
        ] {
            assert!(!concerns_identity(other), "{other}");
        }
    }

    #[test]
    fn an_epoch_ends_with_any_change_and_is_not_trusted_for_ever() {
        let epoch = Epoch::default();
        assert_eq!(epoch.current(), None, "never read");
        epoch.observe(7, Instant::now());
        let first = epoch.current().unwrap();
        epoch.observe(7, Instant::now());
        assert_eq!(epoch.current(), Some(first));
        epoch.advance();
        assert!(epoch.current() > Some(first), "a change of our own");
        let second = epoch.current();
        epoch.observe(9, Instant::now());
        assert!(epoch.current() > second, "a change by somebody else");
        let long_ago = Epoch { started: Instant::now() - Duration::from_secs(60), ..Epoch::default() };
        long_ago.observe(7, long_ago.started + Duration::from_secs(1));
        assert_eq!(long_ago.current(), None);
    }

    #[test]
    fn threat_8_a_change_elsewhere_is_seen_within_a_second() {
        let second = Duration::from_secs(1);
        assert!(IDENTITY_EPOCH_MAX_AGE < second, "however long it is not read");
        assert!(POLL * 3 < IDENTITY_EPOCH_MAX_AGE, "one look that is late takes nobody's memory away");
        let epoch = Epoch { started: Instant::now() - second * 10, ..Epoch::default() };
        epoch.observe(7, Instant::now() - second);
        assert_eq!(epoch.current(), None, "it counts from when it was asked for");
    }
}
