//! Tags of any network resource.

use updraft_model::Timestamp;
use updraft_model::network::Standard;
use updraft_store::Tx;
use updraft_store::network::{floating_ip, network, port, router, security_group, subnet};

use super::access::may_change;
use super::input;
use crate::{Caller, Core, Error, Result};

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
    Add(Vec<String>),
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

/// The tags of a resource that the caller sees.
pub async fn list(core: &Core, caller: &Caller, kind: Kind, id: &str) -> Result<Vec<String>> {
    let standard = match kind {
        Kind::Network => super::network::get(core, caller, id).await?.standard,
        Kind::Subnet => super::subnet::get(core, caller, id).await?.standard,
        Kind::Port => super::port::get(core, caller, id).await?.standard,
        Kind::Router => super::router::get(core, caller, id).await?.standard,
        Kind::FloatingIp => super::floating_ip::get(core, caller, id).await?.floating_ip.standard,
        Kind::SecurityGroup => super::security_group::get(core, caller, id).await?.standard,
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
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    core.write(move |tx| Box::pin(async move { change_in(tx, &caller, kind, &id, change, now).await })).await
}

async fn change_in(
    tx: &mut Tx,
    caller: &Caller,
    kind: Kind,
    id: &str,
    change: Change,
    now: Timestamp,
) -> Result<Vec<String>> {
    let action = match kind {
        Kind::Network => "update_network:tags",
        Kind::Subnet => "update_subnet:tags",
        Kind::Port => "update_port:tags",
        Kind::Router => "update_router:tags",
        Kind::FloatingIp => "update_floatingip:tags",
        Kind::SecurityGroup => "update_security_group:tags",
    };
    match kind {
        Kind::Network => {
            let mut network = super::network::visible(tx, caller, id).await?;
            may_change(caller, &network.project_id, action)?;
            apply(&mut network.standard, change, now)?;
            network::update(tx, &network).await?;
            Ok(network.standard.tags)
        }
        Kind::Subnet => {
            let (mut subnet, _) = super::subnet::visible(tx, caller, id).await?;
            may_change(caller, &subnet.project_id, action)?;
            apply(&mut subnet.standard, change, now)?;
            subnet::update(tx, &subnet).await?;
            Ok(subnet.standard.tags)
        }
        Kind::Port => {
            let mut port = super::port::visible(tx, caller, id).await?;
            may_change(caller, &port.project_id, action)?;
            apply(&mut port.standard, change, now)?;
            port::update(tx, &port).await?;
            Ok(port.standard.tags)
        }
        Kind::Router => {
            let mut router = super::router::visible(tx, caller, id).await?;
            may_change(caller, &router.project_id, action)?;
            apply(&mut router.standard, change, now)?;
            router::update(tx, &router).await?;
            Ok(router.standard.tags)
        }
        Kind::FloatingIp => {
            let mut floating = super::floating_ip::visible(tx, caller, id).await?;
            may_change(caller, &floating.project_id, action)?;
            apply(&mut floating.standard, change, now)?;
            floating_ip::update(tx, &floating).await?;
            Ok(floating.standard.tags)
        }
        Kind::SecurityGroup => {
            let mut group = super::security_group::visible(tx, caller, id).await?;
            may_change(caller, &group.project_id, action)?;
            apply(&mut group.standard, change, now)?;
            security_group::update(tx, &group).await?;
            Ok(group.standard.tags)
        }
    }
}

fn apply(standard: &mut Standard, change: Change, now: Timestamp) -> Result<()> {
    let mut tags = std::mem::take(&mut standard.tags);
    match change {
        Change::Add(more) => tags.extend(more),
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
