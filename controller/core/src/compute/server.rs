//! Servers: find, list, show, rename; their metadata and tags.

mod detail;
mod labels;

use regex::{Regex, RegexBuilder};
use updraft_model::Timestamp;
use updraft_model::compute::server::vm_states_of_status;
use updraft_model::compute::{Server, hostname_from};
use updraft_store::compute::server::{self, Deleted, ServerFilter};
use updraft_store::network::port::{self, PortFilter};
use updraft_store::{Conn, Tx};
use updraft_wire::compute::server::UpdateServer;

pub use detail::{Address, HostFact, ServerDetail, hidden_host_id};
pub use labels::{MetadataChange, change_metadata, change_tags};
pub(crate) use labels::{check_metadata, check_tags};

use super::new_server;
use crate::policy::{require_admin, require_member, require_reader};
use crate::{Caller, Core, Error, Result};

/// The largest compiled size of a name pattern, in bytes: a pattern comes from a tenant.
const LARGEST_PATTERN: usize = 1 << 16;

/// What a list may be narrowed to.
#[derive(Clone, Debug, Default)]
pub struct ListServers {
    /// For administrators; others get their own project's whatever they say.
    pub all_projects: bool,
    pub project_id: Option<String>,
    pub user_id: Option<String>,
    /// A pattern that the name contains.
    pub name: Option<String>,
    /// As clients see it, such as `ACTIVE`.
    pub status: Option<String>,
    pub image_id: Option<String>,
    pub flavor_id: Option<String>,
    pub host: Option<String>,
    pub ids: Option<Vec<String>>,
    pub reservation_id: Option<String>,
    pub hostname: Option<String>,
    pub key_name: Option<String>,
    pub availability_zone: Option<String>,
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

pub(crate) fn not_found(id: &str) -> Error {
    Error::not_found("InstanceNotFound", format!("Instance {id} could not be found."))
}

/// The server, if it is there and the caller may see it; somebody else's is not found.
pub(crate) async fn find(conn: &mut Conn, caller: &Caller, id: &str) -> Result<Server> {
    require_reader(caller)?;
    let server = server::get(conn, id).await?;
    server
        .filter(|server| server.deleted_at.is_none() && caller.sees(&server.project_id))
        .ok_or_else(|| not_found(id))
}

/// The same, for one who may change it.
pub(crate) async fn find_own(conn: &mut Conn, caller: &Caller, id: &str) -> Result<Server> {
    let server = find(conn, caller, id).await?;
    require_member(caller)?;
    Ok(server)
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
    let mut conn = core.read().await?;
    let server = find(&mut conn, caller, id).await?;
    detail::of(core, &mut conn, server).await
}

/// The caller's servers, the newest first, whole; a page of them is the edge's to cut.
pub async fn list(core: &Core, caller: &Caller, wanted: ListServers) -> Result<Vec<Server>> {
    let own = require_reader(caller)?.to_owned();
    let mut conn = core.read().await?;
    let Some(filter) = filter(&mut conn, caller, own, &wanted).await? else { return Ok(Vec::new()) };
    let mut servers = server::list(&mut conn, &filter).await?;
    let name = wanted.name.as_deref().map(pattern).transpose()?;
    servers.retain(|server| matches(server, &wanted, name.as_ref()));
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
        require_admin(caller)?;
    }
    let vm_states = match &wanted.status {
        None => None,
        Some(status) => {
            let states = vm_states_of_status(&status.to_uppercase());
            if states.is_empty() {
                let refuse = Error::bad_request("InvalidStatus", format!("Invalid filter status: {status}."));
                return if wanted.strict_status { Err(refuse) } else { Ok(None) };
            }
            Some(states.into_iter().map(|state| state.as_str().to_owned()).collect())
        }
    };
    let mut filter = ServerFilter {
        ids: wanted.ids.clone(),
        project_id: if wanted.all_projects { wanted.project_id.clone() } else { Some(own) },
        user_id: wanted.user_id.clone().filter(|_| caller.is_admin()),
        image_id: wanted.image_id.clone(),
        flavor_id: wanted.flavor_id.clone(),
        vm_states,
        changed_since: wanted.changed_since,
        changed_before: wanted.changed_before,
        deleted: deleted(caller, wanted),
        ..ServerFilter::default()
    };
    if let Some(name) = wanted.host.as_ref().filter(|_| caller.is_admin()) {
        let hosts = updraft_store::compute::host::list(conn).await?;
        let Some(host) = hosts.into_iter().find(|host| host.hostname == *name) else { return Ok(None) };
        filter.host_id = Some(host.id);
    }
    Ok(Some(filter))
}

/// `changes-since` shows what was deleted since; else only administrators see deleted servers.
fn deleted(caller: &Caller, wanted: &ListServers) -> Deleted {
    match wanted.deleted {
        Some(true) if caller.is_admin() => Deleted::Only,
        None if wanted.changed_since.is_some() => Deleted::With,
        _ => Deleted::Without,
    }
}

fn matches(server: &Server, wanted: &ListServers, name: Option<&Regex>) -> bool {
    let equal = |value: &Option<String>, field: Option<&str>| value.is_none() || value.as_deref() == field;
    let zone = Some(
        server.spec.availability_zone.as_deref().unwrap_or(updraft_model::compute::DEFAULT_AVAILABILITY_ZONE),
    );
    name.is_none_or(|name| name.is_match(&server.name))
        && wanted.status.as_ref().is_none_or(|status| server.status() == status.to_uppercase())
        && equal(&wanted.reservation_id, Some(&server.spec.reservation_id))
        && equal(&wanted.hostname, Some(&server.spec.hostname))
        && equal(&wanted.key_name, server.spec.key_name.as_deref())
        && equal(&wanted.availability_zone, zone)
        && wanted.locked.is_none_or(|locked| server.locked.is_some() == locked)
        && wanted.tags.matches(&server.spec.tags)
}

fn pattern(text: &str) -> Result<Regex> {
    RegexBuilder::new(text).size_limit(LARGEST_PATTERN).build().map_err(|error| {
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
            let mut server = find_own(tx, &caller, &id).await?;
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
    hostname_from(name, &format!("server-{id}"))
}
