use updraft_model::Timestamp;
use updraft_model::compute::Host;
use updraft_model::compute::host::{Capacity, Claim, VCPU_OVERCOMMIT};

use super::{from_json, signed, to_json, unsigned};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, hostname, agent_url, vcpus, memory_mib, disk_gib, disk_free_gib, claimed_vcpus, \
                      claimed_memory_mib, claimed_disk_gib, plan_generation, seen_generation, disabled, \
                      disabled_reason, forced_down, last_seen_at, created_at, observed FROM hosts";

fn from_row(row: &Row) -> Result<Host, StoreError> {
    let number = |column: &'static str| -> Result<u64, StoreError> { unsigned(row.try_get(column)?, column) };
    Ok(Host {
        id: row.try_get("id")?,
        hostname: row.try_get("hostname")?,
        agent_url: row.try_get("agent_url")?,
        capacity: Capacity {
            vcpus: number("vcpus")?,
            memory_mib: number("memory_mib")?,
            disk_gib: number("disk_gib")?,
            disk_free_gib: number("disk_free_gib")?,
        },
        claimed: Claim {
            vcpus: number("claimed_vcpus")?,
            memory_mib: number("claimed_memory_mib")?,
            disk_gib: number("claimed_disk_gib")?,
        },
        plan_generation: number("plan_generation")?,
        seen_generation: number("seen_generation")?,
        disabled: row.try_get("disabled")?,
        disabled_reason: row.try_get("disabled_reason")?,
        forced_down: row.try_get("forced_down")?,
        last_seen_at: Timestamp(row.try_get("last_seen_at")?),
        created_at: Timestamp(row.try_get("created_at")?),
        observed: from_json(&row.try_get::<String>("observed")?, "hosts.observed")?,
    })
}

/// Adds a host at its first report.
pub async fn insert(tx: &mut Tx, host: &Host) -> Result<(), StoreError> {
    query(
        "INSERT INTO hosts (id, hostname, agent_url, vcpus, memory_mib, disk_gib, disk_free_gib, claimed_vcpus, \
         claimed_memory_mib, claimed_disk_gib, plan_generation, seen_generation, disabled, disabled_reason, \
         forced_down, last_seen_at, created_at, observed) \
         VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, 0, NULL, 0, ?, ?, ?)",
    )
    .bind(&host.id)
    .bind(&host.hostname)
    .bind(&host.agent_url)
    .bind(signed(host.capacity.vcpus))
    .bind(signed(host.capacity.memory_mib))
    .bind(signed(host.capacity.disk_gib))
    .bind(signed(host.capacity.disk_free_gib))
    .bind(signed(host.plan_generation))
    .bind(signed(host.seen_generation))
    .bind(host.last_seen_at.0)
    .bind(host.created_at.0)
    .bind(to_json(&host.observed)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes what the host reports of itself.
pub async fn update_report(tx: &mut Tx, host: &Host) -> Result<(), StoreError> {
    query(
        "UPDATE hosts SET hostname = ?, agent_url = ?, vcpus = ?, memory_mib = ?, disk_gib = ?, disk_free_gib = ?, \
         seen_generation = ?, last_seen_at = ?, observed = ? WHERE id = ?",
    )
    .bind(&host.hostname)
    .bind(&host.agent_url)
    .bind(signed(host.capacity.vcpus))
    .bind(signed(host.capacity.memory_mib))
    .bind(signed(host.capacity.disk_gib))
    .bind(signed(host.capacity.disk_free_gib))
    .bind(signed(host.seen_generation))
    .bind(host.last_seen_at.0)
    .bind(to_json(&host.observed)?)
    .bind(&host.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes what an administrator decides.
pub async fn update_service(tx: &mut Tx, host: &Host) -> Result<(), StoreError> {
    query("UPDATE hosts SET disabled = ?, disabled_reason = ?, forced_down = ? WHERE id = ?")
        .bind(host.disabled)
        .bind(&host.disabled_reason)
        .bind(host.forced_down)
        .bind(&host.id)
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Host>, StoreError> {
    let rows = Select::new(SELECT).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(from_row).transpose()
}

/// All hosts, in the order of their names.
pub async fn list(conn: &mut Conn) -> Result<Vec<Host>, StoreError> {
    let rows = Select::new(SELECT).order("hostname, id", None).fetch(conn).await?;
    rows.iter().map(from_row).collect()
}

/// Only the generation of the host's plan: what a waiting pull asks again and again.
pub async fn plan_generation(conn: &mut Conn, id: &str) -> Result<Option<u64>, StoreError> {
    let row = query("SELECT plan_generation FROM hosts WHERE id = ?").bind(id).fetch_optional(conn).await?;
    row.map(|row| unsigned(row.try_get("plan_generation")?, "hosts.plan_generation")).transpose()
}

/// The host's plan has changed; answers the new generation. In the transaction of the change.
pub async fn bump_plan(tx: &mut Tx, id: &str) -> Result<u64, StoreError> {
    query("UPDATE hosts SET plan_generation = plan_generation + 1 WHERE id = ?").bind(id).execute(tx).await?;
    Ok(plan_generation(tx, id).await?.unwrap_or(0))
}

/// The plans of all hosts may have changed: something of the network that more than one may carry.
pub async fn bump_all_plans(tx: &mut Tx) -> Result<(), StoreError> {
    query("UPDATE hosts SET plan_generation = plan_generation + 1").execute(tx).await?;
    Ok(())
}

/// Takes `claim` of the host, if it has that much left and takes servers at all; false when not. The condition and
/// the change are one statement, so two claims never take the same memory.
pub async fn claim(tx: &mut Tx, id: &str, claim: Claim) -> Result<bool, StoreError> {
    let changed = query(
        "UPDATE hosts SET claimed_vcpus = claimed_vcpus + ?, claimed_memory_mib = claimed_memory_mib + ?, \
         claimed_disk_gib = claimed_disk_gib + ? \
         WHERE id = ? AND disabled = 0 AND forced_down = 0 AND claimed_vcpus + ? <= vcpus * ? \
         AND claimed_memory_mib + ? <= memory_mib AND claimed_disk_gib + ? <= disk_gib",
    )
    .bind(signed(claim.vcpus))
    .bind(signed(claim.memory_mib))
    .bind(signed(claim.disk_gib))
    .bind(id)
    .bind(signed(claim.vcpus))
    .bind(signed(VCPU_OVERCOMMIT))
    .bind(signed(claim.memory_mib))
    .bind(signed(claim.disk_gib))
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

/// Gives `claim` back. The caller makes sure, by the server's row, that it happens once.
pub async fn release(tx: &mut Tx, id: &str, claim: Claim) -> Result<(), StoreError> {
    query(
        "UPDATE hosts SET claimed_vcpus = claimed_vcpus - ?, claimed_memory_mib = claimed_memory_mib - ?, \
         claimed_disk_gib = claimed_disk_gib - ? WHERE id = ?",
    )
    .bind(signed(claim.vcpus))
    .bind(signed(claim.memory_mib))
    .bind(signed(claim.disk_gib))
    .bind(id)
    .execute(tx)
    .await?;
    Ok(())
}
