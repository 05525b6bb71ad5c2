//! The whole configuration as values, before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use updraft_base::{PortId, RouterId};
use updraft_dataplane_api::net::{Direction, NetConfig, Port, Router};
use updraft_flow::PortIndex;
use updraft_flow::layout::{
    Address, FAMILY_IPV4, FAMILY_MAC, FLOW_QUOTA_DEFAULT, OWNER_DHCP, OWNER_FLOATING, OWNER_GATEWAY,
    OWNER_PORT, OWNER_ROUTER, PORT_PRESENT, PORT_SECURED, PORT_UP, ROUTERS, SOURCES, SOURCES_PER_PORT,
    UPLINK_NETWORK, mac_word,
};

use super::router::{self, Nets, Route, RouterValue};
use super::rules::{Groups, Rule, Runs};
use super::{TooMany, address};

/// A port as the tables hold it.
#[derive(Clone, Copy, Debug)]
pub struct PortValue {
    pub index: u32,
    pub id: PortId,
    pub mac: u64,
    pub flags: u32,
    pub network: u32,
    pub mtu: u32,
    pub sources: (u32, u32),
    pub egress: (u32, u32),
    pub ingress: (u32, u32),
    pub flow_quota: u32,
}

/// A source that a port may use.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub address: Address,
    pub mask: Address,
    pub mac: u64,
}

/// Network, family, address.
pub type AddressKey = (u32, u32, Address);

/// Who has an address.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnerValue {
    pub owner: u32,
    pub index: u32,
    pub mac: u64,
    pub translated: Address,
    pub router: u32,
}

/// Everything that goes into one half of the tables.
#[derive(Default)]
pub struct Compiled {
    pub ports: Vec<PortValue>,
    pub sources: Vec<Source>,
    pub rules: Vec<Rule>,
    pub addresses: BTreeMap<AddressKey, OwnerValue>,
    pub members: BTreeSet<(u32, Address)>,
    pub routers: Vec<RouterValue>,
    pub routes: Vec<Route>,
    pub ignored: Vec<String>,
}

impl Compiled {
    pub fn new(config: &NetConfig, places: &BTreeMap<PortId, PortIndex>) -> Result<Self, TooMany> {
        let mut compiled = Self::default();
        let nets = Nets::new(&config.networks);
        let groups = Groups::new(&config.security_groups);
        compiled.members = groups.members();
        compiled.add_routers(config, &nets)?;
        compiled.add_responders(config, &nets);
        let mut runs = Runs::default();
        for port in &config.ports {
            if let Some(place) = places.get(&port.id) {
                compiled.add_port(port, *place, &nets, &groups, &mut runs)?;
            }
        }
        compiled.rules = runs.rules;
        compiled.add_floating_ips(config, places, &nets);
        Ok(compiled)
    }

    /// The first owner keeps an address: the controller gives none out twice, and pairs may overlap.
    fn own(&mut self, network: u32, family: u32, address: Address, owner: OwnerValue) {
        self.addresses.entry((network, family, address)).or_insert(owner);
    }

    fn add_routers(&mut self, config: &NetConfig, nets: &Nets<'_>) -> Result<(), TooMany> {
        TooMany::check("routers", config.routers.len(), ROUTERS)?;
        for (router, index) in config.routers.iter().zip(0..) {
            let value = router::compile(router, nets, &mut self.routes, &mut self.ignored)?;
            self.routers.push(value);
            for interface in &router.interfaces {
                let Some((network, _)) = nets.index_and_mtu(interface.network_id) else { continue };
                let mac = mac_word(interface.mac.0);
                let owner = OwnerValue { owner: OWNER_ROUTER, index, mac, ..OwnerValue::default() };
                self.own(network, FAMILY_MAC, [0, mac], owner);
                if let Some(address) = address::of(interface.address) {
                    self.own(network, FAMILY_IPV4, address, owner);
                }
            }
            if let Some(gateway) = &router.gateway
                && let Some(address) = address::of(gateway.address)
            {
                let mac = mac_word(gateway.mac.0);
                let owner =
                    OwnerValue { owner: OWNER_GATEWAY, index, mac, router: index, ..OwnerValue::default() };
                self.own(UPLINK_NETWORK, FAMILY_IPV4, address, owner);
            }
        }
        Ok(())
    }

    fn add_responders(&mut self, config: &NetConfig, nets: &Nets<'_>) {
        for network in &config.networks {
            let Some((index, _)) = nets.index_and_mtu(network.id) else { continue };
            for dhcp in network.subnets.iter().filter_map(|subnet| subnet.dhcp.as_ref()) {
                let mac = mac_word(dhcp.server_mac.0);
                let owner = OwnerValue { owner: OWNER_DHCP, mac, ..OwnerValue::default() };
                self.own(index, FAMILY_MAC, [0, mac], owner);
                if let Some(address) = address::of(dhcp.server_address) {
                    self.own(index, FAMILY_IPV4, address, owner);
                }
            }
        }
    }

