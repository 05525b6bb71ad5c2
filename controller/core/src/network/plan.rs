//! What one host's netd must know, read from the database.
//!
//! It begins with the ports that are plugged in there, and follows them: to their networks, over the routers on those
//! to the networks beyond, to their security groups and the groups that those name, to their floating IPs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use updraft_dataplane_api::{SocketRole, net};
use updraft_model::network::{
    Direction, EtherType, Network, Port, RemotePeer, Router, SecurityGroup, SecurityGroupRule, Subnet,
    device_owner,
};
use updraft_store::Conn;
use updraft_store::network::floating_ip::{self, FloatingIpFilter};
use updraft_store::network::network::{self, NetworkFilter};
use updraft_store::network::port::{self, PortFilter};
use updraft_store::network::router::{self, RouterFilter};
use updraft_store::network::security_group::{self, SecurityGroupFilter};
use updraft_store::network::subnet::{self, SubnetFilter};

use super::DNS_DOMAIN;
use crate::{Error, Result};

/// How long a guest may use an address before it asks again, in seconds: a day.
const LEASE_S: u32 = 24 * 3600;
/// Queue pairs of a server's card.
const QUEUE_PAIRS: u16 = 1;

/// The desired network of a host, with `generation`. Sockets' paths are left empty for the agent.
pub async fn of_host(conn: &mut Conn, host_id: &str, generation: u64) -> Result<net::NetConfig> {
    let filter = PortFilter { host_ids: Some(vec![host_id.to_owned()]), ..PortFilter::default() };
    let mut ports = port::list(conn, &filter).await?;
    ports.retain(|port| port.server_id.is_some());
    let reach = Reach::of(conn, &ports).await?;
    let networks = networks(conn, &reach).await?;
    let is_up: HashMap<&str, bool> =
        networks.iter().map(|(network, _)| (network.id.as_str(), network.admin_state_up)).collect();
    let mut config = net::NetConfig { generation, ..net::NetConfig::default() };
    for router in &reach.routers {
        config.routers.push(router_plan(conn, router, &reach.interfaces).await?);
    }
    for port in &ports {
        let up = port.admin_state_up && is_up.get(port.network_id.as_str()).copied().unwrap_or(false);
        config.ports.push(port_plan(port, up)?);
    }
    config.security_groups = security_groups(conn, &ports).await?;
    config.floating_ips = floating_ips(conn, &ports).await?;
    config.networks = networks.into_iter().map(|(_, plan)| plan).collect();
    Ok(config)
}

/// How far packets of this host's ports may get without leaving it: networks, and the routers between them.
#[derive(Default)]
struct Reach {
    networks: BTreeSet<String>,
    routers: Vec<Router>,
    interfaces: Vec<Port>,
}

impl Reach {
    async fn of(conn: &mut Conn, ports: &[Port]) -> Result<Self> {
        let mut reach = Self::default();
        let mut frontier: BTreeSet<String> = ports.iter().map(|port| port.network_id.clone()).collect();
        while !frontier.is_empty() {
            let on_frontier = interfaces(conn, |filter| filter.network_ids = Some(to_vec(&frontier))).await?;
            reach.networks.append(&mut frontier);
            let known: BTreeSet<&str> = reach.routers.iter().map(|router| router.id.as_str()).collect();
            let new: BTreeSet<String> = on_frontier
                .into_iter()
                .map(|port| port.device_id)
                .filter(|router| !known.contains(router.as_str()))
                .collect();
            let new_ids = to_vec(&new);
            let filter = RouterFilter { ids: Some(new_ids.clone()), ..RouterFilter::default() };
            let mut routers = router::list(conn, &filter).await?;
            routers.retain(|router| router.admin_state_up);
            reach.routers.append(&mut routers);
            let beyond = interfaces(conn, |filter| filter.device_ids = Some(new_ids)).await?;
            frontier = beyond.iter().map(|port| port.network_id.clone()).collect();
            frontier.retain(|network| !reach.networks.contains(network));
            reach.interfaces.extend(beyond);
        }
        // The outside is where the way ends: what else is plugged into it is none of this host's ports.
        let outside = reach.routers.iter().filter_map(|router| router.gateway.as_ref());
        reach.networks.extend(outside.map(|gateway| gateway.network_id.clone()));
        Ok(reach)
    }
}

async fn interfaces(conn: &mut Conn, narrow: impl FnOnce(&mut PortFilter)) -> Result<Vec<Port>> {
    let mut filter = PortFilter {
        device_owners: Some(vec![device_owner::ROUTER_INTERFACE.to_owned()]),
        ..PortFilter::default()
    };
    narrow(&mut filter);
    Ok(port::list(conn, &filter).await?)
}

fn to_vec(ids: &BTreeSet<String>) -> Vec<String> {
    ids.iter().cloned().collect()
}

