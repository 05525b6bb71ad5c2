//! Where a guest's packet goes: along its network, through its router, to a responder, or out.

use crate::flow::FlowKey;
use crate::headers::{ICMP, TCP, UDP, dst_port};
use crate::layout::{
    Address, AddressEntry, OWNER_DHCP, OWNER_FLOATING, OWNER_GATEWAY, OWNER_PORT, OWNER_ROUTER, PortEntry,
    ROUTER_GATEWAY, ROUTER_PRESENT, ROUTER_SNAT, ROUTES_PER_ROUTER, RouteEntry, RouterEntry, UPLINK_NETWORK,
    UPLINK_ZONE, ipv4, ipv4_octets,
};
use crate::lookup::{neighbour_mac, owner, owner_of_mac, read};
use crate::policy;
use crate::tables::Tables;
use crate::verdict::{DropReason, Service, Verdict};

/// Where guests ask for metadata.
pub const METADATA: Address = ipv4([169, 254, 169, 254]);

/// ICMP destination unreachable codes (RFC 792).
const NET_UNREACHABLE: u8 = 0;
const HOST_UNREACHABLE: u8 = 1;

/// The way of a connection's first packet.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub dst_mac: u64,
    pub src_mac: u64,
    pub src: Address,
    pub dst: Address,
    /// Port index or [`UPLINK_ZONE`].
    pub destination: u32,
    /// Largest IP packet at the far end, in bytes, when routed.
    pub mtu: u32,
    pub is_routed: bool,
    pub is_masqueraded: bool,
}

const fn dropped<R>(reason: DropReason) -> Result<R, Verdict> {
    Err(Verdict::Drop(reason))
}

const fn unreachable<R>(code: u8) -> Result<R, Verdict> {
    Err(Verdict::Respond(Service::Unreachable { code }))
}

/// Finds the way, or who answers instead.
pub fn way<T: Tables>(
    tables: &T,
    half: u32,
    port: &PortEntry,
    key: &FlowKey,
    eth_dst: u64,
) -> Result<Way, Verdict> {
    let network = port.network.get();
    let Some(receiver) = owner_of_mac(tables, half, network, eth_dst) else {
        return dropped(DropReason::UnknownDestination);
    };
    match receiver.owner.get() {
        OWNER_PORT => switched(tables, half, receiver, key, eth_dst),
        OWNER_ROUTER if key.dst == METADATA => metadata(key),
        OWNER_ROUTER => routed(tables, half, port, receiver.index.get(), key),
        OWNER_DHCP => to_responder(tables, half, network, key),
        _ => dropped(DropReason::UnknownDestination),
    }
}

/// Within one network, to the port with this MAC.
fn switched<T: Tables>(
    tables: &T,
    half: u32,
    receiver: &AddressEntry,
    key: &FlowKey,
    eth_dst: u64,
) -> Result<Way, Verdict> {
    let destination = receiver.index.get();
    let Some(port) = tables.port(half, destination) else { return dropped(DropReason::UnknownDestination) };
    // Otherwise the answer would leave that port from an address which is not its own.
    if destination == key.zone || !policy::may_use(tables, half, port, eth_dst, key.dst) {
        return dropped(DropReason::UnknownDestination);
    }
    Ok(Way {
        dst_mac: eth_dst,
        src_mac: key.mac,
        src: key.src,
        dst: key.dst,
        destination,
        mtu: 0,
        is_routed: false,
        is_masqueraded: false,
    })
}

fn metadata(key: &FlowKey) -> Result<Way, Verdict> {
    if key.protocol == TCP && dst_port(key.ports) == 80 {
        return Err(Verdict::Respond(Service::Metadata));
    }
    dropped(DropReason::NotServed)
}

/// To the MAC of a DHCP responder: it serves DNS, answers pings and is the way to the metadata address.
fn to_responder<T: Tables>(tables: &T, half: u32, network: u32, key: &FlowKey) -> Result<Way, Verdict> {
    if key.dst == METADATA {
        return metadata(key);
    }
    match owner(tables, half, network, key.dst) {
        Some(entry) if entry.owner.get() == OWNER_DHCP => served(key),
        _ => dropped(DropReason::UnknownDestination),
    }
}

/// To the address of a DHCP responder.
fn served(key: &FlowKey) -> Result<Way, Verdict> {
    match (key.protocol, dst_port(key.ports)) {
        (UDP | TCP, 53) => Err(Verdict::Respond(Service::Dns)),
        (ICMP, 0) => Err(Verdict::Respond(Service::Echo)),
        _ => dropped(DropReason::NotServed),
    }
}

/// To an address of a router.
fn pinged(key: &FlowKey) -> Result<Way, Verdict> {
    if key.protocol == ICMP && key.ports >> 16 == 0 {
        return Err(Verdict::Respond(Service::Echo));
    }
    dropped(DropReason::NotServed)
}

