//! Servers: find, list, show, rename; their metadata and tags.

mod detail;
mod labels;

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use updraft_model::Timestamp;
use updraft_model::compute::server::{DiskConfig, vm_states_of_status};
use updraft_model::compute::{DEFAULT_AVAILABILITY_ZONE, Server, TaskState, hostname_from};
use updraft_store::compute::server::{self, Deleted, ServerFilter};
use updraft_store::network::port::{self, PortFilter};
use updraft_store::{Conn, Tx};
use updraft_wire::compute::server::{Sight, UpdateServer};

pub use detail::{Address, HostFact, ServerDetail, hidden_host_id};
pub use labels::{MetadataChange, TagChange, change_metadata, change_tags, no_tag, tags};
pub(crate) use labels::{check_metadata, check_tags};

use super::access::{self, find};
use super::new_server;
use crate::policy::Target;
use crate::{Caller, Core, Error, Result};

/// The largest compiled size of a name pattern, in bytes: a pattern comes from a tenant.
const LARGEST_PATTERN: usize = 1 << 16;

/// What a list may be narrowed to.
#[derive(Clone, Debug, Default)]
pub struct ListServers {
    /// Whole servers are wanted, not their names alone.
    pub detail: bool,
    pub all_projects: bool,
    pub project_id: Option<String>,
    pub user_id: Option<String>,
    /// A pattern that the name contains.
    pub name: Option<String>,
    /// As clients see them, such as `ACTIVE`: one of these.
    pub statuses: Vec<String>,
    pub vm_state: Option<String>,
    pub task_state: Option<String>,
    pub image_id: Option<String>,
    pub flavor_id: Option<String>,
    pub host: Option<String>,
    pub ids: Option<Vec<String>>,
    pub launch_index: Option<String>,
    /// Columns by the names that filters have for them, each with a pattern that the value contains.
    pub patterns: Vec<(&'static str, String)>,
    pub locked: Option<bool>,
    /// A pattern that one of the addresses contains.
    pub address: Option<String>,
    pub changed_since: Option<Timestamp>,
    pub changed_before: Option<Timestamp>,
    pub deleted: Option<bool>,
    pub tags: TagFilter,
    /// Refused from 2.38 on when the status is none; before, the list is empty.
    pub strict_status: bool,
}

/// All of, any of, not all of, none of.
#[derive(Clone, Debug, Default)]
pub struct TagFilter {
    pub all: Vec<String>,
    pub any: Vec<String>,
    pub not_all: Vec<String>,
    pub none: Vec<String>,
}

impl TagFilter {
    fn matches(&self, tags: &[String]) -> bool {
        let has = |tag: &String| tags.contains(tag);
        self.all.iter().all(has)
            && (self.any.is_empty() || self.any.iter().any(has))
            && (self.not_all.is_empty() || !self.not_all.iter().all(has))
            && !self.none.iter().any(has)
    }
}

/// Writes the row in the transaction that read it.
pub(crate) async fn store(tx: &mut Tx, server: &mut Server, now: Timestamp) -> Result<()> {
    server.updated_at = now;
    if server::update(tx, server).await? {
        return Ok(());
    }
    Err(Error::conflict("InstanceChanged", format!("Instance {} was changed at the same time.", server.id)))
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<ServerDetail> {
    detail_for(core, caller, id, "os_compute_api:servers:show").await
}

/// The addresses by the networks' names: of all of them, or of the one that is `named`.
pub async fn addresses(
    core: &Core,
    caller: &Caller,
    id: &str,
    named: Option<&str>,
) -> Result<BTreeMap<String, Vec<Address>>> {
    let rule = if named.is_some() { "os_compute_api:ips:show" } else { "os_compute_api:ips:index" };
    let mut addresses = detail_for(core, caller, id, rule).await?.addresses;
    addresses.retain(|network, _| named.is_none_or(|named| network == named));
    Ok(addresses)
}

async fn detail_for(core: &Core, caller: &Caller, id: &str, rule: &str) -> Result<ServerDetail> {
    let mut conn = core.read().await?;
    let server = find(&mut conn, caller, id, rule).await?;
    detail::of(core, &mut conn, server).await
}

/// What of a server the caller is shown; of many (`None`), as if they were its own.
pub fn sight(caller: &Caller, server: Option<&Server>) -> Sight {
    let target = server.map_or_else(|| Target::own(caller), access::target);
    Sight {
        attributes: caller.may("os_compute_api:os-extended-server-attributes", &target),
        host_status: caller.may("os_compute_api:servers:show:host_status", &target),
        extra_specs: caller.may("os_compute_api:servers:show:flavor-extra-specs", &target),
    }
}

/// The caller's servers, the newest first, whole; a page of them is the edge's to cut.
pub async fn list(core: &Core, caller: &Caller, wanted: ListServers) -> Result<Vec<Server>> {
    let rule = if wanted.detail { "os_compute_api:servers:detail" } else { "os_compute_api:servers:index" };
    access::enforce(caller, rule)?;
    let own = access::own_project(caller, rule)?.to_owned();
    let mut conn = core.read().await?;
    let Some(filter) = filter(&mut conn, caller, own, &wanted).await? else { return Ok(Vec::new()) };
    let mut servers = server::list(&mut conn, &filter).await?;
    let patterns = patterns(&wanted)?;
    servers.retain(|server| matches(server, &wanted, &patterns));
    if let Some(address) = &wanted.address {
        let with_address = servers_with_address(&mut conn, &servers, &pattern(address)?).await?;
        servers.retain(|server| with_address.contains(&server.id));
    }
    Ok(servers)
}

/// The servers with everything that clients see of them.
pub async fn details(core: &Core, servers: Vec<Server>) -> Result<Vec<ServerDetail>> {
    detail::of_all(core, &mut core.read().await?, servers).await
}

/// What the database narrows by; `None` when nothing can match.
async fn filter(
    conn: &mut Conn,
    caller: &Caller,
    own: String,
    wanted: &ListServers,
) -> Result<Option<ServerFilter>> {
    if wanted.all_projects {
        let rule = match wanted.detail {
            true => "os_compute_api:servers:detail:get_all_tenants",
            false => "os_compute_api:servers:index:get_all_tenants",
        };
        access::enforce(caller, rule)?;
    }
    let any_filter = access::may(caller, "os_compute_api:servers:allow_all_filters");
    if !wanted.statuses.is_empty() && !check_statuses(caller, wanted)? {
        return Ok(None);
    }
    let mut vm_states = vm_states(&wanted.statuses);
    // A status says more than a state, and is what counts.
    if let Some(vm_state) = &wanted.vm_state {
        vm_states.get_or_insert_with(|| vec![vm_state.clone()]);
    }
    let mut filter = ServerFilter {
        ids: wanted.ids.clone(),
        project_id: if wanted.all_projects { wanted.project_id.clone() } else { Some(own) },
        user_id: wanted.user_id.clone(),
        image_id: wanted.image_id.clone(),
        flavor_id: wanted.flavor_id.clone(),
        vm_states,
        changed_since: wanted.changed_since,
        changed_before: wanted.changed_before,
        deleted: deleted(caller, wanted),
        ..ServerFilter::default()
    };
    if let Some(name) = wanted.host.as_ref().filter(|_| any_filter) {
        let hosts = updraft_store::compute::host::list(conn).await?;
        let Some(host) = hosts.into_iter().find(|host| host.hostname == *name) else { return Ok(None) };
        filter.host_id = Some(host.id);
    }
    Ok(Some(filter))
}

/// The statuses that a list may be asked for, whether Updraft's servers ever have them or not.
const STATUSES: [&str; 19] = [
    "ACTIVE",
    "BUILD",
    "DELETED",
    "ERROR",
    "HARD_REBOOT",
    "MIGRATING",
    "PASSWORD",
    "PAUSED",
    "REBOOT",
    "REBUILD",
    "RESCUE",
    "RESIZE",
    "REVERT_RESIZE",
    "SHELVED",
    "SHELVED_OFFLOADED",
    "SHUTOFF",
    "SOFT_DELETED",
    "SUSPENDED",
    "VERIFY_RESIZE",
];
const DELETED: &str = "DELETED";

/// Whether one of the statuses is one. Deleted servers alone are for administrators.
fn check_statuses(caller: &Caller, wanted: &ListServers) -> Result<bool> {
    let statuses = wanted.statuses.iter().map(|status| status.to_uppercase());
    let known: Vec<String> = statuses.filter(|status| STATUSES.contains(&status.as_str())).collect();
    if known.is_empty() {
        let refuse = Error::bad_request("InvalidStatus", "Invalid status value");
        return if wanted.strict_status { Err(refuse) } else { Ok(false) };
    }
    if known.iter().all(|status| status == DELETED) && !access::is_admin(caller) {
        return Err(Error::forbidden("Only administrators may list deleted instances"));
    }
    Ok(true)
}

/// The names of the states behind these statuses; `None` when none is given.
fn vm_states(statuses: &[String]) -> Option<Vec<String>> {
    if statuses.is_empty() {
        return None;
    }
    let states = statuses.iter().flat_map(|status| vm_states_of_status(&status.to_uppercase()));
    Some(states.map(|state| state.as_str().to_owned()).collect())
}

/// `changes-since` and `changes-before` show what was deleted too; else only administrators see deleted servers.
fn deleted(caller: &Caller, wanted: &ListServers) -> Deleted {
    let by_status = !wanted.statuses.is_empty()
        && wanted.statuses.iter().all(|status| status.eq_ignore_ascii_case(DELETED));
    if (wanted.deleted == Some(true) || by_status) && access::is_admin(caller) {
        return Deleted::Only;
    }
    let by_time = wanted.changed_since.is_some() || wanted.changed_before.is_some();
    if wanted.deleted.is_none() && by_time { Deleted::With } else { Deleted::Without }
}

fn matches(server: &Server, wanted: &ListServers, patterns: &[(&'static str, Regex)]) -> bool {
    let has_status = |status: &String| status.eq_ignore_ascii_case(server.status());
    let fits = |(name, pattern): &(&'static str, Regex)| {
        column(server, name).is_some_and(|value| pattern.is_match(&value))
    };
    let launch_index = server.spec.launch_index.to_string();
    let task_state = server.task_state.map(TaskState::as_str);
    (wanted.statuses.is_empty() || wanted.statuses.iter().any(has_status))
        && patterns.iter().all(fits)
        && wanted.task_state.as_ref().is_none_or(|wanted| task_state == Some(wanted.as_str()))
        && wanted.launch_index.as_ref().is_none_or(|wanted| *wanted == launch_index)
        && wanted.locked.is_none_or(|locked| server.locked.is_some() == locked)
        && wanted.tags.matches(&server.spec.tags)
}

/// All patterns that were asked for, ready for use.
fn patterns(wanted: &ListServers) -> Result<Vec<(&'static str, Regex)>> {
    let name = wanted.name.as_ref().map(|name| ("name", name));
    let others = wanted.patterns.iter().map(|(column, text)| (*column, text));
    name.into_iter().chain(others).map(|(column, text)| Ok((column, pattern(text)?))).collect()
}

/// What a pattern is held against; `None` matches none.
fn column(server: &Server, name: &str) -> Option<String> {
    let spec = &server.spec;
    let time = |time: Timestamp| time.micros_bare().replace('T', " ");
    match name {
        "name" => Some(server.name.clone()),
        "access_ip_v4" => spec.access_ip_v4.clone(),
        "access_ip_v6" => spec.access_ip_v6.clone(),
        "auto_disk_config" => Some(if spec.disk_config == DiskConfig::Auto { "1" } else { "0" }.to_owned()),
        "availability_zone" => {
            Some(spec.availability_zone.clone().unwrap_or_else(|| DEFAULT_AVAILABILITY_ZONE.to_owned()))
        }
        "config_drive" => Some(if spec.config_drive { "True" } else { "" }.to_owned()),
        "created_at" => Some(time(server.created_at)),
        "description" | "display_description" => spec.description.clone(),
        "hostname" => Some(spec.hostname.clone()),
        "key_name" => spec.key_name.clone(),
        "launched_at" => server.launched_at.map(time),
        "locked_by" => {
            server.locked.as_ref().map(|lock| if lock.by_admin { "admin" } else { "owner" }.to_owned())
        }
        "power_state" => Some(server.power_state.code().to_string()),
        "progress" => Some("0".to_owned()),
        "reservation_id" => Some(spec.reservation_id.clone()),
        "root_device_name" => Some("/dev/vda".to_owned()),
        "terminated_at" => server.deleted_at.map(time),
        _ => None,
    }
}

/// Patterns have no regard to case, as in the databases that clients know.
fn pattern(text: &str) -> Result<Regex> {
    RegexBuilder::new(text).case_insensitive(true).size_limit(LARGEST_PATTERN).build().map_err(|error| {
        Error::bad_request("InvalidPattern", "Invalid filter: it is not a regular expression.").because(error)
    })
}

async fn servers_with_address(conn: &mut Conn, servers: &[Server], address: &Regex) -> Result<Vec<String>> {
    let ids = servers.iter().map(|server| server.id.clone()).collect();
    let ports = port::list(conn, &PortFilter { server_ids: Some(ids), ..PortFilter::default() }).await?;
    let has = |port: &updraft_model::network::Port| {
        port.fixed_ips.iter().any(|fixed| address.is_match(&fixed.address.to_string()))
    };
    Ok(ports.into_iter().filter(has).filter_map(|port| port.server_id).collect())
}

/// Changes what may be changed of a server without a task.
pub async fn update(core: &Core, caller: &Caller, id: &str, request: UpdateServer) -> Result<ServerDetail> {
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    let server = core.write(move |tx| {
        Box::pin(async move {
            let mut server = find(tx, &caller, &id, "os_compute_api:servers:update").await?;
            apply(&mut server, request)?;
            store(tx, &mut server, now).await?;
            replan(tx, &server).await?;
            Ok(server)
        })
    });
    let server = server.await?;
    core.nudge.send(crate::Topic::HostPlan);
    detail::of(core, &mut core.read().await?, server).await
}

/// The guest reads names and metadata at 169.254.169.254, from its host's plan.
pub(super) async fn replan(tx: &mut Tx, server: &Server) -> Result<()> {
    if let (Some(host_id), true) = (&server.host_id, server.planned) {
        updraft_store::compute::host::bump_plan(tx, host_id).await?;
    }
    Ok(())
}

fn apply(server: &mut Server, request: UpdateServer) -> Result<()> {
    if let Some(name) = request.name {
        server.name = new_server::checked_name(&name)?;
    }
    if let Some(description) = request.description {
        new_server::check_description(description.as_deref())?;
        server.spec.description = description;
    }
    if let Some(hostname) = request.hostname {
        server.spec.hostname = new_server::checked_hostname(&hostname)?;
    }
    if let Some(config) = request.disk_config.as_deref() {
        server.spec.disk_config = new_server::disk_config(Some(config))?;
    }
    if request.access_ip_v4.is_some() {
        server.spec.access_ip_v4 = new_server::access_ip(request.access_ip_v4.as_deref(), 4)?;
    }
    if request.access_ip_v6.is_some() {
        server.spec.access_ip_v6 = new_server::access_ip(request.access_ip_v6.as_deref(), 6)?;
    }
    Ok(())
}

/// The host name of a server that was given none.
pub(super) fn default_hostname(name: &str, id: &str) -> String {
    hostname_from(name, &format!("Server-{id}"))
}
