use updraft_model::Timestamp;
use updraft_model::image::{Member, MemberStatus};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT image_id, member_id, status, created_at, updated_at FROM image_members";

fn from_row(row: &Row) -> Result<Member, StoreError> {
    let status: String = row.try_get("status")?;
    Ok(Member {
        image_id: row.try_get("image_id")?,
        member_id: row.try_get("member_id")?,
        status: MemberStatus::parse(&status).ok_or_else(|| StoreError::corrupt("image_members.status"))?,
        created_at: Timestamp(row.try_get("created_at")?),
        updated_at: Timestamp(row.try_get("updated_at")?),
    })
}

/// Adds a member. `Duplicate` when the project is one already.
pub async fn insert(tx: &mut Tx, member: &Member) -> Result<(), StoreError> {
    query(
        "INSERT INTO image_members (image_id, member_id, status, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(&member.image_id)
    .bind(&member.member_id)
    .bind(member.status.as_str())
    .bind(member.created_at.0)
    .bind(member.updated_at.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes the status.
pub async fn update(tx: &mut Tx, member: &Member) -> Result<(), StoreError> {
    query("UPDATE image_members SET status = ?, updated_at = ? WHERE image_id = ? AND member_id = ?")
        .bind(member.status.as_str())
        .bind(member.updated_at.0)
        .bind(&member.image_id)
        .bind(&member.member_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Ends the membership; false when there was none.
pub async fn delete(tx: &mut Tx, image_id: &str, member_id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM image_members WHERE image_id = ? AND member_id = ?")
        .bind(image_id)
        .bind(member_id)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, image_id: &str, member_id: &str) -> Result<Option<Member>, StoreError> {
    let select = Select::new(SELECT).and_eq("image_id", Some(image_id)).and_eq("member_id", Some(member_id));
    select.fetch(conn).await?.first().map(from_row).transpose()
}

/// The image's members in the order in which they were added.
pub async fn list(conn: &mut Conn, image_id: &str) -> Result<Vec<Member>, StoreError> {
    let select = Select::new(SELECT).and_eq("image_id", Some(image_id));
    select.order("created_at, member_id", None).fetch(conn).await?.iter().map(from_row).collect()
}
