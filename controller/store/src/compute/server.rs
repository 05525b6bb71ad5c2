use updraft_model::Timestamp;
use updraft_model::compute::server::PowerIntent;
use updraft_model::compute::{PowerState, Server, TaskState, VmState};

use super::{from_json, signed, to_json, unsigned};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, project_id, user_id, name, spec, vm_state, task_state, power_state, fault, locked, \
                      host_id, planned, power_on, epoch, soft_reboot_epoch, created_at, updated_at, launched_at, \
                      deleted_at, revision FROM servers";

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct ServerFilter {
    pub ids: Option<Vec<String>>,
    pub project_id: Option<String>,
    pub user_id: Option<String>,
    pub host_id: Option<String>,
    pub image_id: Option<String>,
    pub flavor_id: Option<String>,
    /// Any of these (`vm_state` names).
    pub vm_states: Option<Vec<String>>,
    pub changed_since: Option<Timestamp>,
    pub changed_before: Option<Timestamp>,
    pub planned: Option<bool>,
    pub deleted: Deleted,
}

/// Whether deleted servers are among the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleted {
    #[default]
    Without,
    Only,
    With,
}

fn from_row(row: &Row) -> Result<Server, StoreError> {
    let vm_state: String = row.try_get("vm_state")?;
    let task_state: Option<String> = row.try_get("task_state")?;
    let fault: Option<String> = row.try_get("fault")?;
    let locked: Option<String> = row.try_get("locked")?;
    let time = |column: &'static str| -> Result<Option<Timestamp>, StoreError> {
        Ok(row.try_get::<Option<i64>>(column)?.map(Timestamp))
    };
    Ok(Server {
        id: row.try_get("id")?,
        project_id: row.try_get("project_id")?,
        user_id: row.try_get("user_id")?,
        name: row.try_get("name")?,
        spec: from_json(&row.try_get::<String>("spec")?, "servers.spec")?,
        vm_state: VmState::parse(&vm_state).ok_or_else(|| StoreError::corrupt("servers.vm_state"))?,
        task_state: task_state
            .map(|text| TaskState::parse(&text).ok_or_else(|| StoreError::corrupt("servers.task_state")))
            .transpose()?,
        power_state: PowerState::from_code(row.try_get("power_state")?)
            .ok_or_else(|| StoreError::corrupt("servers.power_state"))?,
        fault: fault.map(|text| from_json(&text, "servers.fault")).transpose()?,
        locked: locked.map(|text| from_json(&text, "servers.locked")).transpose()?,
        host_id: row.try_get("host_id")?,
        planned: row.try_get("planned")?,
        power: PowerIntent {
            on: row.try_get("power_on")?,
            epoch: unsigned(row.try_get("epoch")?, "servers.epoch")?,
            soft_reboot_epoch: unsigned(row.try_get("soft_reboot_epoch")?, "servers.soft_reboot_epoch")?,
        },
        created_at: Timestamp(row.try_get("created_at")?),
        updated_at: Timestamp(row.try_get("updated_at")?),
        launched_at: time("launched_at")?,
        deleted_at: time("deleted_at")?,
        revision: row.try_get("revision")?,
    })
}

pub async fn insert(tx: &mut Tx, server: &Server) -> Result<(), StoreError> {
    query(
        "INSERT INTO servers (id, project_id, user_id, name, image_id, flavor_id, vcpus, memory_mib, spec, vm_state, \
         task_state, power_state, fault, locked, host_id, planned, power_on, epoch, soft_reboot_epoch, created_at, \
         updated_at, launched_at, deleted_at, revision) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, 0, ?, ?, ?, ?, ?, NULL, NULL, ?)",
    )
    .bind(&server.id)
    .bind(&server.project_id)
    .bind(&server.user_id)
    .bind(&server.name)
    .bind(&server.spec.root_disk.image_id)
    .bind(&server.spec.flavor.id)
    .bind(i64::from(server.spec.flavor.vcpus))
    .bind(i64::from(server.spec.flavor.memory_mib))
    .bind(to_json(&server.spec)?)
    .bind(server.vm_state.as_str())
    .bind(server.task_state.map(TaskState::as_str))
    .bind(server.power_state.code())
    .bind(server.power.on)
    .bind(signed(server.power.epoch))
    .bind(signed(server.power.soft_reboot_epoch))
    .bind(server.created_at.0)
    .bind(server.updated_at.0)
    .bind(server.revision)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes everything that may change, and counts `revision` up. False, and nothing written, when somebody else wrote
/// the row since `server` was read.
pub async fn update(tx: &mut Tx, server: &mut Server) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE servers SET name = ?, spec = ?, vm_state = ?, task_state = ?, power_state = ?, fault = ?, locked = ?, \
         host_id = ?, planned = ?, power_on = ?, epoch = ?, soft_reboot_epoch = ?, updated_at = ?, launched_at = ?, \
         deleted_at = ?, revision = revision + 1 WHERE id = ? AND revision = ?",
    )
    .bind(&server.name)
    .bind(to_json(&server.spec)?)
    .bind(server.vm_state.as_str())
    .bind(server.task_state.map(TaskState::as_str))
    .bind(server.power_state.code())
    .bind(server.fault.as_ref().map(to_json).transpose()?)
    .bind(server.locked.as_ref().map(to_json).transpose()?)
    .bind(&server.host_id)
    .bind(server.planned)
    .bind(server.power.on)
    .bind(signed(server.power.epoch))
    .bind(signed(server.power.soft_reboot_epoch))
    .bind(server.updated_at.0)
    .bind(server.launched_at.map(|time| time.0))
    .bind(server.deleted_at.map(|time| time.0))
    .bind(&server.id)
    .bind(server.revision)
    .execute(tx)
    .await?;
    server.revision += 1;
    Ok(changed == 1)
}

/// Any server of this id, deleted ones too.
pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Server>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// The newest first.
pub async fn list(conn: &mut Conn, filter: &ServerFilter) -> Result<Vec<Server>, StoreError> {
    let mut select = Select::new(SELECT)
        .and_in("id", filter.ids.as_deref())
        .and_eq("project_id", filter.project_id.as_deref())
        .and_eq("user_id", filter.user_id.as_deref())
        .and_eq("host_id", filter.host_id.as_deref())
        .and_eq("image_id", filter.image_id.as_deref())
        .and_eq("flavor_id", filter.flavor_id.as_deref())
        .and_in("vm_state", filter.vm_states.as_deref())
        .and_eq("planned", filter.planned)
        .and_compare("updated_at", " >= ", filter.changed_since.map(|time| time.0))
        .and_compare("updated_at", " <= ", filter.changed_before.map(|time| time.0));
    select = match filter.deleted {
        Deleted::Without => select.and("deleted_at IS NULL"),
        Deleted::Only => select.and("deleted_at IS NOT NULL"),
        Deleted::With => select,
    };
    let rows = select.order("created_at DESC, id DESC", None).fetch(conn).await?;
    rows.iter().map(from_row).collect()
}

/// Servers deleted before `before` go for good, with their tasks and journal; answers how many.
pub async fn purge_deleted(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    let changed = query("DELETE FROM servers WHERE deleted_at < ?").bind(before.0).execute(tx).await?;
    Ok(changed)
}
