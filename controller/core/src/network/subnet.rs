//! Subnets.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{FixedIp, Ipv6Mode, Network, Port, Standard, Subnet, device_owner, ipam};
use updraft_store::network::network::{self, NetworkFilter};
use updraft_store::network::port::{self, PortFilter};
use updraft_store::network::subnet;
pub use updraft_store::network::subnet::SubnetFilter;
use updraft_store::{Conn, Tx};
use updraft_wire::network::{CreateSubnet, UpdateSubnet};

use super::Aim;
use super::access::{attributes, hidden as hidden_by, in_network, owner_of_new, reaches, scope};
use super::change::change;
use super::error::{
    bad_request, found, invalid_attribute, invalid_input, network_not_found, subnet_not_found,
};
use super::{dhcp, input, quota};
use crate::{Caller, Core, Error, Result};

/// Longest prefix of an IPv4 subnet with DHCP: the gateway, the DHCP port and one guest must fit.
const MAX_DHCP_PREFIX_V4: u8 = 30;

/// How refusals call a subnet that has no id yet.
const NEW: &str = "new subnet";

/// Makes subnets, all or none.
pub async fn create(core: &Core, caller: &Caller, requests: Vec<CreateSubnet>) -> Result<Vec<Subnet>> {
    let now = core.clock.now();
    let is_set = |request: &CreateSubnet| {
        [
            (true, "create_subnet"),
            (request.segment_id.is_some(), "create_subnet:segment_id"),
            (
                request.service_types.as_ref().is_some_and(|types| !types.is_empty()),
                "create_subnet:service_types",
            ),
            (request.tags.as_ref().is_some_and(|tags| !tags.is_empty()), "create_subnet:tags"),
        ]
    };
    let sets: Vec<_> = requests.iter().map(is_set).collect();
    let subnets =
        requests.into_iter().map(|request| read(caller, request, now)).collect::<Result<Vec<_>>>()?;
    let caller = caller.clone();
    change(core, move |tx| {
        Box::pin(async move {
            for (subnet, set) in subnets.iter().zip(&sets) {
                let network = super::network::visible(tx, &caller, &subnet.network_id).await?;
                attributes(&caller, &in_network(&subnet.project_id, &network), set)?;
                quota::check(tx, &subnet.project_id, "subnet").await?;
                check_overlap(tx, subnet).await?;
                subnet::insert(tx, subnet).await?;
                if subnet.enable_dhcp {
                    dhcp::serve(tx, &network, subnet, now).await?;
                }
                add_derived_addresses(tx, subnet, now).await?;
            }
            Ok(subnets)
        })
    })
    .await
}

fn read(caller: &Caller, request: CreateSubnet, now: Timestamp) -> Result<Subnet> {
    let project_id = owner_of_new(caller, request.project_id.as_deref())?;
    if request.subnetpool_id.is_some() {
        return Err(bad_request("subnets", "there are no subnet pools in this cloud; a cidr is required"));
    }
    if request.segment_id.is_some() {
        return Err(bad_request("subnets", "there are no segments in this cloud"));
    }
    let Some(cidr) = request.cidr.as_deref() else {
        return Err(bad_request("subnets", "a subnetpool must be specified in the absence of a cidr"));
    };
    let cidr = ipam::parse_subnet_cidr(cidr)?;
    check_version(&cidr, request.ip_version)?;
    let gateway_ip = match request.gateway_ip {
        None => Some(ipam::default_gateway(&cidr)),
        Some(None) => None,
        Some(Some(text)) => Some(gateway(&cidr, &text)?),
    };
    let allocation_pools = match request.allocation_pools.filter(|pools| !pools.is_empty()) {
        Some(pools) => {
            let pools = input::pools(&pools)?;
            ipam::check_pools(&cidr, &pools, gateway_ip)?;
            pools
        }
        None => ipam::default_pools(&cidr, gateway_ip),
    };
    let subnet = Subnet {
        id: new_uuid(),
        network_id: request.network_id,
        project_id,
        name: input::text("name", request.name)?,
        cidr,
        gateway_ip,
        enable_dhcp: request.enable_dhcp.unwrap_or(true),
        dns_nameservers: input::nameservers(NEW, &cidr, &request.dns_nameservers.unwrap_or_default())?,
        host_routes: input::host_routes(NEW, &cidr, &request.host_routes.unwrap_or_default())?,
        allocation_pools,
        ipv6_ra_mode: mode(&cidr, "ipv6_ra_mode", request.ipv6_ra_mode.as_deref())?,
        ipv6_address_mode: mode(&cidr, "ipv6_address_mode", request.ipv6_address_mode.as_deref())?,
        service_types: request.service_types.unwrap_or_default(),
        standard: Standard {
            tags: input::tags(request.tags.unwrap_or_default())?,
            ..Standard::new(now, input::text("description", request.description)?)
        },
    };
    check_dhcp(&subnet)?;
    check_modes(&subnet)?;
    Ok(subnet)
}

