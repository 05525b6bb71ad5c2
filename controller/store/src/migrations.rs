//! The schema's history. A migration that was released never changes; a new one is added below it.

use sqlx::{Connection, Row, SqliteConnection};

use crate::error::StoreError;

/// (number, name, statements), in order.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "identity", include_str!("../migrations/sqlite/0001_identity.sql")),
    (2, "image", include_str!("../migrations/sqlite/0002_image.sql")),
    (3, "network", include_str!("../migrations/sqlite/0003_network.sql")),
    (4, "compute", include_str!("../migrations/sqlite/0004_compute.sql")),
    (9, "authentication", include_str!("../migrations/sqlite/0009_authentication.sql")),
];

/// Applies what is missing, each migration with its record in one transaction: a kill in between
/// leaves the schema at one number or the next.
pub(crate) async fn apply(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_history (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        .execute(&mut *connection)
        .await?;
    let current: i64 = sqlx::query("SELECT COALESCE(MAX(number), 0) AS number FROM schema_history")
        .fetch_one(&mut *connection)
        .await?
        .try_get("number")?;
    if current > MIGRATIONS[MIGRATIONS.len() - 1].0 {
        return Err(StoreError::broken(format!("the database is of a newer release (schema {current})")));
    }
    for (number, name, statements) in MIGRATIONS.into_iter().filter(|(number, ..)| *number > current) {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(statements).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO schema_history (number, name) VALUES (?, ?)")
            .bind(number)
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
    }
    Ok(())
}
