//! `GET /servers` and `GET /servers/detail`

use std::cmp::Ordering;

use axum::Json;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::compute::server::{self, ListServers, TagFilter};
use updraft_core::policy::Target;
use updraft_model::compute::{Server, TaskState};
use updraft_wire::compute::Microversion;
use updraft_wire::compute::server::{Place, links};

use super::view;
use crate::compute::query::{self, Holds, Pairs, Parameter};
use crate::compute::version::Version;
use crate::http::{Answer, Call, Form};

/// Servers in one answer.
const MOST: u32 = 1000;
const STRICT_STATUS_SINCE: u16 = 38;
/// Who may filter by anything.
const ALL_FILTERS: &str = "os_compute_api:servers:allow_all_filters";

/// Keys that servers are sorted by; the last of them by administrators alone.
const SORT_KEYS: [&str; 30] = [
    "access_ip_v4",
    "access_ip_v6",
    "auto_disk_config",
    "availability_zone",
    "config_drive",
    "created_at",
    "display_description",
    "display_name",
    "hostname",
    "image_ref",
    "instance_type_id",
    "kernel_id",
    "key_name",
    "launch_index",
    "launched_at",
    "locked_by",
    "power_state",
    "progress",
    "project_id",
    "ramdisk_id",
    "root_device_name",
    "task_state",
    "terminated_at",
    "updated_at",
    "user_id",
    "uuid",
    "vm_state",
    "locked",
    "host",
    "node",
];
const ADMIN_SORT_KEYS: [&str; 2] = ["host", "node"];
/// Keys that were good once, are taken before 2.75 and mean nothing; `locked` means something from 2.73 on.
const IGNORED_SORT_KEYS: [&str; 21] = [
    "architecture",
    "cell_name",
    "cleaned",
    "default_ephemeral_device",
    "default_swap_device",
    "deleted",
    "deleted_at",
    "disable_terminate",
    "ephemeral_gb",
    "ephemeral_key_uuid",
    "id",
    "key_data",
    "launched_on",
    "memory_mb",
    "os_type",
    "reservation_id",
    "root_gb",
    "shutdown_terminate",
    "user_data",
    "vcpus",
    "vm_mode",
];
const LOCKED_SORTS_SINCE: u16 = 73;

/// What a list may be asked.
const QUERY: &[Parameter] = &[
    Parameter::new("limit", Holds::Number),
    Parameter::new("marker", Holds::Text),
    Parameter::between("sort_key", 1, 74, Holds::OneOf(&[&SORT_KEYS, &IGNORED_SORT_KEYS])),
    Parameter::since("sort_key", 75, Holds::OneOf(&[&SORT_KEYS])),
    Parameter::new("sort_dir", Holds::Text),
    Parameter::new("name", Holds::Something),
    Parameter::new("display_name", Holds::Something),
    Parameter::new("status", Holds::Text),
    Parameter::new("image", Holds::Text),
    Parameter::new("image_ref", Holds::Text),
    Parameter::new("flavor", Holds::Something),
    Parameter::new("changes-since", Holds::Time),
    Parameter::since("changes-before", 66, Holds::Time),
    Parameter::new("all_tenants", Holds::Text),
    Parameter::new("project_id", Holds::Text),
    Parameter::new("tenant_id", Holds::Text),
    Parameter::new("user_id", Holds::Text),
    Parameter::new("uuid", Holds::Text),
    Parameter::new("host", Holds::Text),
    Parameter::new("node", Holds::Something),
    Parameter::new("hostname", Holds::Something),
    Parameter::new("reservation_id", Holds::Something),
    Parameter::new("deleted", Holds::Text),
    Parameter::new("soft_deleted", Holds::Text),
    Parameter::new("ip", Holds::Something),
    Parameter::new("ip6", Holds::Something),
    Parameter::new("vm_state", Holds::Text),
    Parameter::new("task_state", Holds::Text),
    Parameter::new("power_state", Holds::Something),
    Parameter::new("availability_zone", Holds::Something),
    Parameter::new("config_drive", Holds::Something),
    Parameter::new("key_name", Holds::Something),
    Parameter::new("launch_index", Holds::Text),
    Parameter::new("launched_at", Holds::Something),
    Parameter::new("created_at", Holds::Something),
    Parameter::new("terminated_at", Holds::Something),
    Parameter::new("description", Holds::Something),
    Parameter::new("display_description", Holds::Something),
    Parameter::new("locked_by", Holds::Something),
    Parameter::new("root_device_name", Holds::Something),
    Parameter::new("kernel_id", Holds::Something),
    Parameter::new("ramdisk_id", Holds::Something),
    Parameter::new("access_ip_v4", Holds::Something),
    Parameter::new("access_ip_v6", Holds::Something),
    Parameter::new("auto_disk_config", Holds::Something),
    Parameter::new("progress", Holds::Something),
    Parameter::since("locked", 73, Holds::Text),
    Parameter::since("tags", 26, Holds::Something),
    Parameter::since("tags-any", 26, Holds::Something),
    Parameter::since("not-tags", 26, Holds::Something),
    Parameter::since("not-tags-any", 26, Holds::Something),
    // They are known, to be refused in any version.
    Parameter::new("block_device_mapping", Holds::Text),
    Parameter::new("info_cache", Holds::Text),
    Parameter::new("metadata", Holds::Text),
    Parameter::new("pci_devices", Holds::Text),
    Parameter::new("security_groups", Holds::Text),
    Parameter::new("services", Holds::Text),
    Parameter::new("system_metadata", Holds::Text),
];