    fn add_port(
        &mut self,
        port: &Port,
        place: PortIndex,
        nets: &Nets<'_>,
        groups: &Groups<'_>,
        runs: &mut Runs,
    ) -> Result<(), TooMany> {
        let Some((network, mtu)) = nets.index_and_mtu(port.network_id) else {
            self.ignored.push(format!(
                "port {}: its network {} is not in the configuration",
                port.id, port.network_id
            ));
            return Ok(());
        };
        let mac = mac_word(port.mac.0);
        let sources = self.add_sources(port)?;
        let owner = OwnerValue { owner: OWNER_PORT, index: place.0, mac, ..OwnerValue::default() };
        self.own(network, FAMILY_MAC, [0, mac], owner);
        for fixed in port.fixed_ips.iter().filter_map(|fixed| address::of(fixed.address)) {
            self.own(network, FAMILY_IPV4, fixed, owner);
        }
        for pair in &port.allowed_address_pairs {
            let pair_mac = pair.mac.map_or(mac, |mac| mac_word(mac.0));
            let owner = OwnerValue { mac: pair_mac, ..owner };
            self.own(network, FAMILY_MAC, [0, pair_mac], owner);
            // A single address can be routed to, a prefix only sent from.
            if let Some((address, mask)) = address::prefix(pair.prefix)
                && mask == address::mask(32)
            {
                self.own(network, FAMILY_IPV4, address, owner);
            }
        }
        let up = if port.admin_state_up { PORT_UP } else { 0 };
        let secured = if port.port_security_enabled { PORT_SECURED } else { 0 };
        self.ports.push(PortValue {
            index: place.0,
            id: port.id,
            mac,
            flags: PORT_PRESENT | up | secured,
            network,
            mtu,
            sources,
            egress: runs.add(groups.rules_of(port, Direction::Egress))?,
            ingress: runs.add(groups.rules_of(port, Direction::Ingress))?,
            flow_quota: FLOW_QUOTA_DEFAULT,
        });
        Ok(())
    }

    /// What the port may send from: first entry and count.
    fn add_sources(&mut self, port: &Port) -> Result<(u32, u32), TooMany> {
        let first = self.sources.len();
        let mac = mac_word(port.mac.0);
        for fixed in port.fixed_ips.iter().filter_map(|fixed| address::of(fixed.address)) {
            self.sources.push(Source { address: fixed, mask: address::mask(32), mac });
        }
        for pair in &port.allowed_address_pairs {
            if let Some((address, mask)) = address::prefix(pair.prefix) {
                let mac = pair.mac.map_or(mac, |mac| mac_word(mac.0));
                self.sources.push(Source { address, mask, mac });
            }
        }
        let count = self.sources.len() - first;
        TooMany::check("source addresses", count, SOURCES_PER_PORT)
            .map_err(|error| error.of(format_args!("port {}", port.id)))?;
        TooMany::check("source addresses", self.sources.len(), SOURCES)?;
        Ok((first as u32, count as u32))
    }

    fn add_floating_ips(
        &mut self,
        config: &NetConfig,
        places: &BTreeMap<PortId, PortIndex>,
        nets: &Nets<'_>,
    ) {
        let routers: BTreeMap<RouterId, (u32, &Router)> =
            config.routers.iter().zip(0..).map(|(router, index)| (router.id, (index, router))).collect();
        let ports: BTreeMap<PortId, &Port> = config.ports.iter().map(|port| (port.id, port)).collect();
        for floating in &config.floating_ips {
            let parts = routers.get(&floating.router_id).zip(ports.get(&floating.port_id));
            let parts = parts.zip(places.get(&floating.port_id)).and_then(|((router, port), place)| {
                let fixed = IpAddr::V4(floating.fixed_address);
                let interface = router::interface_towards(router.1, nets, port.network_id, fixed)?;
                let (network, _) = nets.index_and_mtu(port.network_id)?;
                router.1.gateway.as_ref()?;
                Some((router.0, *place, network, mac_word(interface.mac.0)))
            });
            let Some((router, place, network, inner_mac)) = parts else {
                self.ignored.push(format!(
                    "floating IP {}: its port, or a router with a gateway and an interface towards it, is not in \
                     the configuration",
                    floating.address
                ));
                continue;
            };
            let (outer, fixed) = (address::of_v4(floating.address), address::of_v4(floating.fixed_address));
            let owner = OwnerValue {
                owner: OWNER_FLOATING,
                index: place.0,
                mac: inner_mac,
                translated: fixed,
                router,
            };
            self.own(UPLINK_NETWORK, FAMILY_IPV4, outer, owner);
            if let Some(inner) = self.addresses.get_mut(&(network, FAMILY_IPV4, fixed))
                && inner.owner == OWNER_PORT
                && inner.index == place.0
            {
                inner.translated = outer;
                inner.router = router;
            }
        }
    }
}