fn check_version(cidr: &IpNet, requested: Option<i64>) -> Result<()> {
    let actual = if cidr.addr().is_ipv4() { 4 } else { 6 };
    match requested {
        None => {
            let message = "Failed to parse request. Required attribute 'ip_version' not specified";
            Err(Error::bad_request("HTTPBadRequest", message))
        }
        Some(version) if version == actual => Ok(()),
        Some(version @ (4 | 6)) => {
            let reason = format!("cidr '{cidr}' does not match the ip_version '{version}'");
            Err(invalid_input(reason))
        }
        Some(version) => Err(invalid_attribute("ip_version", format!("'{version}' is not in [4, 6]"))),
    }
}

fn gateway(cidr: &IpNet, text: &str) -> Result<IpAddr> {
    let gateway = input::address("gateway_ip", text)?;
    ipam::check_gateway(cidr, gateway)?;
    Ok(gateway)
}

fn mode(cidr: &IpNet, attribute: &str, text: Option<&str>) -> Result<Option<Ipv6Mode>> {
    let Some(text) = text else { return Ok(None) };
    if cidr.addr().is_ipv4() {
        return Err(invalid_input(format!("{attribute} is not valid when ip_version is 4")));
    }
    let allowed = "['dhcpv6-stateful', 'dhcpv6-stateless', 'slaac']";
    Ipv6Mode::parse(text)
        .map(Some)
        .ok_or_else(|| invalid_attribute(attribute, format!("'{text}' is not in {allowed}")))
}

/// Both modes name the same way when both are named, and addresses made of a MAC need 64 bits for it.
fn check_modes(subnet: &Subnet) -> Result<()> {
    if let (Some(ra), Some(address)) = (subnet.ipv6_ra_mode, subnet.ipv6_address_mode)
        && ra != address
    {
        return Err(invalid_input(format!(
            "ipv6_ra_mode set to '{}' with ipv6_address_mode set to '{}' is not valid. If both attributes are set, \
             they must be the same value",
            ra.as_str(),
            address.as_str()
        )));
    }
    let modes = [subnet.ipv6_ra_mode, subnet.ipv6_address_mode];
    if modes.iter().any(Option::is_some) && !subnet.enable_dhcp {
        return Err(invalid_input(
            "ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False",
        ));
    }
    if subnet.derives_addresses() && subnet.cidr.prefix_len() != 64 {
        return Err(invalid_input(format!(
            "Invalid CIDR {} for IPv6 address mode. Only /64 is supported",
            subnet.cidr
        )));
    }
    Ok(())
}

fn check_dhcp(subnet: &Subnet) -> Result<()> {
    let too_small = subnet.ip_version() == 4 && subnet.cidr.prefix_len() > MAX_DHCP_PREFIX_V4;
    if subnet.enable_dhcp && too_small {
        return Err(invalid_input(
            "Subnet has a prefix length that is incompatible with DHCP service enabled",
        ));
    }
    Ok(())
}

async fn check_overlap(tx: &mut Tx, subnet: &Subnet) -> Result<()> {
    let others = subnet::of_network(tx, &subnet.network_id).await?;
    if others.iter().any(|other| ipam::overlaps(&other.cidr, &subnet.cidr)) {
        return Err(invalid_input(format!(
            "Requested subnet with cidr: {} for network: {} overlaps with another subnet",
            subnet.cidr, subnet.network_id
        )));
    }
    Ok(())
}