/// Filters that are refused from those who may filter by anything; of others they are dropped, as all filters are
/// that are not theirs.
const REFUSED: [&str; 7] = [
    "block_device_mapping",
    "info_cache",
    "metadata",
    "pci_devices",
    "security_groups",
    "services",
    "system_metadata",
];

/// The filters of those who may not filter by anything, and from when on. Other filters have no effect for them.
const FOR_ALL: &[(&str, u16)] = &[
    ("limit", 1),
    ("marker", 1),
    ("sort_key", 1),
    ("sort_dir", 1),
    ("reservation_id", 1),
    ("name", 1),
    ("status", 1),
    ("image", 1),
    ("flavor", 1),
    ("ip", 1),
    ("changes-since", 1),
    ("all_tenants", 1),
    ("ip6", 5),
    ("tags", 26),
    ("tags-any", 26),
    ("not-tags", 26),
    ("not-tags-any", 26),
    ("changes-before", 66),
    ("locked", 73),
    ("availability_zone", 83),
    ("config_drive", 83),
    ("key_name", 83),
    ("created_at", 83),
    ("launched_at", 83),
    ("terminated_at", 83),
    ("power_state", 83),
    ("task_state", 83),
    ("vm_state", 83),
    ("progress", 83),
    ("user_id", 83),
    ("hostname", 90),
];

/// What a list may be asked, in any microversion.
pub(super) fn parameters() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<&str> = QUERY.iter().map(Parameter::name).collect();
    names.dedup();
    names.into_iter().filter(|name| !REFUSED.contains(name))
}

pub(super) async fn brief(
    call: Call,
    Version(version): Version,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    let pairs = query::read(pairs, QUERY, version)?;
    let (servers, more) = page(&call, version, &pairs, false).await?;
    let next = next(&call, &pairs, "servers", servers.last().filter(|_| more));
    let one = |server: &Server| json!({"id": server.id, "name": server.name, "links": links(&call.endpoint, "servers", &server.id)});
    Ok(answer(servers.iter().map(one).collect(), next))
}

pub(super) async fn detail(
    call: Call,
    Version(version): Version,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    let pairs = query::read(pairs, QUERY, version)?;
    let (servers, more) = page(&call, version, &pairs, true).await?;
    let next = next(&call, &pairs, "servers/detail", servers.last().filter(|_| more));
    let sight = server::sight(&call.caller, None);
    let details = server::details(&call.core, servers).await?;
    let one = |detail| view::of(detail).render(&call.endpoint, version, Place::List, sight);
    Ok(answer(details.into_iter().map(one).collect(), next))
}

fn answer(servers: Vec<Value>, next: Option<Value>) -> Json<Value> {
    let mut answer = json!({ "servers": servers });
    if let Some(next) = next {
        answer["servers_links"] = next;
    }
    Json(answer)
}