/// A stored id as the data path has it.
fn id<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::internal(format!("'{text}' is not an id")))
}

async fn networks(conn: &mut Conn, reach: &Reach) -> Result<Vec<(Network, net::Network)>> {
    let ids = to_vec(&reach.networks);
    let all =
        network::list(conn, &NetworkFilter { ids: Some(ids.clone()), ..NetworkFilter::default() }).await?;
    let subnets =
        subnet::list(conn, &SubnetFilter { network_ids: Some(ids.clone()), ..SubnetFilter::default() })
            .await?;
    let ports = port::list(conn, &PortFilter { network_ids: Some(ids), ..PortFilter::default() }).await?;
    let plan = |network: Network| {
        let of_network = |port: &&Port| port.network_id == network.id;
        let dhcp = ports.iter().filter(of_network).find(|port| port.device_owner == device_owner::DHCP);
        let domain = domain_of(&network).to_owned();
        let subnets = subnets.iter().filter(|subnet| subnet.network_id == network.id);
        let plan = net::Network {
            id: id(&network.id)?,
            mtu: network.mtu,
            external: network.external,
            subnets: subnets.map(|subnet| subnet_plan(subnet, dhcp, &domain)).collect::<Result<_>>()?,
            names: names(ports.iter().filter(of_network), &domain),
        };
        Ok((network, plan))
    };
    all.into_iter().map(plan).collect()
}

fn domain_of(network: &Network) -> &str {
    if network.dns_domain.is_empty() { DNS_DOMAIN } else { &network.dns_domain }
}

fn subnet_plan(subnet: &Subnet, dhcp_port: Option<&Port>, domain: &str) -> Result<net::Subnet> {
    let server = dhcp_port.filter(|_| subnet.enable_dhcp).and_then(|port| {
        let fixed = port.fixed_ips.iter().find(|fixed| fixed.subnet_id == subnet.id)?;
        Some((fixed.address, port.mac))
    });
    let dhcp = server.map(|(server_address, server_mac)| net::Dhcp {
        server_address,
        server_mac,
        lease_s: LEASE_S,
        dns_servers: subnet.dns_nameservers.clone(),
        host_routes: subnet
            .host_routes
            .iter()
            .map(|route| net::HostRoute { destination: route.destination, next_hop: route.nexthop })
            .collect(),
        domain: Some(domain.to_owned()),
    });
    Ok(net::Subnet { id: id(&subnet.id)?, cidr: subnet.cidr, gateway: subnet.gateway_ip, dhcp })
}

/// Tenants' ports by name. The cloud's own have none.
fn names<'a>(ports: impl Iterator<Item = &'a Port>, domain: &str) -> BTreeMap<String, Vec<IpAddr>> {
    let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for port in ports.filter(|port| !port.is_of_the_cloud()) {
        for fixed in &port.fixed_ips {
            let name = format!("{}.{domain}", port.host_name(fixed.address)).to_ascii_lowercase();
            names.entry(name).or_default().push(fixed.address);
        }
    }
    names
}

async fn router_plan(conn: &mut Conn, router: &Router, interfaces: &[Port]) -> Result<net::Router> {
    let mut plan = net::Router {
        id: id(&router.id)?,
        interfaces: Vec::new(),
        gateway: gateway_plan(conn, router).await?,
        routes: router
            .routes
            .iter()
            .map(|route| net::HostRoute { destination: route.destination, next_hop: route.nexthop })
            .collect(),
    };
    for port in interfaces.iter().filter(|port| port.device_id == router.id) {
        for fixed in &port.fixed_ips {
            plan.interfaces.push(net::RouterInterface {
                port_id: id(&port.id)?,
                network_id: id(&port.network_id)?,
                subnet_id: id(&fixed.subnet_id)?,
                address: fixed.address,
                mac: port.mac,
            });
        }
    }
    Ok(plan)
}

/// `None` as well while the gateway has no address: its network had no subnet.
async fn gateway_plan(conn: &mut Conn, router: &Router) -> Result<Option<net::RouterGateway>> {
    let Some(gateway) = &router.gateway else { return Ok(None) };
    let fixed = gateway.fixed_ips.iter().find(|fixed| fixed.address.is_ipv4()).or(gateway.fixed_ips.first());
    let (Some(fixed), Some(port)) = (fixed, port::get(conn, &gateway.port_id).await?) else {
        return Ok(None);
    };
    let Some(subnet) = subnet::get(conn, &fixed.subnet_id).await? else { return Ok(None) };
    Ok(Some(net::RouterGateway {
        port_id: id(&port.id)?,
        network_id: id(&gateway.network_id)?,
        address: fixed.address,
        prefix_len: subnet.cidr.prefix_len(),
        mac: port.mac,
        next_hop: subnet.gateway_ip,
        enable_snat: gateway.enable_snat,
    }))
}

