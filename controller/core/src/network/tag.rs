//! Tags of any network resource.

use std::collections::HashSet;

use updraft_model::Timestamp;
use updraft_model::network::Standard;
use updraft_store::Tx;
use updraft_store::network::{floating_ip, network, port, router, security_group, subnet};

use super::access::in_network;
use super::error::invalid_input;
use super::input;
use crate::{Caller, Core, Error, ErrorKind, Result};

/// What can be tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Network,
    Subnet,
    Port,
    Router,
    FloatingIp,
    SecurityGroup,
}

/// What to do to the tags.
#[derive(Clone, Debug)]
pub enum Change {
    /// Several beside those that there are.
    AddAll(Vec<String>),
    /// One beside those that there are.
    Add(String),
    Clear,
    /// 404 when it is not there.
    Remove(String),
    Replace(Vec<String>),
}

impl Kind {
    /// The resource of a collection in the URL.
    pub fn of_collection(name: &str) -> Option<Self> {
        Some(match name {
            "networks" => Self::Network,
            "subnets" => Self::Subnet,
            "ports" => Self::Port,
            "routers" => Self::Router,
            "floatingips" => Self::FloatingIp,
            "security-groups" | "security_groups" => Self::SecurityGroup,
            _ => return None,
        })
    }
}

/// What is done to tags, as rules call it.
#[derive(Clone, Copy, Debug)]
enum Verb {
    Get,
    Create,
    Update,
    Delete,
}

impl Change {
    const fn verb(&self) -> Verb {
        match self {
            Self::AddAll(_) => Verb::Create,
            Self::Add(_) | Self::Replace(_) => Verb::Update,
            Self::Remove(_) | Self::Clear => Verb::Delete,
        }
    }

    /// Several tags are all different, and none is too long.
    fn check(&self) -> Result<()> {
        let tags = match self {
            Self::AddAll(tags) | Self::Replace(tags) => tags.as_slice(),
            Self::Add(tag) => std::slice::from_ref(tag),
            Self::Clear | Self::Remove(_) => return Ok(()),
        };
        let mut seen = HashSet::with_capacity(tags.len());
        for tag in tags {
            if tag.chars().count() > Standard::MAX_TAG_LENGTH {
                let longest = Standard::MAX_TAG_LENGTH;
                return Err(invalid_input(format!("'{tag}' exceeds maximum length of {longest}")));
            }
            if !seen.insert(tag) {
                return Err(invalid_input(format!("Duplicate items in the list: '{tag}'")));
            }
        }
        Ok(())
    }
}

const fn rule(kind: Kind, verb: Verb) -> &'static str {
    match (kind, verb) {
        (Kind::Network, Verb::Get) => "get_network:tags",
        (Kind::Network, Verb::Create) => "create_network:tags",
        (Kind::Network, Verb::Update) => "update_network:tags",
        (Kind::Network, Verb::Delete) => "delete_network:tags",
        (Kind::Subnet, Verb::Get) => "get_subnet:tags",
        (Kind::Subnet, Verb::Create) => "create_subnet:tags",
        (Kind::Subnet, Verb::Update) => "update_subnet:tags",
        (Kind::Subnet, Verb::Delete) => "delete_subnet:tags",
        (Kind::Port, Verb::Get) => "get_port:tags",
        (Kind::Port, Verb::Create) => "create_port:tags",
        (Kind::Port, Verb::Update) => "update_port:tags",
        (Kind::Port, Verb::Delete) => "delete_port:tags",
        (Kind::Router, Verb::Get) => "get_router:tags",
        (Kind::Router, Verb::Create) => "create_router:tags",
        (Kind::Router, Verb::Update) => "update_router:tags",
        (Kind::Router, Verb::Delete) => "delete_router:tags",
        (Kind::FloatingIp, Verb::Get) => "get_floatingip:tags",
        (Kind::FloatingIp, Verb::Create) => "create_floatingip:tags",
        (Kind::FloatingIp, Verb::Update) => "update_floatingip:tags",
        (Kind::FloatingIp, Verb::Delete) => "delete_floatingip:tags",
        (Kind::SecurityGroup, Verb::Get) => "get_security_group:tags",
        (Kind::SecurityGroup, Verb::Create) => "create_security_group:tags",
        (Kind::SecurityGroup, Verb::Update) => "update_security_group:tags",
        (Kind::SecurityGroup, Verb::Delete) => "delete_security_group:tags",
    }
}

impl Kind {
    /// The resource's name in refusals.
    const fn plural(self) -> &'static str {
        match self {
            Self::Network => "networks",
            Self::Subnet => "subnets",
            Self::Port => "ports",
            Self::Router => "routers",
            Self::FloatingIp => "floatingips",
            Self::SecurityGroup => "security_groups",
        }
    }

    /// For tags, a resource of any kind is not found in the same words.
    fn not_found(self, id: &str, error: Error) -> Error {
        if error.kind != ErrorKind::NotFound || error.code == "TagNotFound" {
            return error;
        }
        Error::not_found(
            "TagResourceNotFound",
            format!("Resource {} {id} could not be found.", self.plural()),
        )
    }
}

