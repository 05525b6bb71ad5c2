//! `GET /host/v1/plan`: everything that should be on one host, made from the rows at the time of asking.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use updraft_base::HostId;
use updraft_compute_api::metadata::{NicAddress, NicMetadata, ServerMetadata};
use updraft_compute_api::plan::{HostPlan, ImageFormat, ImageSource, Power, PowerPlan, RootDisk, ServerPlan};
use updraft_dataplane_api::net::{NetConfig, Port};
use updraft_model::compute::{DEFAULT_AVAILABILITY_ZONE, Server};
use updraft_store::Conn;
use updraft_store::compute::{host, server, server::ServerFilter};
use updraft_store::network::security_group::{self, SecurityGroupFilter};

use crate::network::server_port;
use crate::{Core, Error, Result, Topic};

/// How often a waiting pull looks at the generation without having been nudged.
const POLL: Duration = Duration::from_secs(1);

/// The host's plan as it is now.
pub async fn plan(core: &Core, host_id: &str) -> Result<HostPlan> {
    build(&mut core.read().await?, host_id).await
}

/// The host's plan as soon as its generation is not `known`; `None` when that did not happen within `wait`.
pub async fn wait_for_plan(
    core: &Core,
    host_id: &str,
    known: u64,
    wait: Duration,
) -> Result<Option<HostPlan>> {
    let until = tokio::time::Instant::now() + wait;
    let mut nudges = core.nudge.listen(Topic::HostPlan);
    loop {
        let generation = host::plan_generation(&mut core.read().await?, host_id).await?;
        if generation.is_some_and(|generation| generation != known) {
            return plan(core, host_id).await.map(Some);
        }
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        nudges.wait(left.min(POLL)).await;
    }
}

/// Whether a server in the host's plan is made from the image.
pub async fn has_image(core: &Core, host_id: &str, image_id: &str) -> Result<bool> {
    let filter = ServerFilter {
        host_id: Some(host_id.to_owned()),
        image_id: Some(image_id.to_owned()),
        planned: Some(true),
        ..ServerFilter::default()
    };
    Ok(!server::list(&mut core.read().await?, &filter).await?.is_empty())
}

/// The generation is read first: a change in between makes the content newer than its number, and the host pulls
/// again; the other way round it would never learn of the change.
async fn build(conn: &mut Conn, host_id: &str) -> Result<HostPlan> {
    let generation = host::plan_generation(conn, host_id).await?;
    let generation =
        generation.ok_or_else(|| Error::not_found("HostNotFound", "This host has never reported."))?;
    let network = crate::network::plan::of_host(conn, host_id, generation).await?;
    let filter =
        ServerFilter { host_id: Some(host_id.to_owned()), planned: Some(true), ..ServerFilter::default() };
    let mut servers = Vec::new();
    for server in server::list(conn, &filter).await? {
        servers.push(server_plan(conn, &server, &network).await?);
    }
    let host_id: HostId = host_id.parse().map_err(Error::internal)?;
    Ok(HostPlan { host_id, generation, servers, network })
}

async fn server_plan(conn: &mut Conn, server: &Server, network: &NetConfig) -> Result<ServerPlan> {
    let disk = &server.spec.root_disk;
    let ports = ports_in_order(conn, server, network).await?;
    let nics: Vec<NicMetadata> = ports.iter().map(|port| nic(port, network)).collect();
    Ok(ServerPlan {
        id: server.id.parse().map_err(Error::internal)?,
        power: PowerPlan {
            desired: if server.power.on { Power::On } else { Power::Off },
            epoch: server.power.epoch,
            soft_reboot_epoch: server.power.soft_reboot_epoch,
        },
        vcpus: server.spec.flavor.vcpus,
        memory_mib: server.spec.flavor.memory_mib,
        root_disk: RootDisk {
            id: disk.disk_id.parse().map_err(Error::internal)?,
            image: ImageSource {
                id: disk.image_id.parse().map_err(Error::internal)?,
                format: if disk.image_format == "qcow2" { ImageFormat::Qcow2 } else { ImageFormat::Raw },
                size_bytes: disk.image_bytes,
                sha512: disk.image_sha512.clone(),
            },
            size_bytes: disk.size_bytes,
        },
        port_ids: ports.iter().map(|port| port.id).collect(),
        config_drive: server.spec.config_drive,
        metadata: metadata(server, group_names(conn, server).await?, nics),
    })
}

