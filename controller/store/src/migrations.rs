//! The schema's history: `migrations/NNNN_name.sql`, each one text for both databases, in the subset of SQL that both
//! understand. A migration that was released never changes; a new one is added below it.
//!
//! SQLite applies everything that is missing in one transaction. MySQL commits at each statement that changes the
//! schema, so there the history counts statements: a start after a kill goes on with the first one that has no mark.
//! That one may have run, as its mark comes after it; then its work is found done, and that is no failure.

use crate::connection::{Conn, Dialect};
use crate::error::StoreError;
use crate::query::{Query, query};

struct Migration {
    number: i64,
    name: &'static str,
    text: &'static str,
}

macro_rules! migrations {
    ($($number:literal $name:literal $file:literal;)*) => {
        [$(Migration { number: $number, name: $name, text: include_str!(concat!("../migrations/", $file)) },)*]
    };
}

const MIGRATIONS: &[Migration] = &migrations! {
    1 "identity" "0001_identity.sql";
    2 "image" "0002_image.sql";
    3 "network" "0003_network.sql";
    4 "compute" "0004_compute.sql";
    6 "idempotency" "0006_idempotency.sql";
    7 "audit" "0007_audit.sql";
    8 "identity resources" "0008_identity_resources.sql";
    9 "authentication" "0009_authentication.sql";
    10 "image work" "0010_image_work.sql";
    11 "identity epoch" "0011_identity_epoch.sql";
    12 "identity extensions" "0012_identity_extensions.sql";
    13 "password rules" "0013_password_rules.sql";
    14 "image task context" "0014_image_task_context.sql";
    15 "bus" "0015_bus.sql";
    16 "order of images" "0016_image_order.sql";
};

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_history (number BIGINT NOT NULL, name VARCHAR(255) NOT NULL, \
                       statements BIGINT NOT NULL, PRIMARY KEY (number))";

/// Which transactions were committed, for those who lost the connection while they committed; see [`crate::mysql`].
const MARKS: &str =
    "CREATE TABLE IF NOT EXISTS transaction_marks (id VARCHAR(64) NOT NULL, PRIMARY KEY (id))";

/// How long a controller waits while another, started at the same time, brings the schema up to date.
const LOCK_TIMEOUT_S: i64 = 120;

/// Called before and after each statement; tests stop the work there, as a kill would.
pub(crate) type Checkpoint<'a> = &'a mut (dyn FnMut() -> Result<(), StoreError> + Send);

/// Brings the schema up to date. Controllers that start at the same time wait for each other.
pub(crate) async fn apply(conn: &mut Conn) -> Result<(), StoreError> {
    apply_with(conn, &mut || Ok(())).await
}

pub(crate) async fn apply_with(conn: &mut Conn, checkpoint: Checkpoint<'_>) -> Result<(), StoreError> {
    match conn.dialect() {
        Dialect::Sqlite => {
            query("BEGIN IMMEDIATE").execute(conn).await?;
            match apply_missing(conn, "", checkpoint).await {
                Ok(()) => query("COMMIT").execute(conn).await.map(drop),
                Err(error) => {
                    query("ROLLBACK").execute(conn).await?;
                    Err(error)
                }
            }
        }
        Dialect::MySql => {
            let options = table_options(conn).await?;
            lock(conn).await?;
            let result = apply_missing(conn, &options, checkpoint).await;
            query("SELECT RELEASE_LOCK(CONCAT('updraft-schema-', SHA1(DATABASE()))) AS released")
                .fetch_one(conn)
                .await?;
            result
        }
    }
}

/// The lock goes with the connection when we are killed. Its name is the server's, so it holds the database's.
async fn lock(conn: &mut Conn) -> Result<(), StoreError> {
    let row = query("SELECT GET_LOCK(CONCAT('updraft-schema-', SHA1(DATABASE())), ?) AS locked")
        .bind(LOCK_TIMEOUT_S)
        .fetch_one(conn)
        .await?;
    match row.try_get::<Option<i64>>("locked")? {
        Some(1) => Ok(()),
        _ => Err(StoreError::broken("another controller is still bringing the schema up to date")),
    }
}