fn port_plan(port: &Port, admin_state_up: bool) -> Result<net::Port> {
    let fixed_ips = port
        .fixed_ips
        .iter()
        .map(|fixed| Ok(net::FixedIp { subnet_id: id(&fixed.subnet_id)?, address: fixed.address }));
    let pairs = port.allowed_address_pairs.iter();
    Ok(net::Port {
        id: id(&port.id)?,
        server_id: id(port.server_id.as_deref().unwrap_or_default())?,
        network_id: id(&port.network_id)?,
        mac: port.mac,
        fixed_ips: fixed_ips.collect::<Result<_>>()?,
        allowed_address_pairs: pairs
            .map(|pair| net::AddressPair { prefix: pair.prefix, mac: pair.mac })
            .collect(),
        port_security_enabled: port.port_security_enabled,
        security_groups: port.security_groups.iter().map(|group| id(group)).collect::<Result<_>>()?,
        admin_state_up,
        hostname: port.first_address().map(|address| port.host_name(address)),
        socket_path: PathBuf::new(),
        socket_role: SocketRole::default(),
        queue_pairs: QUEUE_PAIRS,
    })
}

/// The ports' groups, and those that their rules name: of the latter only who is a member matters.
async fn security_groups(conn: &mut Conn, ports: &[Port]) -> Result<Vec<net::SecurityGroup>> {
    let used: BTreeSet<String> = ports.iter().flat_map(|port| port.security_groups.clone()).collect();
    let mut groups = list_groups(conn, &used).await?;
    let rules = groups.iter().flat_map(|group| &group.rules);
    let named: BTreeSet<String> = rules
        .filter_map(|rule| match &rule.spec.remote {
            RemotePeer::Group(group) if !used.contains(group) => Some(group.clone()),
            RemotePeer::Group(_) | RemotePeer::Any | RemotePeer::Prefix(_) => None,
        })
        .collect();
    for mut group in list_groups(conn, &named).await? {
        group.rules.clear();
        groups.push(group);
    }
    let ids: Vec<String> = groups.iter().map(|group| group.id.clone()).collect();
    let mut members = security_group::members(conn, &ids).await?;
    let plan = |group: SecurityGroup| {
        Ok(net::SecurityGroup {
            id: id(&group.id)?,
            stateful: group.stateful,
            rules: group.rules.iter().map(rule_plan).collect::<Result<_>>()?,
            members: members.remove(&group.id).unwrap_or_default(),
        })
    };
    groups.into_iter().map(plan).collect()
}

async fn list_groups(conn: &mut Conn, ids: &BTreeSet<String>) -> Result<Vec<SecurityGroup>> {
    let filter = SecurityGroupFilter { ids: Some(to_vec(ids)), ..SecurityGroupFilter::default() };
    Ok(security_group::list(conn, &filter).await?)
}

fn rule_plan(rule: &SecurityGroupRule) -> Result<net::SecurityGroupRule> {
    Ok(net::SecurityGroupRule {
        id: id(&rule.id)?,
        direction: match rule.spec.direction {
            Direction::Ingress => net::Direction::Ingress,
            Direction::Egress => net::Direction::Egress,
        },
        ethertype: match rule.spec.ethertype {
            EtherType::Ipv4 => net::EtherType::Ipv4,
            EtherType::Ipv6 => net::EtherType::Ipv6,
        },
        protocol: rule.spec.protocol_number(),
        port_range_min: rule.spec.port_range_min,
        port_range_max: rule.spec.port_range_max,
        remote: match &rule.spec.remote {
            RemotePeer::Any => net::RemotePeer::Any,
            RemotePeer::Prefix(prefix) => net::RemotePeer::Prefix(prefix.trunc()),
            RemotePeer::Group(group) => net::RemotePeer::Group(id(group)?),
        },
    })
}

async fn floating_ips(conn: &mut Conn, ports: &[Port]) -> Result<Vec<net::FloatingIp>> {
    let ids = ports.iter().map(|port| port.id.clone()).collect();
    let filter = FloatingIpFilter { port_ids: Some(ids), ..FloatingIpFilter::default() };
    let mut plans = Vec::new();
    for floating in floating_ip::list(conn, &filter).await? {
        let (Some(port_id), Some(router_id)) = (&floating.port_id, &floating.router_id) else { continue };
        let (IpAddr::V4(address), Some(IpAddr::V4(fixed_address))) =
            (floating.address, floating.fixed_address)
        else {
            continue;
        };
        plans.push(net::FloatingIp {
            id: id(&floating.id)?,
            address,
            router_id: id(router_id)?,
            port_id: id(port_id)?,
            fixed_address,
        });
    }
    Ok(plans)
}
