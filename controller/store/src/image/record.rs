//! The rows of images, and how a list of them is narrowed by the database.

use serde::Deserialize;
use updraft_model::Timestamp;
use updraft_model::image::{
    ContainerFormat, DiskFormat, Image, ImageData, ImageQuery, ImageStatus, MemberStatus, Visibility,
};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

use super::signed;

/// All of a row in one column: a driver copies each column of each row by itself, more than once, and lists of a
/// thousand images consist of that.
const SELECT: &str = "SELECT CAST(json_object('id', id, 'name', name, 'owner', owner, 'status', status, \
                      'visibility', visibility, 'protected', protected, 'hidden', hidden, \
                      'disk_format', disk_format, 'container_format', container_format, \
                      'min_disk_gib', min_disk_gib, 'min_ram_mib', min_ram_mib, 'size_bytes', size_bytes, \
                      'virtual_size_bytes', virtual_size_bytes, 'md5', md5, 'sha512', sha512, \
                      'properties', properties, 'tags', tags, 'created_at', created_at, 'updated_at', updated_at) \
                      AS CHAR) AS image FROM images";

/// A row as [`SELECT`] writes it.
#[derive(Deserialize)]
struct Columns {
    id: String,
    name: Option<String>,
    owner: String,
    status: String,
    visibility: String,
    protected: u8,
    hidden: u8,
    disk_format: Option<String>,
    container_format: Option<String>,
    min_disk_gib: u32,
    min_ram_mib: u32,
    size_bytes: Option<u64>,
    virtual_size_bytes: Option<u64>,
    md5: Option<String>,
    sha512: Option<String>,
    /// JSON in JSON.
    properties: String,
    tags: String,
    created_at: i64,
    updated_at: i64,
}

fn from_row(row: &Row) -> Result<Image, StoreError> {
    let corrupt = |column: &'static str| move || StoreError::corrupt(format!("images.{column}"));
    let text: String = row.try_get("image")?;
    let columns: Columns =
        serde_json::from_str(&text).map_err(|error| StoreError::corrupt(format!("images: {error}")))?;
    let disk_format = columns
        .disk_format
        .map(|text| DiskFormat::parse(&text).ok_or_else(corrupt("disk_format")))
        .transpose()?;
    let container_format = columns
        .container_format
        .map(|text| ContainerFormat::parse(&text).ok_or_else(corrupt("container_format")))
        .transpose()?;
    let data = match (columns.size_bytes, columns.md5) {
        (Some(size_bytes), Some(md5)) => Some(ImageData {
            size_bytes,
            virtual_size_bytes: columns.virtual_size_bytes,
            md5,
            sha512: columns.sha512.ok_or_else(corrupt("sha512"))?,
        }),
        _ => None,
    };
    Ok(Image {
        id: columns.id,
        name: columns.name,
        owner: columns.owner,
        status: ImageStatus::parse(&columns.status).ok_or_else(corrupt("status"))?,
        visibility: Visibility::parse(&columns.visibility).ok_or_else(corrupt("visibility"))?,
        protected: columns.protected != 0,
        hidden: columns.hidden != 0,
        disk_format,
        container_format,
        min_disk_gib: columns.min_disk_gib,
        min_ram_mib: columns.min_ram_mib,
        // Where there is no data yet, a size is that of what is staged.
        staged_bytes: columns.size_bytes.filter(|_| data.is_none()),
        data,
        properties: serde_json::from_str(&columns.properties).map_err(|_| corrupt("properties")())?,
        tags: serde_json::from_str(&columns.tags).map_err(|_| corrupt("tags")())?,
        created_at: Timestamp(columns.created_at),
        updated_at: Timestamp(columns.updated_at),
    })
}

