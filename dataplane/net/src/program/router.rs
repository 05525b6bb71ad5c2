//! Virtual routers: interfaces, routes, gateways.

use std::collections::BTreeMap;

use updraft_base::{NetworkId, SubnetId};
use updraft_dataplane_api::net::{HostRoute, Network, Router, RouterInterface, Subnet};
use updraft_flow::layout::{
    Address, ROUTER_GATEWAY, ROUTER_PRESENT, ROUTER_SNAT, ROUTES, ROUTES_PER_ROUTER, UPLINK_NETWORK, mac_word,
};

use super::{TooMany, address};

/// One route as the tables hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub address: Address,
    pub mask: Address,
    /// Zero: on the subnet itself.
    pub next_hop: Address,
    pub mac: u64,
    pub network: u32,
    pub mtu: u32,
}

/// One router as the tables hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterValue {
    pub flags: u32,
    pub route_first: u32,
    pub route_count: u32,
    pub mtu: u32,
    pub gateway_mac: u64,
    pub gateway_address: Address,
    pub gateway_mask: Address,
    pub next_hop: Address,
}

/// Networks and subnets by id.
pub struct Nets<'a> {
    networks: BTreeMap<NetworkId, (u32, &'a Network)>,
    subnets: BTreeMap<SubnetId, &'a Subnet>,
}

impl<'a> Nets<'a> {
    pub fn new(networks: &'a [Network]) -> Self {
        let subnets = networks.iter().flat_map(|network| &network.subnets);
        Self {
            // Index 0 is the uplink.
            networks: networks
                .iter()
                .zip(1..)
                .map(|(network, index)| (network.id, (index, network)))
                .collect(),
            subnets: subnets.map(|subnet| (subnet.id, subnet)).collect(),
        }
    }

    pub fn index_and_mtu(&self, id: NetworkId) -> Option<(u32, u32)> {
        self.networks.get(&id).map(|(index, network)| (*index, u32::from(network.mtu)))
    }

    fn subnet(&self, id: SubnetId) -> Option<&'a Subnet> {
        self.subnets.get(&id).copied()
    }
}

/// The router's interface in a network, on the subnet with this address.
pub fn interface_towards<'r>(
    router: &'r Router,
    nets: &Nets<'_>,
    network: NetworkId,
    fixed: std::net::IpAddr,
) -> Option<&'r RouterInterface> {
    let mut interfaces = router.interfaces.iter().filter(|interface| interface.network_id == network);
    interfaces.find(|interface| nets.subnet(interface.subnet_id).is_some_and(|net| net.cidr.contains(&fixed)))
}

/// Adds the router's routes to `routes` and gives the router that walks them.
pub fn compile(
    router: &Router,
    nets: &Nets<'_>,
    routes: &mut Vec<Route>,
    ignored: &mut Vec<String>,
) -> Result<RouterValue, TooMany> {
    let mut own: Vec<Route> =
        router.interfaces.iter().filter_map(|interface| connected(interface, nets)).collect();
    for route in &router.routes {
        match static_route(router, route, nets) {
            Some(compiled) => own.push(compiled),
            None => ignored.push(format!(
                "route of router {} to {}: next hop {} is on none of its subnets",
                router.id, route.destination, route.next_hop
            )),
        }
    }
    // Longest prefix first; the stable sort keeps connected subnets ahead of static routes to the same prefix.
    own.sort_by_key(|route| std::cmp::Reverse(route.mask[1].count_ones()));
    TooMany::check("routes", own.len(), ROUTES_PER_ROUTER)
        .map_err(|error| error.of(format_args!("router {}", router.id)))?;
    let gateway = gateway(router, nets);
    let value = RouterValue {
        flags: ROUTER_PRESENT | gateway.flags,
        route_first: routes.len() as u32,
        route_count: own.len() as u32,
        ..gateway
    };
    routes.extend(own);
    TooMany::check("routes", routes.len(), ROUTES)?;
    Ok(value)
}

fn connected(interface: &RouterInterface, nets: &Nets<'_>) -> Option<Route> {
    let (network, mtu) = nets.index_and_mtu(interface.network_id)?;
    let (address, mask) = address::prefix(nets.subnet(interface.subnet_id)?.cidr)?;
    Some(Route { address, mask, next_hop: [0, 0], mac: mac_word(interface.mac.0), network, mtu })
}

fn static_route(router: &Router, route: &HostRoute, nets: &Nets<'_>) -> Option<Route> {
    let (address, mask) = address::prefix(route.destination)?;
    let next_hop = address::of(route.next_hop)?;
    let near = router.interfaces.iter().filter_map(|interface| connected(interface, nets));
    let mut near = near.filter(|subnet| next_hop[1] & subnet.mask[1] == subnet.address[1]);
    if let Some(subnet) = near.next() {
        return Some(Route { address, mask, next_hop, ..subnet });
    }
    let gateway = gateway(router, nets);
    let external = gateway.flags & ROUTER_GATEWAY != 0
        && (next_hop[1] ^ gateway.gateway_address[1]) & gateway.gateway_mask[1] == 0;
    external.then_some(Route {
        address,
        mask,
        next_hop,
        mac: gateway.gateway_mac,
        network: UPLINK_NETWORK,
        mtu: gateway.mtu,
    })
}

/// The gateway's part of a router.
fn gateway(router: &Router, nets: &Nets<'_>) -> RouterValue {
    let Some(gateway) = &router.gateway else { return RouterValue::default() };
    let (Some(gateway_address), Some((_, mtu))) =
        (address::of(gateway.address), nets.index_and_mtu(gateway.network_id))
    else {
        return RouterValue::default();
    };
    RouterValue {
        flags: ROUTER_GATEWAY | if gateway.enable_snat { ROUTER_SNAT } else { 0 },
        mtu,
        gateway_mac: mac_word(gateway.mac.0),
        gateway_address,
        gateway_mask: address::mask(gateway.prefix_len),
        next_hop: gateway.next_hop.and_then(address::of).unwrap_or_default(),
        ..RouterValue::default()
    }
}
