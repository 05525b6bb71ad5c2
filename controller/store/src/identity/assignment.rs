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
    pub inherited: Option<bool>,
}

const SELECT: &str =
    "SELECT actor_kind, actor_id, target_kind, target_id, role_id, inherited FROM role_assignments";

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
        Target::System => "system",
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
        "system" => Target::System,
        _ => return Err(StoreError::corrupt("role_assignments.target_kind")),
    };
    Ok(Assignment { actor, target, role_id: row.try_get("role_id")?, inherited: row.try_get("inherited")? })
}

/// Grants the role; nothing when it is held already.
pub async fn insert(tx: &mut Tx, assignment: &Assignment) -> Result<(), StoreError> {
    if exists(tx, assignment).await? {
        return Ok(());
    }
    query(
        "INSERT INTO role_assignments (actor_kind, actor_id, target_kind, target_id, role_id, inherited) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(actor_kind(&assignment.actor))
    .bind(assignment.actor.id())
    .bind(target_kind(&assignment.target))
    .bind(assignment.target.id())
    .bind(&assignment.role_id)
    .bind(assignment.inherited)
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes the role away; false when it was not held.
pub async fn delete(tx: &mut Tx, assignment: &Assignment) -> Result<bool, StoreError> {
    let changed = query(
        "DELETE FROM role_assignments WHERE actor_kind = ? AND actor_id = ? AND target_kind = ? AND target_id = ? \
         AND role_id = ? AND inherited = ?",
    )
    .bind(actor_kind(&assignment.actor))
    .bind(assignment.actor.id())
    .bind(target_kind(&assignment.target))
    .bind(assignment.target.id())
    .bind(&assignment.role_id)
    .bind(assignment.inherited)
    .execute(tx)
    .await?;
    Ok(changed > 0)
}

pub async fn exists(conn: &mut Conn, assignment: &Assignment) -> Result<bool, StoreError> {
    let filter = AssignmentFilter {
        actor: Some(assignment.actor.clone()),
        target: Some(assignment.target.clone()),
        role_id: Some(assignment.role_id.clone()),
        inherited: Some(assignment.inherited),
    };
    Ok(!list(conn, &filter).await?.is_empty())
}

pub async fn list(conn: &mut Conn, filter: &AssignmentFilter) -> Result<Vec<Assignment>, StoreError> {
    let rows = Select::new(SELECT)
        .and_eq("actor_kind", filter.actor.as_ref().map(actor_kind))
        .and_eq("actor_id", filter.actor.as_ref().map(Actor::id))
        .and_eq("target_kind", filter.target.as_ref().map(target_kind))
        .and_eq("target_id", filter.target.as_ref().map(Target::id))
        .and_eq("role_id", filter.role_id.as_deref())
        .and_eq("inherited", filter.inherited)
        .order("target_id, actor_id, role_id, inherited", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

/// What the user holds itself and through its groups, wherever that is.
pub async fn list_for_user(conn: &mut Conn, user_id: &str) -> Result<Vec<Assignment>, StoreError> {
    let rows = query(
        "SELECT actor_kind, actor_id, target_kind, target_id, role_id, inherited FROM role_assignments \
         WHERE actor_kind = 'user' AND actor_id = ? UNION ALL \
         SELECT held.actor_kind, held.actor_id, held.target_kind, held.target_id, held.role_id, held.inherited \
         FROM group_members m JOIN role_assignments held ON held.actor_kind = 'group' AND held.actor_id = m.group_id \
         WHERE m.user_id = ?",
    )
    .bind(user_id)
    .bind(user_id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(from_row).collect()
}

/// What may count on `target`: what the user holds there, itself and through its groups, and everything that
/// it holds with inheritance, wherever that is. One statement, by the primary key.
pub async fn list_for_user_on(
    conn: &mut Conn,
    user_id: &str,
    target: &Target,
) -> Result<Vec<Assignment>, StoreError> {
    let rows = query(
        "SELECT actor_kind, actor_id, target_kind, target_id, role_id, inherited FROM role_assignments \
         WHERE actor_kind = 'user' AND actor_id = ? AND (target_id = ? OR inherited) UNION ALL \
         SELECT held.actor_kind, held.actor_id, held.target_kind, held.target_id, held.role_id, held.inherited \
         FROM group_members m JOIN role_assignments held ON held.actor_kind = 'group' AND held.actor_id = m.group_id \
         WHERE m.user_id = ? AND (held.target_id = ? OR held.inherited)",
    )
    .bind(user_id)
    .bind(target.id())
    .bind(user_id)
    .bind(target.id())
    .fetch_all(conn)
    .await?;
    rows.iter().map(from_row).collect()
}
