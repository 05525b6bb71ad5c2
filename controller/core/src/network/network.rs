//! Networks.

use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{DEFAULT_MTU, MAX_MTU, MIN_MTU, Network, Port, Standard, device_owner};
pub use updraft_store::network::network::NetworkFilter;
use updraft_store::network::port::{self, PortFilter};
use updraft_store::network::{network, subnet};
use updraft_store::{Conn, Tx};
use updraft_wire::network::{CreateNetwork, UpdateNetwork};

use super::Aim;
use super::access::{attributes, hidden as hidden_by, owner_of_new, reaches, scope};
use super::change::change;
use super::error::{found, invalid_attribute, invalid_input, network_not_found};
use super::{dhcp, input, quota, security_group};
use crate::policy::Target;
use crate::{Caller, Core, Error, Result};

/// Types of network that there are: inside the cloud, and what the uplink carries.
const NETWORK_TYPES: [&str; 2] = ["local", "flat"];

/// Makes networks, all or none.
pub async fn create(core: &Core, caller: &Caller, requests: Vec<CreateNetwork>) -> Result<Vec<Network>> {
    let now = core.clock.now();
    let networks =
        requests.into_iter().map(|request| read(caller, request, now)).collect::<Result<Vec<_>>>()?;
    change(core, move |tx| {
        Box::pin(async move {
            for network in &networks {
                quota::check(tx, &network.project_id, "network").await?;
                security_group::ensure_default(tx, &network.project_id, now).await?;
                network::insert(tx, network).await?;
            }
            Ok(networks)
        })
    })
    .await
}

fn read(caller: &Caller, request: CreateNetwork, now: Timestamp) -> Result<Network> {
    let project_id = owner_of_new(caller, request.project_id.as_deref())?;
    may_create(caller, &project_id, &request)?;
    let external = request.external.unwrap_or(false);
    let network_type = request.network_type.unwrap_or_else(|| if external { "flat" } else { "local" }.into());
    if !NETWORK_TYPES.contains(&network_type.as_str()) || request.segmentation_id.is_some() {
        return Err(invalid_input(format!("network_type value '{network_type}' not supported")));
    }
    if network_type == "local" && request.physical_network.is_some() {
        return Err(invalid_input("physical_network prohibited for local provider network"));
    }
    Ok(Network {
        id: new_uuid(),
        project_id,
        name: input::text("name", request.name)?,
        admin_state_up: request.admin_state_up.unwrap_or(true),
        shared: request.shared.unwrap_or(false),
        external,
        is_default: request.is_default.unwrap_or(false),
        mtu: mtu(request.mtu)?.unwrap_or(DEFAULT_MTU),
        port_security_enabled: request.port_security_enabled.unwrap_or(true),
        dns_domain: input::dns_name("dns_domain", &request.dns_domain.unwrap_or_default())?,
        network_type,
        physical_network: request.physical_network,
        segmentation_id: None,
        subnets: Vec::new(),
        standard: Standard {
            tags: input::tags(request.tags.unwrap_or_default())?,
            ..Standard::new(now, input::text("description", request.description)?)
        },
    })
}

/// By the rule for networks, and those for the attributes that are not as they are by default.
fn may_create(caller: &Caller, project_id: &str, request: &CreateNetwork) -> Result<()> {
    let target =
        Target { shared: request.shared, external: request.external, ..Target::of_project(project_id) };
    let set = [
        (true, "create_network"),
        (request.shared == Some(true), "create_network:shared"),
        (request.external == Some(true), "create_network:router:external"),
        (request.is_default == Some(true), "create_network:is_default"),
        (request.network_type.is_some(), "create_network:provider:network_type"),
        (request.physical_network.is_some(), "create_network:provider:physical_network"),
        (request.segmentation_id.is_some(), "create_network:provider:segmentation_id"),
        (request.port_security_enabled == Some(false), "create_network:port_security_enabled"),
        (request.tags.as_ref().is_some_and(|tags| !tags.is_empty()), "create_network:tags"),
    ];
    attributes(caller, &target, &set)
}

pub(super) fn target(network: &Network) -> Target<'_> {
    Target {
        shared: Some(network.shared),
        external: Some(network.external),
        ..Target::of_project(&network.project_id)
    }
}

/// The attributes that the caller is not shown.
pub fn hidden(caller: &Caller, network: &Network) -> Vec<&'static str> {
    let rules = [
        ("provider:network_type", "get_network:provider:network_type"),
        ("provider:physical_network", "get_network:provider:physical_network"),
        ("provider:segmentation_id", "get_network:provider:segmentation_id"),
        ("tags", "get_network:tags"),
    ];
    hidden_by(caller, &target(network), &rules)
}

/// 0 and absent mean the default.
fn mtu(requested: Option<i64>) -> Result<Option<u16>> {
    let Some(requested) = requested.filter(|mtu| *mtu != 0) else { return Ok(None) };
    u16::try_from(requested)
        .ok()
        .filter(|mtu| (MIN_MTU..=MAX_MTU).contains(mtu))
        .map(Some)
        .ok_or_else(|| invalid_attribute("mtu", format!("'{requested}' is not from {MIN_MTU} to {MAX_MTU}")))
}

/// The network, if the caller sees it: their own, a shared or an external one.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Network> {
    visible(&mut core.read().await?, caller, id).await
}

