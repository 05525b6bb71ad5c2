//! `/os-services`, `/os-hypervisors`, `/os-aggregates`, `/os-availability-zone`

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};
use updraft_compute_api::path::HOST_DOWN_AFTER_S;
use updraft_core::Error;
use updraft_core::compute::host_admin::{self, HostChange, HostDetail, Purpose};
use updraft_model::compute::DEFAULT_AVAILABILITY_ZONE;
use updraft_wire::compute::Microversion;
use updraft_wire::compute::host::{HostView, UpdateService, availability_zones, statistics};

use super::query::{self, Holds, Pairs, Parameter};
use super::version::Version;
use crate::http::{Answer, Body, Call, Fault, Form};
use crate::routes::{Routes, SchemaOf, get, put};

/// From 2.53 on hypervisors and services are named by UUID alone, and their queries are strict.
const UUID_SINCE: u16 = 53;
const LAST_WITH_STATISTICS: u16 = 87;

/// What a list of hypervisors may be asked.
const HYPERVISORS: &[Parameter] = &[
    Parameter::since("limit", 33, Holds::Number),
    Parameter::since("marker", 33, Holds::Text),
    Parameter::since("hypervisor_hostname_pattern", UUID_SINCE, Holds::Something),
    Parameter::since("with_servers", UUID_SINCE, Holds::Boolean),
];
const HYPERVISOR: &[Parameter] = &[Parameter::since("with_servers", UUID_SINCE, Holds::Boolean)];
const SERVICES: &[Parameter] = &[Parameter::new("host", Holds::Text), Parameter::new("binary", Holds::Text)];

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/os-services", get(services).queries(SERVICES.iter().map(Parameter::name)))
        .route("/os-services/{id}", put(update_service).takes(SchemaOf::of::<UpdateService>()))
        .route("/os-hypervisors", get(hypervisors).queries(HYPERVISORS.iter().map(Parameter::name)))
        .route(
            "/os-hypervisors/detail",
            get(hypervisors_detail).queries(HYPERVISORS.iter().map(Parameter::name)),
        )
        .route("/os-hypervisors/statistics", get(hypervisor_statistics))
        .route("/os-hypervisors/{id}", get(hypervisor).queries(["with_servers"]))
        .route("/os-aggregates", get(aggregates))
        .route("/os-availability-zone", get(zones))
        .route("/os-availability-zone/detail", get(zones_detail))
}

/// Hosts as the API shows them; the number of each is its place in the order of names.
async fn views(call: &Call, purpose: Purpose) -> Result<Vec<HostView>, Fault> {
    let hosts = host_admin::list(&call.core, &call.caller, purpose).await?;
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
    let pairs = query::read(pairs, SERVICES, version)?;
    let mut hosts = views(&call, Purpose::Services).await?;
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
    if !is_uuid(&id) {
        return Err(invalid_uuid(&id).into());
    }
    let change = HostChange {
        disabled: request.status.map(|status| status == "disabled"),
        disabled_reason: request.disabled_reason,
        forced_down: request.forced_down,
    };
    let detail = host_admin::update(&call.core, &call.caller, &id, change).await?;
    Ok(Json(json!({"service": view(&call, 0, detail).service(version)})))
}

async fn hypervisors(call: Call, Version(version): Version, Form(pairs): Form<Pairs>) -> Answer<Json<Value>> {
    let pairs = query::read_since(pairs, HYPERVISORS, version, UUID_SINCE)?;
    let hosts = matching(views(&call, Purpose::Hypervisors).await?, &pairs)?;
    let (hosts, next) = page(&call, "os-hypervisors", version, &pairs, hosts)?;
    let with_servers = with_servers(&pairs)?;
    let one = |host: &HostView| {
        let mut hypervisor = host.brief_hypervisor(version);
        if with_servers && let Some(servers) = host.hypervisor(version, true).get("servers") {
            hypervisor["servers"] = servers.clone();
        }
        hypervisor
    };
    Ok(hypervisor_list(hosts.iter().map(one).collect(), next))
}

async fn hypervisors_detail(
    call: Call,
    Version(version): Version,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    let pairs = query::read_since(pairs, HYPERVISORS, version, UUID_SINCE)?;
    let hosts = matching(views(&call, Purpose::HypervisorDetails).await?, &pairs)?;
    let (hosts, next) = page(&call, "os-hypervisors/detail", version, &pairs, hosts)?;
    let with_servers = with_servers(&pairs)?;
    Ok(hypervisor_list(hosts.iter().map(|host| host.hypervisor(version, with_servers)).collect(), next))
}