/// What follows the columns of a table on MySQL: it must compare text as SQLite does, byte by byte and with trailing
/// blanks, whatever the server's defaults are.
async fn table_options(conn: &mut Conn) -> Result<String, StoreError> {
    let collation = conn.binary_collation().await?;
    Ok(format!(" ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"))
}

async fn apply_missing(
    conn: &mut Conn,
    table_options: &str,
    checkpoint: Checkpoint<'_>,
) -> Result<(), StoreError> {
    for table in [HISTORY, MARKS] {
        Query::composed(format!("{table}{table_options}"), Vec::new()).execute(conn).await?;
    }
    let row = query("SELECT COALESCE(MAX(number), 0) AS number FROM schema_history").fetch_one(conn).await?;
    let newest: i64 = row.try_get("number")?;
    if MIGRATIONS.last().is_none_or(|last| newest > last.number) {
        return Err(StoreError::broken(format!("the database is of a newer release (schema {newest})")));
    }
    for migration in MIGRATIONS {
        apply_one(conn, migration, table_options, checkpoint).await?;
    }
    Ok(())
}

async fn apply_one(
    conn: &mut Conn,
    migration: &Migration,
    table_options: &str,
    checkpoint: Checkpoint<'_>,
) -> Result<(), StoreError> {
    let begun = begun(conn, migration).await?;
    if begun.is_none() {
        query("INSERT INTO schema_history (number, name, statements) VALUES (?, ?, 0)")
            .bind(migration.number)
            .bind(migration.name)
            .execute(conn)
            .await?;
    }
    let statements = statements(migration.text);
    for (position, statement) in statements.iter().enumerate().skip(begun.unwrap_or(0)) {
        checkpoint()?;
        let options = if statement.starts_with("CREATE TABLE") { table_options } else { "" };
        let definition = Query::composed(format!("{statement}{options}"), Vec::new());
        match definition.execute(conn).await {
            Ok(_) => {}
            Err(error) if begun == Some(position) && error.is_done_already() => {}
            Err(error) => return Err(error),
        }
        checkpoint()?;
        query("UPDATE schema_history SET statements = ? WHERE number = ?")
            .bind(i64::try_from(position + 1).unwrap_or(i64::MAX))
            .bind(migration.number)
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// How many of its statements are marked as done; `None` when nothing of it was begun.
async fn begun(conn: &mut Conn, migration: &Migration) -> Result<Option<usize>, StoreError> {
    let row = query("SELECT name, statements FROM schema_history WHERE number = ?")
        .bind(migration.number)
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let name: String = row.try_get("name")?;
    if name != migration.name {
        return Err(StoreError::broken(format!(
            "schema {} of the database is \"{name}\", ours is \"{}\": it is another release's",
            migration.number, migration.name
        )));
    }
    let done: i64 = row.try_get("statements")?;
    usize::try_from(done).map(Some).map_err(|_| StoreError::corrupt("schema_history.statements"))
}

/// The statements of a migration. A comment has its line to itself; a `;` is nothing but the end of a statement.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
    let code = lines.collect::<Vec<_>>().join("\n");
    code.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend() {
        assert!(MIGRATIONS.is_sorted_by(|earlier, later| earlier.number < later.number));
    }

    /// Each of these means something else, or nothing, on one of the two databases.
    #[test]
    fn migrations_keep_to_what_both_databases_understand() {
        for migration in MIGRATIONS {
            for statement in statements(migration.text) {
                let upper = statement.to_uppercase();
                // Only statements that change the schema: the marks of others would have to be in their transaction.
                assert!(
                    ["CREATE TABLE ", "CREATE INDEX ", "ALTER TABLE ", "DROP TABLE "]
                        .iter()
                        .any(|start| upper.starts_with(start)),
                    "{statement}"
                );
                for word in
                    [" TEXT", " INTEGER", " INT ", "AUTOINCREMENT", "AUTO_INCREMENT", "IF NOT EXISTS", "'"]
                {
                    assert!(!upper.contains(word), "{word} in {statement}");
                }
                for line in statement.lines().filter(|line| line.contains("REFERENCES")) {
                    assert!(line.trim_start().starts_with("FOREIGN KEY"), "MySQL ignores it: {line}");
                }
            }
        }
    }
}
