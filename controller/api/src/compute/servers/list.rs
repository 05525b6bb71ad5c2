//! `GET /servers` and `GET /servers/detail`

use axum::Json;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::compute::server::{self, ListServers, TagFilter};
use updraft_model::compute::{Server, TaskState};
use updraft_wire::compute::Microversion;
use updraft_wire::compute::server::{LIST_QUERY, Place, links};

use super::view;
use crate::compute::query::{self, Pairs};
use crate::compute::version::Version;
use crate::http::{Answer, Call, Form};

/// Servers in one answer.
const MOST: u32 = 1000;
const STRICT_STATUS_SINCE: u16 = 38;
const TAGS_SINCE: u16 = 26;

pub(super) async fn brief(
    call: Call,
    Version(version): Version,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    let (servers, more) = page(&call, version, &pairs).await?;
    let next = next(&call, &pairs, "servers", servers.last().filter(|_| more));
    let one = |server: &Server| json!({"id": server.id, "name": server.name, "links": links(&call.endpoint, "servers", &server.id)});
    Ok(answer(servers.iter().map(one).collect(), next))
}

pub(super) async fn detail(
    call: Call,
    Version(version): Version,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    let (servers, more) = page(&call, version, &pairs).await?;
    let next = next(&call, &pairs, "servers/detail", servers.last().filter(|_| more));
    let admin = call.caller.is_admin();
    let details = server::details(&call.core, servers).await?;
    let one = |detail| view::of(detail).render(&call.endpoint, version, Place::List, admin);
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

async fn page(call: &Call, version: Microversion, pairs: &Pairs) -> Result<(Vec<Server>, bool), Error> {
    query::check(pairs, LIST_QUERY, version)?;
    let mut servers = server::list(&call.core, &call.caller, wanted(version, pairs)?).await?;
    sort(&mut servers, pairs)?;
    query::page(servers, pairs, MOST, |server| &server.id)
}

fn wanted(version: Microversion, pairs: &Pairs) -> Result<ListServers, Error> {
    let text = |key: &str| query::value(pairs, key).map(str::to_owned);
    let tags = |key: &str| {
        let list = query::value(pairs, key).filter(|_| version.at_least(TAGS_SINCE));
        list.map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default()
    };
    Ok(ListServers {
        all_projects: query::flag(pairs, "all_tenants")?.unwrap_or(false),
        project_id: text("project_id").or_else(|| text("tenant_id")),
        user_id: text("user_id"),
        name: text("name"),
        status: text("status"),
        // A reference may be a link that ends in the id.
        image_id: text("image").map(last_segment),
        flavor_id: text("flavor").map(last_segment),
        host: text("host").or_else(|| text("node")),
        ids: text("uuid").map(|id| vec![id]),
        reservation_id: text("reservation_id"),
        hostname: text("hostname"),
        key_name: text("key_name"),
        availability_zone: text("availability_zone"),
        locked: query::flag(pairs, "locked")?,
        address: text("ip").or_else(|| text("ip6")),
        changed_since: query::time(pairs, "changes-since")?,
        changed_before: query::time(pairs, "changes-before")?,
        deleted: query::flag(pairs, "deleted")?,
        tags: TagFilter {
            all: tags("tags"),
            any: tags("tags-any"),
            not_all: tags("not-tags"),
            none: tags("not-tags-any"),
        },
        strict_status: version.at_least(STRICT_STATUS_SINCE),
    })
}

fn last_segment(reference: String) -> String {
    reference.rsplit('/').next().unwrap_or_default().to_owned()
}

/// By `sort_key` and `sort_dir`, both repeatable; the newest first when nothing is said.
fn sort(servers: &mut [Server], pairs: &Pairs) -> Result<(), Error> {
    let all = |key: &'static str| {
        pairs.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    };
    let directions: Vec<&str> = all("sort_dir").collect();
    if directions.iter().any(|direction| !["asc", "desc"].contains(direction)) {
        return Err(Error::bad_request("ValidationError", "Invalid input for query parameters sort_dir."));
    }
    let keys: Vec<&str> = all("sort_key").collect();
    if let Some(unknown) =
        keys.iter().find(|key| servers.first().is_some_and(|server| sort_value(server, key).is_none()))
    {
        let unknown: String = unknown.chars().take(64).collect();
        return Err(Error::bad_request(
            "ValidationError",
            format!("Sort key supplied is invalid: {unknown}"),
        ));
    }
    // A stable sort by the last key first leaves the first key in charge.
    for (index, key) in keys.iter().enumerate().rev() {
        servers.sort_by_key(|server| sort_value(server, key));
        let direction = directions.get(index).or(directions.last()).copied().unwrap_or("desc");
        if direction == "desc" {
            servers.reverse();
        }
    }
    if keys.is_empty() && directions.first() == Some(&"asc") {
        servers.reverse();
    }
    Ok(())
}

/// A value whose order is that of the key; `None` for a key that there is not.
fn sort_value(server: &Server, key: &str) -> Option<(i64, String)> {
    let time = |time: Option<updraft_model::Timestamp>| Some((time.map_or(0, |time| time.0), String::new()));
    let text = |text: &str| Some((0, text.to_owned()));
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
        "power_state" => Some((server.power_state.code(), String::new())),
        "host" => text(server.host_id.as_deref().unwrap_or_default()),
        "hostname" => text(&server.spec.hostname),
        "key_name" => text(server.spec.key_name.as_deref().unwrap_or_default()),
        "image_ref" => text(&server.spec.root_disk.image_id),
        "instance_type_id" => text(&server.spec.flavor.id),
        "availability_zone" => text(server.spec.availability_zone.as_deref().unwrap_or_default()),
        "display_description" => text(server.spec.description.as_deref().unwrap_or_default()),
        "launch_index" => Some((i64::from(server.spec.launch_index), String::new())),
        _ => None,
    }
}