/// The tags of a resource that the caller sees.
pub async fn list(core: &Core, caller: &Caller, kind: Kind, id: &str) -> Result<Vec<String>> {
    list_of(core, caller, kind, id).await.map_err(|error| kind.not_found(id, error))
}

async fn list_of(core: &Core, caller: &Caller, kind: Kind, id: &str) -> Result<Vec<String>> {
    let rule = rule(kind, Verb::Get);
    let mut conn = core.read().await?;
    let standard = match kind {
        Kind::Network => {
            let network = super::network::visible(&mut conn, caller, id).await?;
            caller.enforce(rule, &super::network::target(&network))?;
            network.standard
        }
        Kind::Subnet => {
            let (subnet, network) = super::subnet::visible(&mut conn, caller, id).await?;
            caller.enforce(rule, &in_network(&subnet.project_id, &network))?;
            subnet.standard
        }
        Kind::Port => {
            let (port, network) = super::port::visible(&mut conn, caller, id).await?;
            caller.enforce(rule, &super::port::target(&port, &network))?;
            port.standard
        }
        Kind::Router => {
            let router = super::router::visible(&mut conn, caller, id).await?;
            caller.enforce(rule, &super::router::target(&router))?;
            router.standard
        }
        Kind::FloatingIp => {
            let floating = super::floating_ip::visible(&mut conn, caller, id).await?;
            caller.enforce(rule, &super::floating_ip::target(&floating))?;
            floating.standard
        }
        Kind::SecurityGroup => {
            let group = super::security_group::visible(&mut conn, caller, id).await?;
            caller.enforce(rule, &super::security_group::target(&group))?;
            group.standard
        }
    };
    Ok(standard.tags)
}

/// Changes the tags of a resource of the caller's; answers what they are now.
pub async fn change(
    core: &Core,
    caller: &Caller,
    kind: Kind,
    id: &str,
    change: Change,
) -> Result<Vec<String>> {
    change.check()?;
    let (caller, owned, now) = (caller.clone(), id.to_owned(), core.clock.now());
    let changed = core
        .write(move |tx| Box::pin(async move { change_in(tx, &caller, kind, &owned, change, now).await }));
    changed.await.map_err(|error| kind.not_found(id, error))
}

async fn change_in(
    tx: &mut Tx,
    caller: &Caller,
    kind: Kind,
    id: &str,
    change: Change,
    now: Timestamp,
) -> Result<Vec<String>> {
    let rule = rule(kind, change.verb());
    match kind {
        Kind::Network => {
            let mut network = super::network::visible(tx, caller, id).await?;
            caller.enforce(rule, &super::network::target(&network))?;
            apply(&mut network.standard, change, now)?;
            network::update(tx, &network).await?;
            Ok(network.standard.tags)
        }
        Kind::Subnet => {
            let (mut subnet, network) = super::subnet::visible(tx, caller, id).await?;
            caller.enforce(rule, &in_network(&subnet.project_id, &network))?;
            apply(&mut subnet.standard, change, now)?;
            subnet::update(tx, &subnet).await?;
            Ok(subnet.standard.tags)
        }
        Kind::Port => {
            let (mut port, network) = super::port::visible(tx, caller, id).await?;
            caller.enforce(rule, &super::port::target(&port, &network))?;
            apply(&mut port.standard, change, now)?;
            port::update(tx, &port).await?;
            Ok(port.standard.tags)
        }
        Kind::Router => {
            let mut router = super::router::visible(tx, caller, id).await?;
            caller.enforce(rule, &super::router::target(&router))?;
            apply(&mut router.standard, change, now)?;
            router::update(tx, &router).await?;
            Ok(router.standard.tags)
        }
        Kind::FloatingIp => {
            let mut floating = super::floating_ip::visible(tx, caller, id).await?;
            caller.enforce(rule, &super::floating_ip::target(&floating))?;
            apply(&mut floating.standard, change, now)?;
            floating_ip::update(tx, &floating).await?;
            Ok(floating.standard.tags)
        }
        Kind::SecurityGroup => {
            let mut group = super::security_group::visible(tx, caller, id).await?;
            caller.enforce(rule, &super::security_group::target(&group))?;
            apply(&mut group.standard, change, now)?;
            security_group::update(tx, &group).await?;
            Ok(group.standard.tags)
        }
    }
}

fn apply(standard: &mut Standard, change: Change, now: Timestamp) -> Result<()> {
    let mut tags = std::mem::take(&mut standard.tags);
    match change {
        Change::AddAll(more) => tags.extend(more),
        Change::Add(tag) => tags.push(tag),
        Change::Clear => tags.clear(),
        Change::Replace(all) => tags = all,
        Change::Remove(tag) => {
            let before = tags.len();
            tags.retain(|known| *known != tag);
            if tags.len() == before {
                return Err(Error::not_found("TagNotFound", format!("Tag {tag} could not be found.")));
            }
        }
    }
    standard.tags = input::tags(tags)?;
    standard.touch(now);
    Ok(())
}
