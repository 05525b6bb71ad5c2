use updraft_model::identity::{Actor, Assignment, Target};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct AssignmentFilter {
    pub actor: Option<Actor>,
    pub target: Option<Target>,
    pub role_id: Option<String>,
}

fn actor_kind(actor: &Actor) -> &'static str {
    match actor {
        Actor::User(_) => "user",
        Actor::Group(_) => "group",
    }
}

fn target_kind(target: &Target) -> &'static str {
    match target {
        Target::Project(_) => "project",
        Target::Domain(_) => "domain",
    }
}

fn from_row(row: &Row) -> Result<Assignment, StoreError> {
    let (actor_id, target_id) = (row.try_get("actor_id")?, row.try_get("target_id")?);
    let actor = match row.try_get::<String>("actor_kind")?.as_str() {
        "user" => Actor::User(actor_id),
        "group" => Actor::Group(actor_id),
        _ => return Err(StoreError::corrupt("role_assignments.actor_kind")),
    };
    let target = match row.try_get::<String>("target_kind")?.as_str() {
        "project" => Target::Project(target_id),
        "domain" => Target::Domain(target_id),
        _ => return Err(StoreError::corrupt("role_assignments.target_kind")),
    };
    Ok(Assignment { actor, target, role_id: row.try_get("role_id")? })
}

/// Grants the role; nothing when it is held already.
pub async fn insert(tx: &mut Tx, assignment: &Assignment) -> Result<(), StoreError> {
    if exists(tx, assignment).await? {
        return Ok(());
    }
    query(
        "INSERT INTO role_assignments (actor_kind, actor_id, target_kind, target_id, role_id) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(actor_kind(&assignment.actor))
    .bind(assignment.actor.id())
    .bind(target_kind(&assignment.target))
    .bind(assignment.target.id())
    .bind(&assignment.role_id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes the role away; false when it was not held.
pub async fn delete(tx: &mut Tx, assignment: &Assignment) -> Result<bool, StoreError> {
    let changed = query(
        "DELETE FROM role_assignments WHERE actor_kind = ? AND actor_id = ? AND target_kind = ? AND target_id = ? \
         AND role_id = ?",
    )
    .bind(actor_kind(&assignment.actor))
    .bind(assignment.actor.id())
    .bind(target_kind(&assignment.target))
    .bind(assignment.target.id())
    .bind(&assignment.role_id)
    .execute(tx)
    .await?;
    Ok(changed > 0)
}

pub async fn exists(conn: &mut Conn, assignment: &Assignment) -> Result<bool, StoreError> {
    let filter = AssignmentFilter {
        actor: Some(assignment.actor.clone()),
        target: Some(assignment.target.clone()),
        role_id: Some(assignment.role_id.clone()),
    };
    Ok(!list(conn, &filter).await?.is_empty())
}

pub async fn list(conn: &mut Conn, filter: &AssignmentFilter) -> Result<Vec<Assignment>, StoreError> {
    let rows =
        Select::new("SELECT actor_kind, actor_id, target_kind, target_id, role_id FROM role_assignments")
            .and_eq("actor_kind", filter.actor.as_ref().map(actor_kind))
            .and_eq("actor_id", filter.actor.as_ref().map(Actor::id))
            .and_eq("target_kind", filter.target.as_ref().map(target_kind))
            .and_eq("target_id", filter.target.as_ref().map(Target::id))
            .and_eq("role_id", filter.role_id.as_deref())
            .order("target_id, actor_id, role_id", None)
            .fetch(conn)
            .await?;
    rows.iter().map(from_row).collect()
}

/// What the user holds itself and through its groups.
pub async fn list_for_user(conn: &mut Conn, user_id: &str) -> Result<Vec<Assignment>, StoreError> {
    let rows = query(
        "SELECT actor_kind, actor_id, target_kind, target_id, role_id FROM role_assignments \
         WHERE (actor_kind = 'user' AND actor_id = ?) OR (actor_kind = 'group' AND actor_id IN \
         (SELECT group_id FROM group_members WHERE user_id = ?)) ORDER BY target_id, actor_id, role_id",
    )
    .bind(user_id)
    .bind(user_id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(from_row).collect()
}
