use updraft_model::identity::{Group, name_key};

use super::json;
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, domain_id, name, description, extra FROM user_groups";

fn from_row(row: &Row) -> Result<Group, StoreError> {
    Ok(Group {
        id: row.try_get("id")?,
        domain_id: row.try_get("domain_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        extra: json::get(row, "extra")?,
    })
}

/// Adds a group. `Duplicate` when the domain has one of that name.
pub async fn insert(tx: &mut Tx, group: &Group) -> Result<(), StoreError> {
    query("INSERT INTO user_groups (id, domain_id, name, name_key, description, extra) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(&group.id)
        .bind(&group.domain_id)
        .bind(&group.name)
        .bind(name_key(&group.name))
        .bind(&group.description)
        .bind(json::text(&group.extra)?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes every field but the id and the domain.
pub async fn update(tx: &mut Tx, group: &Group) -> Result<(), StoreError> {
    query("UPDATE user_groups SET name = ?, name_key = ?, description = ?, extra = ? WHERE id = ?")
        .bind(&group.name)
        .bind(name_key(&group.name))
        .bind(&group.description)
        .bind(json::text(&group.extra)?)
        .bind(&group.id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes the group, its memberships and the roles that it holds; false when there was none.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    query("DELETE FROM role_assignments WHERE actor_kind = 'group' AND actor_id = ?")
        .bind(id)
        .execute(tx)
        .await?;
    let changed = query("DELETE FROM user_groups WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Group>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// Groups in the order of their names.
pub async fn list(
    conn: &mut Conn,
    ids: Option<&[String]>,
    domain_id: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Group>, StoreError> {
    let rows = Select::new(SELECT)
        .and_in("id", ids)
        .and_eq("domain_id", domain_id)
        .and_eq("name_key", name.map(name_key))
        .order("name_key, id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

/// Makes the user a member; nothing when it is one.
pub async fn add_member(tx: &mut Tx, group_id: &str, user_id: &str) -> Result<(), StoreError> {
    if is_member(tx, group_id, user_id).await? {
        return Ok(());
    }
    query("INSERT INTO group_members (group_id, user_id) VALUES (?, ?)")
        .bind(group_id)
        .bind(user_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// Ends the membership; false when there was none.
pub async fn remove_member(tx: &mut Tx, group_id: &str, user_id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM group_members WHERE group_id = ? AND user_id = ?")
        .bind(group_id)
        .bind(user_id)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}

pub async fn is_member(conn: &mut Conn, group_id: &str, user_id: &str) -> Result<bool, StoreError> {
    let row = query("SELECT 1 AS found FROM group_members WHERE group_id = ? AND user_id = ?")
        .bind(group_id)
        .bind(user_id)
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}

/// Ids of the group's users.
pub async fn members(conn: &mut Conn, group_id: &str) -> Result<Vec<String>, StoreError> {
    let rows = query("SELECT user_id FROM group_members WHERE group_id = ? ORDER BY user_id")
        .bind(group_id)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| row.try_get("user_id")).collect()
}

/// Ids of the groups that the user is in.
pub async fn groups_of(conn: &mut Conn, user_id: &str) -> Result<Vec<String>, StoreError> {
    let rows = query("SELECT group_id FROM group_members WHERE user_id = ? ORDER BY group_id")
        .bind(user_id)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| row.try_get("group_id")).collect()
}