/// The same inside a transaction.
pub(super) async fn visible(conn: &mut Conn, caller: &Caller, id: &str) -> Result<Network> {
    let network = network::get(conn, id).await?;
    let seen = network.filter(|network| {
        let is_offered = network.shared || network.external || reaches(caller, &network.project_id);
        is_offered && caller.may("get_network", &target(network))
    });
    found(seen, || network_not_found(id))
}

/// Networks that the caller sees.
pub async fn list(core: &Core, caller: &Caller, filter: NetworkFilter) -> Result<Vec<Network>> {
    let filter = NetworkFilter { visible_to: scope(caller, "get_network")?, ..filter };
    let mut networks = network::list(&mut core.read().await?, &filter).await?;
    networks.retain(|network| caller.may("get_network", &target(network)));
    Ok(networks)
}

/// Changes a network.
pub async fn update(
    core: &Core,
    caller: &Caller,
    aim: impl Into<Aim>,
    request: UpdateNetwork,
) -> Result<Network> {
    let Aim { id, revision } = aim.into();
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut network = visible(tx, &caller, &id).await?;
            revision.check(&network.standard)?;
            let set = [
                (true, "update_network"),
                (request.shared.is_some(), "update_network:shared"),
                (request.external.is_some(), "update_network:router:external"),
                (request.is_default.is_some(), "update_network:is_default"),
                (request.port_security_enabled.is_some(), "update_network:port_security_enabled"),
            ];
            attributes(&caller, &target(&network), &set)?;
            if network.shared && request.shared == Some(false) {
                check_unshared(tx, &network).await?;
            }
            if network.external && request.external == Some(false) {
                check_not_an_outside(tx, &network).await?;
            }
            let before = network.clone();
            apply(&mut network, request)?;
            if network != before {
                network.standard.touch(now);
                network::update(tx, &network).await?;
            }
            Ok(network)
        })
    })
    .await
}

fn apply(network: &mut Network, request: UpdateNetwork) -> Result<()> {
    input::replace_text("name", &mut network.name, request.name)?;
    input::replace_text("description", &mut network.standard.description, request.description)?;
    network.admin_state_up = request.admin_state_up.unwrap_or(network.admin_state_up);
    network.shared = request.shared.unwrap_or(network.shared);
    network.external = request.external.unwrap_or(network.external);
    network.is_default = request.is_default.unwrap_or(network.is_default);
    if request.mtu.is_some() {
        network.mtu = mtu(request.mtu)?.unwrap_or(DEFAULT_MTU);
    }
    network.port_security_enabled = request.port_security_enabled.unwrap_or(network.port_security_enabled);
    if let Some(domain) = request.dns_domain {
        network.dns_domain = input::dns_name("dns_domain", &domain.unwrap_or_default())?;
    }
    Ok(())
}

/// A network that others have ports in stays shared.
async fn check_unshared(tx: &mut Tx, network: &Network) -> Result<()> {
    let ports = ports_of(tx, &network.id).await?;
    let foreign =
        ports.iter().any(|port| !port.project_id.is_empty() && port.project_id != network.project_id);
    if !foreign {
        return Ok(());
    }
    let message = format!(
        "Unable to reconfigure sharing settings for network {}. Multiple tenants are using it.",
        network.name
    );
    Err(Error::conflict("InvalidSharedSetting", message))
}

/// A network that routers or floating IPs use stays external.
async fn check_not_an_outside(tx: &mut Tx, network: &Network) -> Result<()> {
    let ports = ports_of(tx, &network.id).await?;
    let outside = [device_owner::ROUTER_GATEWAY, device_owner::FLOATING_IP];
    if !ports.iter().any(|port| outside.contains(&port.device_owner.as_str())) {
        return Ok(());
    }
    let message = format!(
        "External network {} cannot be updated to be made non-external, since it has existing gateway ports.",
        network.id
    );
    Err(Error::conflict("ExternalNetworkInUse", message))
}

async fn ports_of(tx: &mut Tx, id: &str) -> Result<Vec<Port>> {
    let filter = PortFilter { network_ids: Some(vec![id.to_owned()]), ..PortFilter::default() };
    Ok(port::list(tx, &filter).await?)
}

/// Deletes a network with its subnets; 409 while anything but DHCP is plugged into it.
pub async fn delete(core: &Core, caller: &Caller, aim: impl Into<Aim>) -> Result<()> {
    let Aim { id, revision } = aim.into();
    let caller = caller.clone();
    change(core, move |tx| {
        Box::pin(async move {
            let network = visible(tx, &caller, &id).await?;
            revision.check(&network.standard)?;
            caller.enforce("delete_network", &target(&network))?;
            let ports = ports_of(tx, &id).await?;
            let (own, others): (Vec<_>, Vec<_>) = ports.into_iter().partition(dhcp::is_dhcp);
            if !others.is_empty() {
                return Err(in_use(&id, &others));
            }
            for port in own {
                port::delete(tx, &port.id).await?;
            }
            for subnet_id in &network.subnets {
                subnet::delete(tx, subnet_id).await?;
            }
            Ok(network::delete(tx, &id).await?)
        })
    })
    .await
}

fn in_use(id: &str, ports: &[Port]) -> Error {
    let ids: Vec<String> = ports.iter().map(|port| format!("'{}'", port.id)).collect();
    let message = format!(
        "Unable to complete operation on network {id}. There are one or more ports still in use on the network, \
         id for these ports is: {}.",
        ids.join(", ")
    );
    Error::conflict("NetworkInUse", message)
}