/// The server's ports of this host, in the order in which the tenant named them.
async fn ports_in_order(conn: &mut Conn, server: &Server, network: &NetConfig) -> Result<Vec<Port>> {
    let rows = server_port::of_server(conn, &server.id).await?;
    let planned = |id: &str| network.ports.iter().find(|port| port.id.to_string() == id).cloned();
    Ok(rows.iter().filter_map(|row| planned(&row.id)).collect())
}

/// Names of the security groups of all the server's ports, in order, each once.
async fn group_names(conn: &mut Conn, server: &Server) -> Result<Vec<String>> {
    let ports = server_port::of_server(conn, &server.id).await?;
    let ids = ports.into_iter().flat_map(|port| port.security_groups).collect();
    let filter = SecurityGroupFilter { ids: Some(ids), ..SecurityGroupFilter::default() };
    let groups = security_group::list(conn, &filter).await?;
    let names: BTreeSet<String> = groups.into_iter().map(|group| group.name).collect();
    Ok(names.into_iter().collect())
}

fn metadata(server: &Server, groups: Vec<String>, nics: Vec<NicMetadata>) -> ServerMetadata {
    let spec = &server.spec;
    let key = spec.key_name.clone().zip(spec.public_key.clone());
    let zone = spec.availability_zone.clone().unwrap_or_else(|| DEFAULT_AVAILABILITY_ZONE.to_owned());
    ServerMetadata {
        name: server.name.clone(),
        hostname: spec.hostname.clone(),
        project_id: server.project_id.clone(),
        availability_zone: zone,
        meta: spec.metadata.clone(),
        public_keys: key.into_iter().collect(),
        user_data: spec.user_data.clone(),
        admin_password: spec.admin_password.clone(),
        flavor_name: spec.flavor.name.clone(),
        security_group_names: groups,
        nics,
    }
}

fn nic(port: &Port, network: &NetConfig) -> NicMetadata {
    let own = network.networks.iter().find(|network| network.id == port.network_id);
    let floating: BTreeMap<IpAddr, String> = network
        .floating_ips
        .iter()
        .filter(|floating| floating.port_id == port.id)
        .map(|floating| (IpAddr::V4(floating.fixed_address), floating.address.to_string()))
        .collect();
    let address = |fixed: &updraft_dataplane_api::net::FixedIp| {
        let subnet = own?.subnets.iter().find(|subnet| subnet.id == fixed.subnet_id)?;
        let dns = subnet.dhcp.as_ref().map(|dhcp| {
            let own = std::slice::from_ref(&dhcp.server_address);
            if dhcp.dns_servers.is_empty() { own } else { dhcp.dns_servers.as_slice() }
        });
        Some(NicAddress {
            address: fixed.address.to_string(),
            netmask: netmask(&subnet.cidr),
            gateway: subnet.gateway.map(|gateway| gateway.to_string()),
            dns_servers: dns.unwrap_or_default().iter().map(IpAddr::to_string).collect(),
            floating_address: floating.get(&fixed.address).cloned(),
        })
    };
    NicMetadata {
        port_id: port.id,
        network_id: port.network_id.to_string(),
        mac: port.mac,
        mtu: own.map_or(0, |network| network.mtu),
        addresses: port.fixed_ips.iter().filter_map(address).collect(),
    }
}

fn netmask(cidr: &IpNet) -> String {
    match cidr {
        IpNet::V4(cidr) => cidr.netmask().to_string(),
        IpNet::V6(cidr) => cidr.prefix_len().to_string(),
    }
}
