//! `/os-services`, `/os-hypervisors`, `/os-aggregates`, `/os-availability-zone`

use axum::extract::Path;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use updraft_compute_api::path::HOST_DOWN_AFTER_S;
use updraft_core::compute::host_admin::{self, HostChange, HostDetail};
use updraft_core::{Core, Error};
use updraft_model::compute::DEFAULT_AVAILABILITY_ZONE;
use updraft_wire::compute::Microversion;
use updraft_wire::compute::host::{HostView, UpdateService, availability_zones, statistics};

use super::query::{self, Pairs};
use super::version::Version;
use crate::http::{Answer, Body, Call, Fault, Form};

const SERVERS_IN_QUERY_SINCE: u16 = 53;
const LAST_WITH_STATISTICS: u16 = 87;

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/os-services", get(services))
        .route("/os-services/{id}", put(update_service))
        .route("/os-hypervisors", get(hypervisors))
        .route("/os-hypervisors/detail", get(hypervisors_detail))
        .route("/os-hypervisors/statistics", get(hypervisor_statistics))
        .route("/os-hypervisors/{id}", get(hypervisor))
        .route("/os-aggregates", get(aggregates))
        .route("/os-availability-zone", get(zones))
        .route("/os-availability-zone/detail", get(zones_detail))
}

/// Hosts as the API shows them; the number of each is its place in the order of names.
async fn views(call: &Call) -> Result<Vec<HostView>, Fault> {
    let hosts = host_admin::list(&call.core, &call.caller).await?;
    Ok((1..).zip(hosts).map(|(number, detail)| view(call, number, detail)).collect())
}

fn view(call: &Call, number: u64, detail: HostDetail) -> HostView {
    let running = detail.running();
    let HostDetail { host, servers } = detail;
    let text = |key: &str| host.observed.get(key).and_then(Value::as_str).unwrap_or_default();
    HostView {
        number,
        host_ip: address(&host.agent_url),
        up: host.is_up(call.core.clock.now(), HOST_DOWN_AFTER_S),
        disabled: host.disabled,
        disabled_reason: host.disabled_reason.clone(),
        forced_down: host.forced_down,
        updated_at: host.last_seen_at.micros_bare(),
        zone: DEFAULT_AVAILABILITY_ZONE.into(),
        kind: "QEMU".into(),
        version: version_number(text("hypervisor_version")),
        cpu: json!({"accelerator": text("accelerator")}),
        uptime: None,
        vcpus: host.capacity.vcpus,
        vcpus_used: host.claimed.vcpus,
        memory_mib: host.capacity.memory_mib,
        memory_mib_used: host.claimed.memory_mib,
        disk_gib: host.capacity.disk_gib,
        disk_gib_used: host.claimed.disk_gib,
        disk_gib_free: host.capacity.disk_free_gib,
        running_servers: u64::try_from(running).unwrap_or(u64::MAX),
        servers: servers.into_iter().map(|server| (server.id, server.name)).collect(),
        hostname: host.hostname,
        id: host.id,
    }
}

/// `7.2.1` as Nova has it: a million for the first number, a thousand for the second.
fn version_number(text: &str) -> u64 {
    let digits = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut numbers = digits.map(|part| part.parse::<u64>().unwrap_or(0).min(999));
    let mut next = || numbers.next().unwrap_or(0);
    next() * 1_000_000 + next() * 1_000 + next()
}

fn address(url: &str) -> String {
    let host = url.split("://").nth(1).unwrap_or_default();
    host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']).to_owned()
}

async fn services(call: Call, Version(version): Version, Form(pairs): Form<Pairs>) -> Answer<Json<Value>> {
    let mut hosts = views(&call).await?;
    if let Some(name) = query::value(&pairs, "host") {
        hosts.retain(|host| host.hostname == name);
    }
    if query::value(&pairs, "binary").is_some_and(|binary| binary != "nova-compute") {
        hosts.clear();
    }
    Ok(Json(json!({"services": hosts.iter().map(|host| host.service(version)).collect::<Vec<Value>>()})))
}