/// In a subnet whose addresses follow from MACs, the ports that exist have one as soon as the subnet does.
async fn add_derived_addresses(tx: &mut Tx, subnet: &Subnet, now: Timestamp) -> Result<()> {
    if !subnet.derives_addresses() {
        return Ok(());
    }
    let filter = PortFilter { network_ids: Some(vec![subnet.network_id.clone()]), ..PortFilter::default() };
    for mut port in port::list(tx, &filter).await?.into_iter().filter(|port| !port.is_of_the_cloud()) {
        if let Some(address) = ipam::eui64_address(&subnet.cidr, port.mac) {
            port.fixed_ips.push(FixedIp { subnet_id: subnet.id.clone(), address });
            port.standard.touch(now);
            port::update(tx, &port).await?;
        }
    }
    Ok(())
}

/// The subnet, if the caller sees it: their own, or one of a shared network.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Subnet> {
    Ok(visible(&mut core.read().await?, caller, id).await?.0)
}

/// The same inside a transaction, with its network.
pub(super) async fn visible(conn: &mut Conn, caller: &Caller, id: &str) -> Result<(Subnet, Network)> {
    let subnet = found(subnet::get(conn, id).await?, || subnet_not_found(id))?;
    let network = network::get(conn, &subnet.network_id).await?;
    let network = found(network, || network_not_found(&subnet.network_id))?;
    let is_offered =
        network.shared || reaches(caller, &subnet.project_id) || reaches(caller, &network.project_id);
    let seen = is_offered && caller.may("get_subnet", &in_network(&subnet.project_id, &network));
    if seen { Ok((subnet, network)) } else { Err(subnet_not_found(id)) }
}

/// Subnets that the caller sees.
pub async fn list(core: &Core, caller: &Caller, filter: SubnetFilter) -> Result<Vec<Subnet>> {
    let filter = SubnetFilter { visible_to: scope(caller, "get_subnet")?, ..filter };
    let mut conn = core.read().await?;
    let mut subnets = subnet::list(&mut conn, &filter).await?;
    let networks = networks_of(&mut conn, &subnets).await?;
    subnets.retain(|subnet| may(caller, subnet, &networks, "get_subnet"));
    Ok(subnets)
}

/// The networks of these subnets, by their ids.
async fn networks_of(conn: &mut Conn, subnets: &[Subnet]) -> Result<HashMap<String, Network>> {
    let ids: BTreeSet<String> = subnets.iter().map(|subnet| subnet.network_id.clone()).collect();
    let filter = NetworkFilter { ids: Some(ids.into_iter().collect()), ..NetworkFilter::default() };
    let networks = network::list(conn, &filter).await?;
    Ok(networks.into_iter().map(|network| (network.id.clone(), network)).collect())
}

fn may(caller: &Caller, subnet: &Subnet, networks: &HashMap<String, Network>, rule: &str) -> bool {
    let network = networks.get(&subnet.network_id);
    network.is_some_and(|network| caller.may(rule, &in_network(&subnet.project_id, network)))
}

/// The attributes of each that the caller is not shown.
pub async fn hidden(core: &Core, caller: &Caller, subnets: &[Subnet]) -> Result<Vec<Vec<&'static str>>> {
    let networks = networks_of(&mut core.read().await?, subnets).await?;
    let of_one = |subnet: &Subnet| match networks.get(&subnet.network_id) {
        Some(network) => {
            let rules = [("segment_id", "get_subnet:segment_id"), ("tags", "get_subnet:tags")];
            hidden_by(caller, &in_network(&subnet.project_id, network), &rules)
        }
        None => vec!["segment_id", "tags"],
    };
    Ok(subnets.iter().map(of_one).collect())
}

