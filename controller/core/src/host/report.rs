//! `PUT /host/v1/observed`: one transaction that keeps the report, draws conclusions and wakes the tasks that wait.

use updraft_compute_api::observed::HostObserved;
use updraft_model::Timestamp;
use updraft_model::compute::Host;
use updraft_model::compute::host::Capacity;
use updraft_store::Tx;
use updraft_store::compute::{host, host_credential, server, server::ServerFilter, task};

use super::credential::HostCredential;
use crate::network::server_port;
use crate::tasks::settle::settle;
use crate::{Core, Error, Result, Topic};

/// Takes a host's report. The first one ties the credential to the host.
pub async fn report(core: &Core, credential: HostCredential, observed: HostObserved) -> Result<()> {
    let now = core.clock.now();
    let id = observed.host_id.to_string();
    if credential.host_id.as_ref().is_some_and(|own| *own != id) {
        return Err(Error::forbidden("This credential belongs to another host."));
    }
    let (planned_anew, woken) = core
        .write(move |tx| {
            Box::pin(async move {
                keep(tx, &credential, &observed, now).await?;
                let mut planned_anew = settle_servers(tx, &observed, now).await?;
                let wired: Vec<(String, bool)> =
                    observed.ports.iter().map(|(port, wired)| (port.to_string(), *wired)).collect();
                server_port::observe(tx, &id, &wired, now).await?;
                if planned_anew {
                    host::bump_plan(tx, &id).await?;
                }
                let woken = task::wake_for_host(tx, &id, now).await?;
                planned_anew |= credential.host_id.is_none();
                Ok::<_, Error>((planned_anew, woken))
            })
        })
        .await?;
    if planned_anew {
        core.nudge.send(Topic::HostPlan);
    }
    if woken > 0 {
        core.nudge.send(Topic::Tasks);
    }
    Ok(())
}

async fn keep(
    tx: &mut Tx,
    credential: &HostCredential,
    observed: &HostObserved,
    now: Timestamp,
) -> Result<()> {
    let id = observed.host_id.to_string();
    let known = host::get(tx, &id).await?;
    if known.is_some() && credential.host_id.is_none() {
        require_same_name(tx, &credential.name, &id).await?;
    }
    let host = row(observed, known.as_ref(), now)?;
    match known {
        Some(_) => host::update_report(tx, &host).await?,
        None => host::insert(tx, &host).await?,
    }
    if credential.host_id.is_none() && !host_credential::bind(tx, &credential.token_sha256, &id).await? {
        return Err(Error::forbidden("This credential belongs to another host."));
    }
    Ok(())
}

/// A host that was known before may get a new credential, by the same name; one of another name never becomes it.
async fn require_same_name(tx: &mut Tx, name: &str, host_id: &str) -> Result<()> {
    let all = host_credential::list(tx).await?;
    let mut earlier = all.iter().filter(|earlier| earlier.host_id.as_deref() == Some(host_id));
    if earlier.all(|earlier| earlier.name == name) {
        return Ok(());
    }
    Err(Error::forbidden("This credential is not of the host that it reports for."))
}

fn row(observed: &HostObserved, known: Option<&Host>, now: Timestamp) -> Result<Host> {
    let capacity = observed.capacity;
    Ok(Host {
        id: observed.host_id.to_string(),
        hostname: observed.hostname.clone(),
        agent_url: observed.agent_url.clone(),
        capacity: Capacity {
            vcpus: u64::from(capacity.vcpus),
            memory_mib: capacity.memory_mib,
            disk_gib: capacity.disk_gib,
            disk_free_gib: capacity.disk_free_gib,
        },
        claimed: known.map(|host| host.claimed).unwrap_or_default(),
        plan_generation: known.map_or(1, |host| host.plan_generation),
        seen_generation: observed.plan_generation,
        disabled: known.is_some_and(|host| host.disabled),
        disabled_reason: known.and_then(|host| host.disabled_reason.clone()),
        forced_down: known.is_some_and(|host| host.forced_down),
        last_seen_at: now,
        created_at: known.map_or(now, |host| host.created_at),
        observed: serde_json::to_value(observed).map_err(Error::internal)?,
    })
}

/// True when the host's plan changed by what it reported: a guest that powered itself off is planned as off.
async fn settle_servers(tx: &mut Tx, observed: &HostObserved, now: Timestamp) -> Result<bool> {
    let host_id = Some(observed.host_id.to_string());
    let filter = ServerFilter { host_id, planned: Some(true), ..ServerFilter::default() };
    let mut changed = false;
    for mut server in server::list(tx, &filter).await? {
        let seen = observed.servers.iter().find(|seen| seen.id.to_string() == server.id);
        if let Some(seen) = seen
            && settle(&mut server, seen, now)
        {
            tracing::info!(server = server.id, vm_state = server.vm_state.as_str(), "as its host observed");
            changed |= server::update(tx, &mut server).await?;
        }
    }
    Ok(changed)
}
