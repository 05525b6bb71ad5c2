//! What the responders know: the configuration, arranged by the questions that are asked.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use updraft_base::{MacAddress, NetworkId, PortId};
use updraft_dataplane_api::net::{Dhcp, HostRoute, NetConfig};
use updraft_flow::PortIndex;

/// The address at which every guest finds its metadata (AWS, OpenStack and all others agree on it).
pub const METADATA_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// A network as its guests see it.
#[derive(Debug, Default)]
pub struct NetworkState {
    /// Bytes of the largest IP packet.
    pub mtu: u16,
    /// Lower case, without the final dot.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// For questions about addresses.
    pub reverse: HashMap<IpAddr, String>,
    /// The routers' interfaces: MAC to address.
    pub interfaces: HashMap<[u8; 6], Ipv4Addr>,
    /// The DHCP and DNS responders' addresses, with their MACs.
    pub servers: HashMap<Ipv4Addr, MacAddress>,
}

/// An address that DHCP gives to a port.
#[derive(Debug)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub prefix_len: u8,
    pub gateway: Option<Ipv4Addr>,
    pub dhcp: Dhcp,
}

/// A port as the responders see it.
#[derive(Debug)]
pub struct PortState {
    pub id: PortId,
    pub mac: MacAddress,
    pub hostname: Option<String>,
    pub network: Arc<NetworkState>,
    /// The first IPv4 address on a subnet with DHCP.
    pub lease: Option<Lease>,
}

/// An address of ours on the uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UplinkAddress {
    pub address: Ipv4Addr,
    pub mac: MacAddress,
}

/// A router's gateway.
#[derive(Clone, Copy, Debug)]
pub struct Gateway {
    pub own: UplinkAddress,
    pub prefix_len: u8,
}

/// See the module's text. Replaced as a whole.
#[derive(Debug, Default)]
pub struct ResponderState {
    pub ports: HashMap<u32, PortState>,
    pub gateways: Vec<Gateway>,
    /// Gateways and floating IPs: announced when they appear.
    pub announced: Vec<UplinkAddress>,
}

impl ResponderState {
    /// Arranges `config`; `indexes` are the ports' places in the flow tables.
    pub fn new(config: &NetConfig, indexes: &BTreeMap<PortId, PortIndex>) -> Self {
        let networks: HashMap<NetworkId, Arc<NetworkState>> = config
            .networks
            .iter()
            .map(|network| (network.id, Arc::new(network_state(config, network))))
            .collect();
        let ports = config.ports.iter().filter_map(|port| {
            let state = PortState {
                id: port.id,
                mac: port.mac,
                hostname: port.hostname.clone(),
                network: Arc::clone(networks.get(&port.network_id)?),
                lease: lease(config, port),
            };
            Some((indexes.get(&port.id)?.0, state))
        });
        let gateways = config.routers.iter().filter_map(|router| {
            let gateway = router.gateway.as_ref()?;
            let IpAddr::V4(address) = gateway.address else { return None };
            let own = UplinkAddress { address, mac: gateway.mac };
            Some((router.id, Gateway { own, prefix_len: gateway.prefix_len }))
        });
        let gateways: HashMap<_, _> = gateways.collect();
        let floating = config.floating_ips.iter().filter_map(|floating| {
            let mac = gateways.get(&floating.router_id)?.own.mac;
            Some(UplinkAddress { address: floating.address, mac })
        });
        Self {
            announced: gateways.values().map(|gateway| gateway.own).chain(floating).collect(),
            ports: ports.collect(),
            gateways: gateways.into_values().collect(),
        }
    }

    /// The gateway on whose external subnet `address` lies.
    pub fn gateway_towards(&self, address: Ipv4Addr) -> Option<&Gateway> {
        self.gateways.iter().find(|gateway| {
            ipnet::Ipv4Net::new(gateway.own.address, gateway.prefix_len)
                .is_ok_and(|net| net.contains(&address))
        })
    }
}

fn network_state(config: &NetConfig, network: &updraft_dataplane_api::net::Network) -> NetworkState {
    let interfaces = config.routers.iter().flat_map(|router| &router.interfaces);
    let interfaces = interfaces.filter(|interface| interface.network_id == network.id);
    let reverse =
        network.names.iter().flat_map(|(name, addresses)| addresses.iter().map(|at| (*at, name.clone())));
    let servers = network.subnets.iter().filter_map(|subnet| subnet.dhcp.as_ref());
    NetworkState {
        mtu: network.mtu,
        names: network.names.clone(),
        reverse: reverse.collect(),
        interfaces: interfaces.filter_map(|at| Some((at.mac.0, v4(at.address)?))).collect(),
        servers: servers.filter_map(|dhcp| Some((v4(dhcp.server_address)?, dhcp.server_mac))).collect(),
    }
}

fn lease(config: &NetConfig, port: &updraft_dataplane_api::net::Port) -> Option<Lease> {
    let network = config.networks.iter().find(|network| network.id == port.network_id)?;
    port.fixed_ips.iter().find_map(|fixed| {
        let subnet = network.subnets.iter().find(|subnet| subnet.id == fixed.subnet_id)?;
        Some(Lease {
            address: v4(fixed.address)?,
            prefix_len: subnet.cidr.prefix_len(),
            gateway: subnet.gateway.and_then(v4),
            dhcp: subnet.dhcp.clone()?,
        })
    })
}

/// The address, if it is an IPv4 one.
pub fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

impl Lease {
    /// The responder's own address.
    pub fn server(&self) -> Option<Ipv4Addr> {
        v4(self.dhcp.server_address)
    }

    /// All routes that DHCP announces besides the on-link one (RFC 3442: with these, the router option is ignored, so
    /// the default route is among them).
    pub fn routes(&self) -> Vec<(ipnet::Ipv4Net, Ipv4Addr)> {
        let mut routes = Vec::new();
        if let (Some(via), Ok(metadata)) =
            (self.gateway.or(self.server()), ipnet::Ipv4Net::new(METADATA_ADDRESS, 32))
        {
            routes.push((metadata, via));
        }
        routes.extend(self.dhcp.host_routes.iter().filter_map(|HostRoute { destination, next_hop }| {
            match destination {
                ipnet::IpNet::V4(destination) => Some((*destination, v4(*next_hop)?)),
                ipnet::IpNet::V6(_) => None,
            }
        }));
        if let Some(gateway) = self.gateway {
            routes.push((ipnet::Ipv4Net::default(), gateway));
        }
        routes
    }
}