async fn update_service(
    call: Call,
    version: Version,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<Json<Value>> {
    let version = version.since(updraft_wire::compute::host::UUID_SINCE)?;
    let request = UpdateService::read(body, version).map_err(Error::from)?;
    let change = HostChange {
        disabled: request.status.map(|status| status == "disabled"),
        disabled_reason: request.disabled_reason,
        forced_down: request.forced_down,
    };
    let detail = host_admin::update(&call.core, &call.caller, &id, change).await?;
    Ok(Json(json!({"service": view(&call, 0, detail).service(version)})))
}

async fn hypervisors(call: Call, Version(version): Version, Form(pairs): Form<Pairs>) -> Answer<Json<Value>> {
    let hosts = matching(views(&call).await?, version, &pairs)?;
    let with_servers = with_servers(version, &pairs)?;
    let one = |host: &HostView| {
        let mut hypervisor = host.brief_hypervisor(version);
        if with_servers && let Some(servers) = host.hypervisor(version, true).get("servers") {
            hypervisor["servers"] = servers.clone();
        }
        hypervisor
    };
    Ok(Json(json!({"hypervisors": hosts.iter().map(one).collect::<Vec<Value>>()})))
}

async fn hypervisors_detail(
    call: Call,
    Version(version): Version,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    let hosts = matching(views(&call).await?, version, &pairs)?;
    let with_servers = with_servers(version, &pairs)?;
    let hypervisors: Vec<Value> = hosts.iter().map(|host| host.hypervisor(version, with_servers)).collect();
    Ok(Json(json!({ "hypervisors": hypervisors })))
}

async fn hypervisor(
    call: Call,
    Version(version): Version,
    Path(id): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    let by_id =
        |host: &HostView| if version.at_least(53) { host.id == id } else { host.number.to_string() == id };
    let host = views(&call).await?.into_iter().find(by_id);
    let host = host.ok_or_else(|| {
        Error::not_found("ComputeHostNotFound", format!("Hypervisor with ID '{id}' could not be found."))
    })?;
    Ok(Json(json!({"hypervisor": host.hypervisor(version, with_servers(version, &pairs)?)})))
}

fn with_servers(version: Microversion, pairs: &Pairs) -> Result<bool, Error> {
    Ok(version.at_least(SERVERS_IN_QUERY_SINCE) && query::flag(pairs, "with_servers")?.unwrap_or(false))
}

fn matching(mut hosts: Vec<HostView>, version: Microversion, pairs: &Pairs) -> Result<Vec<HostView>, Error> {
    let pattern = query::value(pairs, "hypervisor_hostname_pattern")
        .filter(|_| version.at_least(SERVERS_IN_QUERY_SINCE));
    if let Some(pattern) = pattern {
        hosts.retain(|host| host.hostname.contains(pattern));
        if hosts.is_empty() {
            let message = format!("No hypervisor matching '{pattern}' could be found.");
            return Err(Error::not_found("ComputeHostNotFound", message));
        }
    }
    Ok(hosts)
}

async fn hypervisor_statistics(call: Call, version: Version) -> Answer<Json<Value>> {
    version.until(LAST_WITH_STATISTICS)?;
    Ok(Json(statistics(&views(&call).await?)))
}

/// There are none: they cannot be made. Clients ask before they show a hypervisor.
async fn aggregates(call: Call) -> Answer<Json<Value>> {
    host_admin::list(&call.core, &call.caller).await?;
    Ok(Json(json!({"aggregates": []})))
}

async fn zones(call: Call) -> Answer<Json<Value>> {
    host_admin::require_zone_reader(&call.caller)?;
    Ok(Json(availability_zones(DEFAULT_AVAILABILITY_ZONE, None)))
}

async fn zones_detail(call: Call) -> Answer<Json<Value>> {
    Ok(Json(availability_zones(DEFAULT_AVAILABILITY_ZONE, Some(&views(&call).await?))))
}

#[cfg(test)]
mod tests {
    use super::{address, version_number};

    #[test]
    fn versions_and_addresses() {
        assert_eq!(version_number("7.2.1 (Debian 1:7.2+dfsg-7)"), 7_002_001);
        assert_eq!(version_number("QEMU emulator version 9.0.0"), 9_000_000);
        assert_eq!(version_number(""), 0);
        assert_eq!(address("http://127.0.0.1:8701"), "127.0.0.1");
        assert_eq!(address("http://[::1]:8701"), "::1");
    }
}
