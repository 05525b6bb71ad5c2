//! What a project's images use, as limits count it.

use crate::connection::Conn;
use crate::error::StoreError;
use crate::query::query;

async fn number(conn: &mut Conn, sql: &'static str, project_id: &str) -> Result<i64, StoreError> {
    query(sql).bind(project_id).fetch_one(conn).await?.try_get("number")
}

/// Images of the project.
pub async fn count(conn: &mut Conn, project_id: &str) -> Result<i64, StoreError> {
    number(conn, "SELECT COUNT(*) AS number FROM images WHERE owner = ?", project_id).await
}

/// Images of the project whose data is on its way.
pub async fn count_uploading(conn: &mut Conn, project_id: &str) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) AS number FROM images WHERE owner = ? \
               AND status IN ('saving', 'uploading', 'importing')";
    number(conn, sql, project_id).await
}

/// Bytes of the data that the project's images have.
pub async fn bytes(conn: &mut Conn, project_id: &str) -> Result<i64, StoreError> {
    // MySQL's sums are decimals; to SQLite the cast means "a number".
    // The size of what is staged is a file's.
    let sql = "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS SIGNED) AS number FROM images \
               WHERE owner = ? AND md5 IS NOT NULL";
    number(conn, sql, project_id).await
}

/// Bytes that lie ready for imports of the project's images.
pub async fn staged_bytes(conn: &mut Conn, project_id: &str) -> Result<i64, StoreError> {
    let sql = "SELECT CAST(COALESCE(SUM(f.size_bytes), 0) AS SIGNED) AS number FROM image_files f \
               JOIN images i ON i.id = f.image_id WHERE i.owner = ? AND f.role = 'staged'";
    number(conn, sql, project_id).await
}