async fn hypervisor(
    call: Call,
    Version(version): Version,
    Path(id): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    let pairs = query::read_since(pairs, HYPERVISOR, version, UUID_SINCE)?;
    let strict = version.at_least(UUID_SINCE);
    let by_id = |host: &HostView| if strict { host.id == id } else { host.number.to_string() == id };
    let host = views(&call, Purpose::Hypervisor).await?.into_iter().find(by_id);
    let host = host.ok_or_else(|| {
        if strict && !is_uuid(&id) {
            return invalid_uuid(&id);
        }
        Error::not_found("ComputeHostNotFound", format!("Hypervisor with ID '{id}' could not be found."))
    })?;
    Ok(Json(json!({"hypervisor": host.hypervisor(version, with_servers(&pairs)?)})))
}

/// 32 hexadecimal digits, in groups or not.
fn is_uuid(text: &str) -> bool {
    const DIGITS: usize = 32;
    let mut digits = text.chars().filter(|c| *c != '-');
    digits.by_ref().take(DIGITS).filter(char::is_ascii_hexdigit).count() == DIGITS && digits.next().is_none()
}

fn invalid_uuid(id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    Error::bad_request("InvalidUUID", format!("Invalid uuid {id}"))
}

fn with_servers(pairs: &Pairs) -> Result<bool, Error> {
    Ok(query::flag(pairs, "with_servers")?.unwrap_or(false))
}

/// A page of the hosts, and the link to the next one.
fn page(
    call: &Call,
    path: &str,
    version: Microversion,
    pairs: &Pairs,
    hosts: Vec<HostView>,
) -> Result<(Vec<HostView>, Option<Value>), Error> {
    const MOST: u32 = 1000;
    let marker = |host: &HostView| match version.at_least(UUID_SINCE) {
        true => host.id.clone(),
        false => host.number.to_string(),
    };
    let named: Vec<(String, HostView)> = hosts.into_iter().map(|host| (marker(&host), host)).collect();
    let (hosts, more) = query::page(named, pairs, MOST, |named| &named.0)?;
    let last = hosts.last().filter(|_| more);
    let next = last.map(|(marker, _)| query::next_link(&call.endpoint, path, pairs, marker));
    Ok((hosts.into_iter().map(|(_, host)| host).collect(), next))
}

fn hypervisor_list(hypervisors: Vec<Value>, next: Option<Value>) -> Json<Value> {
    let mut answer = json!({ "hypervisors": hypervisors });
    if let Some(next) = next {
        answer["hypervisors_links"] = next;
    }
    Json(answer)
}

fn matching(mut hosts: Vec<HostView>, pairs: &Pairs) -> Result<Vec<HostView>, Error> {
    if let Some(pattern) = query::value(pairs, "hypervisor_hostname_pattern") {
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
    Ok(Json(statistics(&views(&call, Purpose::Statistics).await?)))
}

/// There are none: they cannot be made. Clients ask before they show a hypervisor.
async fn aggregates(call: Call) -> Answer<Json<Value>> {
    host_admin::list(&call.core, &call.caller, Purpose::Aggregates).await?;
    Ok(Json(json!({"aggregates": []})))
}

async fn zones(call: Call) -> Answer<Json<Value>> {
    host_admin::may_list_zones(&call.caller)?;
    Ok(Json(availability_zones(DEFAULT_AVAILABILITY_ZONE, None)))
}

async fn zones_detail(call: Call) -> Answer<Json<Value>> {
    Ok(Json(availability_zones(DEFAULT_AVAILABILITY_ZONE, Some(&views(&call, Purpose::ZoneDetails).await?))))
}

#[cfg(test)]
mod tests {
    use super::{address, is_uuid, version_number};

    #[test]
    fn ids_of_hosts() {
        assert!(is_uuid("1cfa4ccb-3455-5676-b67c-84e7300addca"));
        assert!(!is_uuid("1") && !is_uuid("") && !is_uuid("1cfa4ccb-3455-5676-b67c-84e7300addcax"));
    }

    #[test]
    fn versions_and_addresses() {
        assert_eq!(version_number("7.2.1 (Debian 1:7.2+dfsg-7)"), 7_002_001);
        assert_eq!(version_number("QEMU emulator version 9.0.0"), 9_000_000);
        assert_eq!(version_number(""), 0);
        assert_eq!(address("http://127.0.0.1:8701"), "127.0.0.1");
        assert_eq!(address("http://[::1]:8701"), "::1");
    }
}