/// Adds an image. `Duplicate` when the id is taken.
pub async fn insert(tx: &mut Tx, image: &Image) -> Result<(), StoreError> {
    query(
        "INSERT INTO images (name, owner, status, visibility, protected, hidden, disk_format, container_format, \
         min_disk_gib, min_ram_mib, size_bytes, virtual_size_bytes, md5, sha512, properties, tags, updated_at, \
         created_at, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&image.name)
    .bind(&image.owner)
    .bind(image.status.as_str())
    .bind(image.visibility.as_str())
    .bind(image.protected)
    .bind(image.hidden)
    .bind(image.disk_format.map(DiskFormat::as_str))
    .bind(image.container_format.map(ContainerFormat::as_str))
    .bind(image.min_disk_gib)
    .bind(image.min_ram_mib)
    .bind(image.size_bytes().map(signed))
    .bind(image.data.as_ref().and_then(|data| data.virtual_size_bytes).map(signed))
    .bind(image.data.as_ref().map(|data| &data.md5))
    .bind(image.data.as_ref().map(|data| &data.sha512))
    .bind(serde_json::json!(image.properties).to_string())
    .bind(serde_json::json!(image.tags).to_string())
    .bind(image.updated_at.0)
    .bind(image.created_at.0)
    .bind(&image.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field but the id and the time of creation.
pub async fn update(tx: &mut Tx, image: &Image) -> Result<(), StoreError> {
    query(
        "UPDATE images SET name = ?, owner = ?, status = ?, visibility = ?, protected = ?, hidden = ?, \
         disk_format = ?, container_format = ?, min_disk_gib = ?, min_ram_mib = ?, size_bytes = ?, \
         virtual_size_bytes = ?, md5 = ?, sha512 = ?, properties = ?, tags = ?, updated_at = ? WHERE id = ?",
    )
    .bind(&image.name)
    .bind(&image.owner)
    .bind(image.status.as_str())
    .bind(image.visibility.as_str())
    .bind(image.protected)
    .bind(image.hidden)
    .bind(image.disk_format.map(DiskFormat::as_str))
    .bind(image.container_format.map(ContainerFormat::as_str))
    .bind(image.min_disk_gib)
    .bind(image.min_ram_mib)
    .bind(image.size_bytes().map(signed))
    .bind(image.data.as_ref().and_then(|data| data.virtual_size_bytes).map(signed))
    .bind(image.data.as_ref().map(|data| &data.md5))
    .bind(image.data.as_ref().map(|data| &data.sha512))
    .bind(serde_json::json!(image.properties).to_string())
    .bind(serde_json::json!(image.tags).to_string())
    .bind(image.updated_at.0)
    .bind(&image.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes the record and its members; false when there was none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM images WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Image>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// Whose list of images.
#[derive(Clone, Copy, Debug)]
pub enum ListOf<'a> {
    /// Everything there is.
    Cloud,
    /// What belongs in a project's lists: its own, public ones, and those offered to it with this member status (`None`:
    /// any); community images only when asked for.
    Project { id: &'a str, member_status: Option<MemberStatus>, with_community: bool },
}

fn select(of: ListOf<'_>) -> Select {
    let ListOf::Project { id, member_status, with_community } = of else { return Select::new(SELECT) };
    let offered = "visibility = 'shared' AND id IN (SELECT image_id FROM image_members WHERE member_id = ";
    Select::new(SELECT)
        .and_raw("(owner = ")
        .bind(id)
        .raw(" OR visibility = 'public' OR (visibility = 'community' AND ")
        .bind(with_community)
        .raw(") OR (")
        .raw(offered)
        .bind(id)
        .raw(" AND (")
        .bind(member_status.map(MemberStatus::as_str))
        .raw(" IS NULL OR status = ")
        .bind(member_status.map(MemberStatus::as_str))
        .raw("))))")
}

/// All images of a list, in no order.
pub async fn list(conn: &mut Conn, of: ListOf<'_>) -> Result<Vec<Image>, StoreError> {
    select(of).fetch(conn).await?.iter().map(from_row).collect()
}

/// An image, when it is on a list.
pub async fn get_listed(conn: &mut Conn, of: ListOf<'_>, id: &str) -> Result<Option<Image>, StoreError> {
    let rows = select(of).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// The next `count` images of a list by age and then by id, both from the newest or both from the oldest on; of those
/// that come after `last`. Some that the query does not take are left out already.
pub async fn list_by_age(
    conn: &mut Conn,
    of: ListOf<'_>,
    query: &ImageQuery,
    newest_first: bool,
    last: Option<&Image>,
    count: u32,
) -> Result<Vec<Image>, StoreError> {
    let mut rows = narrowed(select(of), query);
    if let Some(last) = last {
        let (older, or_alike) = match newest_first {
            true => ("(created_at < ", " AND id < "),
            false => ("(created_at > ", " AND id > "),
        };
        let at = last.created_at.0;
        rows = rows
            .and_raw(older)
            .bind(at)
            .raw(" OR (created_at = ")
            .bind(at)
            .raw(or_alike)
            .bind(&last.id)
            .raw("))");
    }
    let order = if newest_first { "created_at DESC, id DESC" } else { "created_at, id" };
    rows.order(order, Some(count)).fetch(conn).await?.iter().map(from_row).collect()
}

/// Without rows that the query does not take, as far as one column tells that; the query judges what is left.
fn narrowed(rows: Select, query: &ImageQuery) -> Select {
    let one_of = |attribute| query.one_of.get(attribute).map(Vec::as_slice);
    rows.and_in("id", one_of("id"))
        .and_in("name", one_of("name"))
        .and_in("owner", one_of("owner"))
        .and_in("status", one_of("status"))
        .and_eq("protected", query.protected)
        .and_eq("hidden", Some(query.hidden))
}