fn next(call: &Call, pairs: &Pairs, path: &str, last: Option<&Server>) -> Option<Value> {
    last.map(|last| query::next_link(&call.endpoint, path, pairs, &last.id))
}

async fn page(
    call: &Call,
    version: Microversion,
    pairs: &Pairs,
    detail: bool,
) -> Result<(Vec<Server>, bool), Error> {
    let order = order(call, version, pairs)?;
    let wanted = ListServers { detail, ..wanted(version, &filters(call, version, pairs)?)? };
    let mut servers = server::list(&call.core, &call.caller, wanted).await?;
    sort(&mut servers, &order);
    // An empty marker is none here, unlike in other lists.
    let pairs: Pairs =
        pairs.iter().filter(|(name, id)| name != "marker" || !id.is_empty()).cloned().collect();
    query::page(servers, &pairs, MOST, |server| &server.id)
}

/// The filters that have an effect for this caller.
fn filters(call: &Call, version: Microversion, pairs: &Pairs) -> Result<Pairs, Error> {
    if call.caller.may(ALL_FILTERS, &Target::own(&call.caller)) {
        return match pairs.iter().find(|(name, _)| REFUSED.contains(&name.as_str())) {
            None => Ok(pairs.clone()),
            Some((name, _)) => {
                Err(Error::bad_request("BadRequest", format!("Invalid filter field: {name}.")))
            }
        };
    }
    let theirs = |name: &str| FOR_ALL.iter().any(|(known, since)| *known == name && version.at_least(*since));
    Ok(pairs.iter().filter(|(name, _)| theirs(name)).cloned().collect())
}

/// The filters that are patterns of a column.
const PATTERNS: [&str; 19] = [
    "access_ip_v4",
    "access_ip_v6",
    "auto_disk_config",
    "availability_zone",
    "config_drive",
    "created_at",
    "description",
    "display_description",
    "hostname",
    "kernel_id",
    "key_name",
    "launched_at",
    "locked_by",
    "power_state",
    "progress",
    "ramdisk_id",
    "reservation_id",
    "root_device_name",
    "terminated_at",
];

fn wanted(version: Microversion, pairs: &Pairs) -> Result<ListServers, Error> {
    // Of a key that is repeated, the last counts.
    let text = |key: &str| pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    let tags =
        |key: &str| text(key).map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let yes =
        |key: &str| matches!(query::flag(pairs, key), Ok(Some(true))) && text(key).as_deref() != Some("");
    let pattern = |key: &&'static str| text(key).map(|pattern| (*key, pattern));
    let all = pairs.iter().filter(|(name, _)| name == "status");
    let wanted = ListServers {
        all_projects: query::flag(pairs, "all_tenants")?.unwrap_or(false),
        project_id: text("project_id").or_else(|| text("tenant_id")),
        user_id: text("user_id"),
        name: text("name").or_else(|| text("display_name")),
        statuses: all.map(|(_, status)| status.clone()).collect(),
        vm_state: text("vm_state"),
        task_state: text("task_state"),
        image_id: text("image").or_else(|| text("image_ref")),
        flavor_id: text("flavor"),
        host: text("host").or_else(|| text("node")),
        ids: text("uuid").map(|id| vec![id]),
        launch_index: text("launch_index"),
        patterns: PATTERNS.iter().filter_map(pattern).collect(),
        locked: query::flag(pairs, "locked")?,
        address: text("ip").or_else(|| text("ip6")),
        changed_since: query::time(pairs, "changes-since")?,
        changed_before: query::time(pairs, "changes-before")?,
        // What is neither yes nor no is no.
        deleted: text("deleted").map(|_| yes("deleted")),
        tags: TagFilter {
            all: tags("tags"),
            any: tags("tags-any"),
            not_all: tags("not-tags"),
            none: tags("not-tags-any"),
        },
        strict_status: version.at_least(STRICT_STATUS_SINCE),
        detail: false,
    };
    query::refuse_backwards(wanted.changed_since, wanted.changed_before)?;
    Ok(wanted)
}

/// What servers are sorted by, and whether downwards.
struct Order {
    keys: Vec<(String, bool)>,
    /// Those that are the same in all keys: the newest first, or the oldest.
    newest_first: bool,
}

