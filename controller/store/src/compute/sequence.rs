use crate::connection::Tx;
use crate::error::StoreError;
use crate::query::query;

/// The next number of this name, from 1 on; never given out twice, unless its transaction is rolled back.
pub(super) async fn next(tx: &mut Tx, name: &'static str) -> Result<i64, StoreError> {
    let changed =
        query("UPDATE sequences SET latest = latest + 1 WHERE name = ?").bind(name).execute(tx).await?;
    if changed == 0 {
        query("INSERT INTO sequences (name, latest) VALUES (?, 1)").bind(name).execute(tx).await?;
    }
    query("SELECT latest FROM sequences WHERE name = ?").bind(name).fetch_one(tx).await?.try_get("latest")
}