fn routed<T: Tables>(
    tables: &T,
    half: u32,
    port: &PortEntry,
    index: u32,
    key: &FlowKey,
) -> Result<Way, Verdict> {
    let Some(router) = tables.router(half, index).filter(|r| r.flags.get() & ROUTER_PRESENT != 0) else {
        return dropped(DropReason::NoRoute);
    };
    let has_gateway = router.flags.get() & ROUTER_GATEWAY != 0;
    if has_gateway && let Some(entry) = owner(tables, half, UPLINK_NETWORK, key.dst) {
        return match entry.owner.get() {
            OWNER_FLOATING => hairpin(tables, half, port, index, router, entry, key),
            OWNER_GATEWAY => pinged(key),
            _ => dropped(DropReason::NotServed),
        };
    }
    match longest_match(tables, half, router, key.dst) {
        Some(route) if route.network.get() == UPLINK_NETWORK => {
            outward(tables, half, port, index, router, key, read(&route.next_hop))
        }
        Some(route) => inward(tables, half, port, route, key),
        None if has_gateway => {
            let on_link = [0, 1].iter().all(|&word: &usize| {
                let (mask, gateway) = (router.gateway_mask[word].get(), router.gateway_address[word].get());
                key.dst[word] & mask == gateway & mask
            });
            let next_hop = if on_link { key.dst } else { read(&router.next_hop) };
            outward(tables, half, port, index, router, key, next_hop)
        }
        None => unreachable(NET_UNREACHABLE),
    }
}

/// Routes lie with the longest prefix first.
fn longest_match<'a, T: Tables>(
    tables: &'a T,
    half: u32,
    router: &RouterEntry,
    dst: Address,
) -> Option<&'a RouteEntry> {
    let count = router.route_count.get().min(ROUTES_PER_ROUTER);
    (0..count).filter_map(|step| tables.route(half, router.route_first.get().wrapping_add(step))).find(
        |route| {
            let [high, low] = dst;
            low & route.mask[1].get() == route.address[1].get()
                && high & route.mask[0].get() == route.address[0].get()
        },
    )
}

/// To another network of the same router.
fn inward<T: Tables>(
    tables: &T,
    half: u32,
    port: &PortEntry,
    route: &RouteEntry,
    key: &FlowKey,
) -> Result<Way, Verdict> {
    let network = route.network.get();
    let via = read(&route.next_hop);
    let next = if via == [0, 0] { key.dst } else { via };
    let Some(entry) = owner(tables, half, network, next) else { return unreachable(HOST_UNREACHABLE) };
    match entry.owner.get() {
        OWNER_PORT => Ok(Way {
            dst_mac: entry.mac.get(),
            src_mac: route.mac.get(),
            src: key.src,
            dst: key.dst,
            destination: entry.index.get(),
            mtu: route.mtu.get(),
            is_routed: true,
            is_masqueraded: false,
        }),
        OWNER_ROUTER if via == [0, 0] => pinged(key),
        OWNER_DHCP if network == port.network.get() => served(key),
        _ => unreachable(HOST_UNREACHABLE),
    }
}

/// The name under which a guest is seen beyond its router: address, and whether ports are translated too.
fn outer_source<T: Tables>(
    tables: &T,
    half: u32,
    port: &PortEntry,
    index: u32,
    router: &RouterEntry,
    key: &FlowKey,
) -> Result<(Address, bool), Verdict> {
    if let Some(own) = owner(tables, half, port.network.get(), key.src) {
        let floating = read(&own.translated);
        if floating != [0, 0] && own.router.get() == index {
            return Ok((floating, false));
        }
    }
    if router.flags.get() & ROUTER_SNAT == 0 {
        return dropped(DropReason::NoRoute);
    }
    Ok((read(&router.gateway_address), true))
}

/// Out on the uplink.
fn outward<T: Tables>(
    tables: &T,
    half: u32,
    port: &PortEntry,
    index: u32,
    router: &RouterEntry,
    key: &FlowKey,
    next_hop: Address,
) -> Result<Way, Verdict> {
    if next_hop == [0, 0] {
        return unreachable(NET_UNREACHABLE);
    }
    let (src, is_masqueraded) = outer_source(tables, half, port, index, router, key)?;
    let Some(dst_mac) = neighbour_mac(tables, next_hop) else {
        let next_hop = ipv4_octets(next_hop);
        return Err(Verdict::Respond(Service::Neighbour { router: index, next_hop }));
    };
    Ok(Way {
        dst_mac,
        src_mac: router.gateway_mac.get(),
        src,
        dst: key.dst,
        destination: UPLINK_ZONE,
        mtu: router.mtu.get(),
        is_routed: true,
        is_masqueraded,
    })
}

/// From a guest of this host to another's floating IP: both translations at once, the uplink is not touched.
fn hairpin<T: Tables>(
    tables: &T,
    half: u32,
    port: &PortEntry,
    index: u32,
    router: &RouterEntry,
    floating: &AddressEntry,
    key: &FlowKey,
) -> Result<Way, Verdict> {
    let (src, is_masqueraded) = outer_source(tables, half, port, index, router, key)?;
    let destination = floating.index.get();
    let Some(receiver) = tables.port(half, destination) else { return dropped(DropReason::PortDown) };
    Ok(Way {
        dst_mac: receiver.mac.get(),
        src_mac: floating.mac.get(),
        src,
        dst: read(&floating.translated),
        destination,
        mtu: receiver.mtu.get(),
        is_routed: true,
        is_masqueraded,
    })
}