/// By `sort_key` and `sort_dir`, both repeatable; the newest first when nothing is said.
fn order(call: &Call, version: Microversion, pairs: &Pairs) -> Result<Order, Error> {
    let all = |key: &'static str| {
        pairs.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    };
    let ignored = |key: &str| {
        IGNORED_SORT_KEYS.contains(&key) || (key == "locked" && !version.at_least(LOCKED_SORTS_SINCE))
    };
    let mut directions: Vec<&str> = all("sort_dir").collect();
    let mut keys = Vec::new();
    for key in all("sort_key") {
        if ignored(key) {
            // Its direction goes with it.
            if directions.len() > keys.len() {
                directions.remove(keys.len());
            }
            continue;
        }
        let is_admin = || call.caller.may(ALL_FILTERS, &Target::own(&call.caller));
        if ADMIN_SORT_KEYS.contains(&key) && !is_admin() {
            return Err(Error::forbidden(format!("Only administrators can sort servers by {key}")));
        }
        keys.push(key);
    }
    if directions.iter().any(|direction| !["asc", "desc"].contains(direction)) {
        let message = "Unknown sort direction, must be 'desc' or 'asc'.";
        return Err(Error::bad_request("InvalidInput", message));
    }
    if directions.len() > keys.len().max(1) {
        let message = "Sort direction array size exceeds sort key array size.";
        return Err(Error::bad_request("InvalidInput", message));
    }
    // Keys without a direction of their own have the first one.
    let newest_first = directions.first() != Some(&"asc");
    let down = |index: usize| directions.get(index).map_or(newest_first, |direction| *direction == "desc");
    let keys = keys.into_iter().enumerate().map(|(index, key)| (key.to_owned(), down(index))).collect();
    Ok(Order { keys, newest_first })
}

/// `servers` come with the newest first.
fn sort(servers: &mut [Server], order: &Order) {
    if !order.newest_first {
        servers.reverse();
    }
    servers.sort_by(|one, other| {
        let by = |(key, down): &(String, bool)| {
            let ordering = sort_value(one, key).cmp(&sort_value(other, key));
            if *down { ordering.reverse() } else { ordering }
        };
        order.keys.iter().map(by).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    });
}

/// A value whose order is that of the key. The order of texts has no regard to case; what is the same for all servers
/// sorts nothing.
fn sort_value(server: &Server, key: &str) -> (i64, String) {
    let time = |time: Option<updraft_model::Timestamp>| (time.map_or(0, |time| time.0), String::new());
    let text = |text: &str| (0, text.to_lowercase());
    let spec = &server.spec;
    match key {
        "created_at" => time(Some(server.created_at)),
        "updated_at" => time(Some(server.updated_at)),
        "launched_at" => time(server.launched_at),
        "terminated_at" => time(server.deleted_at),
        "display_name" => text(&server.name),
        "uuid" => text(&server.id),
        "project_id" => text(&server.project_id),
        "user_id" => text(&server.user_id),
        "vm_state" => text(server.vm_state.as_str()),
        "task_state" => text(server.task_state.map_or("", TaskState::as_str)),
        "power_state" => (server.power_state.code(), String::new()),
        "host" | "node" => text(server.host_id.as_deref().unwrap_or_default()),
        "hostname" => text(&spec.hostname),
        "key_name" => text(spec.key_name.as_deref().unwrap_or_default()),
        "image_ref" => text(&spec.root_disk.image_id),
        "instance_type_id" => text(&spec.flavor.id),
        "availability_zone" => text(spec.availability_zone.as_deref().unwrap_or_default()),
        "display_description" => text(spec.description.as_deref().unwrap_or_default()),
        "access_ip_v4" => text(spec.access_ip_v4.as_deref().unwrap_or_default()),
        "access_ip_v6" => text(spec.access_ip_v6.as_deref().unwrap_or_default()),
        "auto_disk_config" => text(view::disk_config(spec.disk_config)),
        "config_drive" => (i64::from(spec.config_drive), String::new()),
        "locked" | "locked_by" => (i64::from(server.locked.is_some()), String::new()),
        "launch_index" => (i64::from(spec.launch_index), String::new()),
        _ => (0, String::new()),
    }
}
