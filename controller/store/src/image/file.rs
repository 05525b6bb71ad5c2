use updraft_model::Timestamp;
use updraft_model::image::{FileRole, ImageFile, Measured};

use super::{signed, unsigned};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str =
    "SELECT name, image_id, role, holder, held_until, size_bytes, md5, sha512, created_at FROM image_files";

fn from_row(row: &Row) -> Result<ImageFile, StoreError> {
    let role: String = row.try_get("role")?;
    let measured = match row.try_get::<Option<i64>>("size_bytes")? {
        None => None,
        Some(size) => Some(Measured {
            size_bytes: unsigned(size, "image_files.size_bytes")?,
            md5: row.try_get("md5")?,
            sha512: row.try_get("sha512")?,
        }),
    };
    Ok(ImageFile {
        name: row.try_get("name")?,
        image_id: row.try_get("image_id")?,
        role: FileRole::parse(&role).ok_or_else(|| StoreError::corrupt("image_files.role"))?,
        holder: row.try_get("holder")?,
        held_until: Timestamp(row.try_get("held_until")?),
        measured,
        created_at: Timestamp(row.try_get("created_at")?),
    })
}

pub async fn insert(tx: &mut Tx, file: &ImageFile) -> Result<(), StoreError> {
    query(
        "INSERT INTO image_files (name, image_id, role, holder, held_until, size_bytes, md5, sha512, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&file.name)
    .bind(&file.image_id)
    .bind(file.role.as_str())
    .bind(&file.holder)
    .bind(file.held_until.0)
    .bind(file.measured.as_ref().map(|measured| signed(measured.size_bytes)))
    .bind(file.measured.as_ref().map(|measured| &measured.md5))
    .bind(file.measured.as_ref().map(|measured| &measured.sha512))
    .bind(file.created_at.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Holds on to an arriving file until `until`; false when the holder has lost it.
pub async fn hold(tx: &mut Tx, name: &str, holder: &str, until: Timestamp) -> Result<bool, StoreError> {
    let changed =
        query("UPDATE image_files SET held_until = ? WHERE name = ? AND holder = ? AND role = 'arriving'")
            .bind(until.0)
            .bind(name)
            .bind(holder)
            .execute(tx)
            .await?;
    Ok(changed == 1)
}

/// The file has arrived whole: it becomes what `role` says, with what was measured; false when the holder has lost it.
pub async fn arrive(
    tx: &mut Tx,
    name: &str,
    holder: &str,
    role: FileRole,
    measured: &Measured,
) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE image_files SET role = ?, size_bytes = ?, md5 = ?, sha512 = ? \
         WHERE name = ? AND holder = ? AND role = 'arriving'",
    )
    .bind(role.as_str())
    .bind(signed(measured.size_bytes))
    .bind(&measured.md5)
    .bind(&measured.sha512)
    .bind(name)
    .bind(holder)
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

/// Gives a file another role; false when it is not there in the role `from`.
pub async fn change_role(tx: &mut Tx, name: &str, from: FileRole, to: FileRole) -> Result<bool, StoreError> {
    let changed = query("UPDATE image_files SET role = ? WHERE name = ? AND role = ?")
        .bind(to.as_str())
        .bind(name)
        .bind(from.as_str())
        .execute(tx)
        .await?;
    Ok(changed == 1)
}

/// Dooms what is arriving for an image or staged for it.
pub async fn doom_unfinished(tx: &mut Tx, image_id: &str) -> Result<u64, StoreError> {
    query("UPDATE image_files SET role = 'doomed' WHERE image_id = ? AND role IN ('arriving', 'staged')")
        .bind(image_id)
        .execute(tx)
        .await
}

/// Dooms everything that an image has.
pub async fn doom_all(tx: &mut Tx, image_id: &str) -> Result<u64, StoreError> {
    query("UPDATE image_files SET role = 'doomed' WHERE image_id = ?").bind(image_id).execute(tx).await
}

/// Forgets a doomed file, once it is gone from the disk.
pub async fn forget(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    query("DELETE FROM image_files WHERE name = ? AND role = 'doomed'").bind(name).execute(tx).await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, name: &str) -> Result<Option<ImageFile>, StoreError> {
    let rows = Select::new(SELECT).and_eq("name", Some(name)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// The file that an image has in a role, the newest when there are several.
pub async fn of_image(
    conn: &mut Conn,
    image_id: &str,
    role: FileRole,
) -> Result<Option<ImageFile>, StoreError> {
    let select = Select::new(SELECT).and_eq("image_id", Some(image_id)).and_eq("role", Some(role.as_str()));
    let rows = select.order("created_at DESC", Some(1)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// Arriving files that nobody holds any more.
pub async fn list_abandoned(conn: &mut Conn, now: Timestamp) -> Result<Vec<ImageFile>, StoreError> {
    let select = Select::new(SELECT).and_eq("role", Some("arriving"));
    let select = select.and_compare("held_until", " < ", Some(now.0));
    select.order("name", None).fetch(conn).await?.iter().map(from_row).collect()
}

pub async fn list_in_role(conn: &mut Conn, role: FileRole) -> Result<Vec<ImageFile>, StoreError> {
    let select = Select::new(SELECT).and_eq("role", Some(role.as_str()));
    select.order("name", None).fetch(conn).await?.iter().map(from_row).collect()
}

pub async fn list_all(conn: &mut Conn) -> Result<Vec<ImageFile>, StoreError> {
    Select::new(SELECT).order("name", None).fetch(conn).await?.iter().map(from_row).collect()
}