/// Changes a subnet. Its range never changes.
pub async fn update(
    core: &Core,
    caller: &Caller,
    aim: impl Into<Aim>,
    request: UpdateSubnet,
) -> Result<Subnet> {
    let Aim { id, revision } = aim.into();
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let (mut subnet, network) = visible(tx, &caller, &id).await?;
            revision.check(&subnet.standard)?;
            let set =
                [(true, "update_subnet"), (request.service_types.is_some(), "update_subnet:service_types")];
            attributes(&caller, &in_network(&subnet.project_id, &network), &set)?;
            let before = subnet.clone();
            apply(&mut subnet, request)?;
            if before.gateway_ip != subnet.gateway_ip {
                check_gateway_unused(tx, &before).await?;
            }
            if subnet != before {
                subnet.standard.touch(now);
                subnet::update(tx, &subnet).await?;
            }
            match (before.enable_dhcp, subnet.enable_dhcp) {
                (false, true) => dhcp::serve(tx, &network, &subnet, now).await?,
                (true, false) => dhcp::retire(tx, &network.id, &subnet.id, now).await?,
                _ => {}
            }
            Ok(subnet)
        })
    })
    .await
}

fn apply(subnet: &mut Subnet, request: UpdateSubnet) -> Result<()> {
    input::replace_text("name", &mut subnet.name, request.name)?;
    input::replace_text("description", &mut subnet.standard.description, request.description)?;
    subnet.enable_dhcp = request.enable_dhcp.unwrap_or(subnet.enable_dhcp);
    if let Some(requested) = request.gateway_ip {
        subnet.gateway_ip = requested.map(|text| gateway(&subnet.cidr, &text)).transpose()?;
    }
    if let Some(pools) = request.allocation_pools {
        subnet.allocation_pools = input::pools(&pools)?;
    }
    ipam::check_pools(&subnet.cidr, &subnet.allocation_pools, subnet.gateway_ip)?;
    if let Some(servers) = request.dns_nameservers {
        subnet.dns_nameservers = input::nameservers(&subnet.id, &subnet.cidr, &servers)?;
    }
    if let Some(routes) = request.host_routes {
        subnet.host_routes = input::host_routes(&subnet.id, &subnet.cidr, &routes)?;
    }
    subnet.service_types = request.service_types.unwrap_or_else(|| std::mem::take(&mut subnet.service_types));
    check_dhcp(subnet)?;
    check_modes(subnet)
}

/// A router that has the gateway's address would be cut off by another gateway.
async fn check_gateway_unused(tx: &mut Tx, subnet: &Subnet) -> Result<()> {
    let Some(gateway) = subnet.gateway_ip else { return Ok(()) };
    let filter = PortFilter { subnet_ids: Some(vec![subnet.id.clone()]), ..PortFilter::default() };
    let holder = port::list(tx, &filter).await?.into_iter().find(|port| {
        port.device_owner == device_owner::ROUTER_INTERFACE
            && port.fixed_ips.iter().any(|fixed| fixed.address == gateway)
    });
    match holder {
        Some(port) => {
            let message =
                format!("Current gateway ip {gateway} already in use by port {}. Unable to update.", port.id);
            Err(Error::conflict("GatewayIpInUse", message))
        }
        None => Ok(()),
    }
}

/// Deletes a subnet; 409 while a port other than DHCP's has an address of it.
pub async fn delete(core: &Core, caller: &Caller, aim: impl Into<Aim>) -> Result<()> {
    let Aim { id, revision } = aim.into();
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let (subnet, network) = visible(tx, &caller, &id).await?;
            revision.check(&subnet.standard)?;
            caller.enforce("delete_subnet", &in_network(&subnet.project_id, &network))?;
            let filter = PortFilter { subnet_ids: Some(vec![id.clone()]), ..PortFilter::default() };
            let ports = port::list(tx, &filter).await?;
            if ports.iter().any(|port| !dhcp::is_dhcp(port) && !has_only_derived(port, &subnet)) {
                let message = format!(
                    "Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this \
                     subnet."
                );
                return Err(Error::conflict("SubnetInUse", message));
            }
            dhcp::retire(tx, &network.id, &id, now).await?;
            for mut port in ports.into_iter().filter(|port| !dhcp::is_dhcp(port)) {
                port.fixed_ips.retain(|fixed| fixed.subnet_id != id);
                port::update(tx, &port).await?;
            }
            Ok(subnet::delete(tx, &id).await?)
        })
    })
    .await
}

/// An address that came with the subnet, unasked, goes with it.
fn has_only_derived(port: &Port, subnet: &Subnet) -> bool {
    subnet.derives_addresses() && !port.is_of_the_cloud()
}
