//! Packets from guests: to each other, to the responders, and out.

use crate::flow::{
    Action, FlowKey, Found, INITIATOR, MASQUERADED, Pair, ROUTED, cut, find, follow, is_closed, is_noted,
    note_tcp, open, pass, peer_of, reply_key, ticks,
};
use crate::headers::{
    ACK, ARP_OPERATION, ARP_SENDER, ARP_SENDER_MAC, ETH_DST, Ipv4, SYN, TYPE_ARP, TYPE_IPV4, TYPE_IPV6,
    Transport, UDP, dst_port, parse, src_port, swap_ports,
};
use crate::icmp;
use crate::layout::{PortEntry, UPLINK_ZONE, ipv4};
use crate::packet::Packet;
use crate::policy::{self, Answer, Subject};
use crate::recheck;
use crate::route::{self, Way};
use crate::snat;
use crate::tables::Tables;
use crate::uplink::Resolved;
use crate::verdict::{DropReason, Event, PortIndex, Service, Verdict};

/// Decides about a frame that the guest on `port` sent, and rewrites its head.
///
/// `now_ns` is CLOCK_MONOTONIC (its coarse variant will do) in nanoseconds, as in the kernel.
/// On [`Verdict::Respond`] the frame is untouched. Counts drops and flows itself.
#[inline]
pub fn from_guest<T: Tables, P: Packet>(tables: &T, port: PortIndex, packet: &mut P, now_ns: u64) -> Verdict {
    let now = ticks(now_ns);
    match established(tables, port.0, packet, now) {
        Some(destination) => Verdict::to(destination),
        None => judge(tables, port.0, packet, now),
    }
}

/// Where a packet goes that belongs to a live flow of the present generation and changes nothing about it but when it was
/// last seen: nearly every packet. `None` for any other, which is left as it was.
#[inline(always)]
fn established<T: Tables, P: Packet>(tables: &T, zone: u32, packet: &mut P, now: u32) -> Option<u32> {
    let [_, _, _, _, _, _, a, b, c, d, e, f, kind @ ..] = packet.load::<14>(ETH_DST)?;
    if kind != TYPE_IPV4 {
        return None;
    }
    let ip = parse(packet).ok()?;
    let key = FlowKey::of(&ip, zone, u64::from_le_bytes([a, b, c, d, e, f, 0, 0]));
    let generation = tables.config()?.generation.acquire();
    let found = find(tables, &key).filter(|found| found.slot.generation.get() == generation)?;
    match ip.transport {
        Transport::Tcp(flags) if !is_noted(&found, flags) => None,
        Transport::IcmpError => None,
        _ => pass(&found, packet, &ip, now),
    }
}

/// The whole decision.
#[inline(never)]
fn judge<T: Tables, P: Packet>(tables: &T, zone: u32, packet: &mut P, now: u32) -> Verdict {
    let verdict = decide(tables, zone, packet, now).unwrap_or_else(|verdict| verdict);
    if let Verdict::Drop(reason) = verdict {
        tables.count_drop(reason);
    }
    verdict
}

/// A parsed packet and its circumstances.
struct Departure {
    key: FlowKey,
    ip: Ipv4,
    /// Destination MAC of the frame.
    eth_dst: u64,
    generation: u32,
    now: u32,
}

const fn dropped<R>(reason: DropReason) -> Result<R, Verdict> {
    Err(Verdict::Drop(reason))
}

/// What the rules' third answer means here.
#[inline(always)]
pub const fn too_many<T: Tables>() -> Verdict {
    if T::COMPLETE { Verdict::Drop(DropReason::RuleLimit) } else { Verdict::Defer }
}

fn decide<T: Tables, P: Packet>(tables: &T, zone: u32, packet: &mut P, now: u32) -> Result<Verdict, Verdict> {
    let Some(eth) = packet.load::<14>(ETH_DST) else { return dropped(DropReason::Truncated) };
    let [g, h, i, j, k, l, a, b, c, d, e, f, kind @ ..] = eth;
    let eth_src = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    let Some(config) = tables.config() else { return dropped(DropReason::PortDown) };
    let generation = config.generation.acquire();
    if kind != TYPE_IPV4 {
        return match kind {
            TYPE_ARP => arp(tables, zone, generation, packet, eth_src),
            TYPE_IPV6 => dropped(DropReason::Ipv6),
            _ => dropped(DropReason::EtherType),
        };
    }
    let ip = parse(packet).map_err(Verdict::Drop)?;
    let departure = Departure {
        key: FlowKey::of(&ip, zone, eth_src),
        ip,
        eth_dst: u64::from_le_bytes([g, h, i, j, k, l, 0, 0]),
        generation,
        now,
    };
    if ip.transport == Transport::IcmpError {
        return icmp_error(tables, packet, &departure);
    }
    if let Some(found) = find(tables, &departure.key) {
        if found.slot.generation.get() == generation {
            return pursue(tables, &found, packet, &departure);
        }
        return stale(tables, &found, packet, &departure);
    }
    start(tables, packet, &departure)
}

/// The packet belongs to a live flow of the present generation.
fn pursue<T: Tables, P: Packet>(
    tables: &T,
    found: &Found<'_>,
    packet: &mut P,
    departure: &Departure,
) -> Result<Verdict, Verdict> {
    if let Transport::Tcp(flags) = departure.ip.transport
        && !note_tcp(tables, found, flags)
    {
        return reopen(tables, found, packet, departure);
    }
    match follow(found, packet, &departure.ip, departure.now) {
        Some(verdict) => Ok(verdict),
        None => dropped(DropReason::NotSyn),
    }
}

/// The answering side opens a connection with the same ports: new when the old one has ended.
#[cold]
fn reopen<T: Tables, P: Packet>(
    tables: &T,
    found: &Found<'_>,
    packet: &mut P,
    departure: &Departure,
) -> Result<Verdict, Verdict> {
    let peer_seen = peer_of(tables, found).map_or(0, |peer| peer.slot.seen.get());
    if !is_closed(found.slot.seen.get(), peer_seen) {
        return dropped(DropReason::TcpFlags);
    }
    cut(tables, found);
    start(tables, packet, departure)
}

/// A flow of an older generation.
#[cold]
fn stale<T: Tables, P: Packet>(
    tables: &T,
    found: &Found<'_>,
    packet: &mut P,
    departure: &Departure,
) -> Result<Verdict, Verdict> {
    if found.slot.dst_mac.get() & INITIATOR == 0 {
        recheck::reply(tables, found, departure.generation)?;
        return pursue(tables, found, packet, departure);
    }
    match resolve(tables, &departure.key, departure.eth_dst, departure.generation) {
        Ok(resolved) if recheck::renew(tables, found, &resolved.pair, departure.generation) => {
            pursue(tables, found, packet, departure)
        }
        Ok(_) => start(tables, packet, departure),
        // The way out is being asked for; the flow waits for it.
        Err(verdict @ Verdict::Respond(Service::Neighbour { .. })) => Err(verdict),
        Err(verdict) => {
            cut(tables, found);
            tables.count(Event::FlowCut);
            Err(verdict)
        }
    }
}

/// No flow yet.
#[cold]
fn start<T: Tables, P: Packet>(
    tables: &T,
    packet: &mut P,
    departure: &Departure,
) -> Result<Verdict, Verdict> {
    let resolved = resolve(tables, &departure.key, departure.eth_dst, departure.generation)?;
    match departure.ip.transport {
        Transport::Tcp(flags) if flags & (SYN | ACK) != SYN => return dropped(DropReason::NotSyn),
        Transport::EchoReply => return dropped(DropReason::UnrelatedError),
        _ => {}
    }
    let (generation, now) = (departure.generation, departure.now);
    let opened = if resolved.pair.action.dst_mac & MASQUERADED == 0 {
        open(tables, &resolved.pair, resolved.quota, generation, now)
    } else {
        snat::open(tables, &resolved.pair, resolved.quota, generation, now)
    };
    let found = opened.map_err(Verdict::Drop)?;
    pursue(tables, &found, packet, departure)
}

/// The guest reports an error about something it received.
#[cold]
fn icmp_error<T: Tables, P: Packet>(
    tables: &T,
    packet: &mut P,
    departure: &Departure,
) -> Result<Verdict, Verdict> {
    let Departure { key, ip, generation, .. } = departure;
    Ok(icmp::relay(tables, packet, ip, key.zone, key.mac, *generation))
}

/// ARP that claims nothing but the port's own addresses is answered inside; none is passed on.
#[cold]
fn arp<T: Tables, P: Packet>(
    tables: &T,
    zone: u32,
    half: u32,
    packet: &P,
    eth_src: u64,
) -> Result<Verdict, Verdict> {
    let Some(port) = tables.port(half, zone).filter(|port| policy::is_up(port)) else {
        return dropped(DropReason::PortDown);
    };
    let (Some(mac), Some(sender), Some(operation)) =
        (packet.load::<6>(ARP_SENDER_MAC), packet.load::<4>(ARP_SENDER), packet.load::<2>(ARP_OPERATION))
    else {
        return dropped(DropReason::Truncated);
    };
    let sender_mac = crate::layout::mac_word(mac);
    // A probe for a free address (RFC 5227) has no sender address yet.
    let probe = sender == [0; 4] && operation == [0, 1];
    let honest = sender_mac == eth_src
        && if probe {
            policy::may_use_mac(tables, half, port, sender_mac)
        } else {
            policy::may_use(tables, half, port, sender_mac, ipv4(sender))
        };
    if honest { Ok(Verdict::Respond(Service::Arp)) } else { dropped(DropReason::ArpSpoof) }
}

/// What becomes of a connection that a guest opens by sending to the MAC `eth_dst`.
pub fn resolve<T: Tables>(tables: &T, key: &FlowKey, eth_dst: u64, half: u32) -> Result<Resolved, Verdict> {
    let Some(port) = tables.port(half, key.zone).filter(|port| policy::is_up(port)) else {
        return dropped(DropReason::PortDown);
    };
    if is_dhcp(tables, half, port, key)? {
        return Err(Verdict::Respond(Service::Dhcp));
    }
    if !policy::may_use(tables, half, port, key.mac, key.src) {
        let mac_is_known = policy::may_use_mac(tables, half, port, key.mac);
        return dropped(if mac_is_known { DropReason::SourceAddress } else { DropReason::SourceMac });
    }
    let [first, second, third, fourth] = (key.dst[1] as u32).to_ne_bytes();
    if eth_dst & 1 != 0 || first >= 224 || [first, second, third, fourth] == [0; 4] {
        return dropped(DropReason::Multicast);
    }
    let selector = policy::selector(key.protocol, key.ports);
    let subject = Subject { protocol: key.protocol, selector, remote: key.dst };
    match policy::egress(tables, half, port, &subject) {
        Answer::Allowed => {}
        Answer::Denied => return dropped(DropReason::PolicyEgress),
        Answer::TooMany => return Err(too_many::<T>()),
    }
    let way = route::way(tables, half, port, key, eth_dst)?;
    if way.destination != UPLINK_ZONE {
        receivable(tables, half, &way, key)?;
    }
    Ok(Resolved { pair: pair(port, key, eth_dst, &way), quota: port.flow_quota.get() })
}

/// True for a message of the guest's DHCP client; an error for one of a server.
fn is_dhcp<T: Tables>(tables: &T, half: u32, port: &PortEntry, key: &FlowKey) -> Result<bool, Verdict> {
    if key.protocol != UDP {
        return Ok(false);
    }
    let secured = port.flags.get() & crate::layout::PORT_SECURED != 0;
    match (src_port(key.ports), dst_port(key.ports)) {
        (67, _) if secured => dropped(DropReason::DhcpServer),
        (68, 67) if !policy::may_use_mac(tables, half, port, key.mac) => dropped(DropReason::SourceMac),
        (68, 67) if key.src != [0, 0] && !policy::may_use(tables, half, port, key.mac, key.src) => {
            dropped(DropReason::SourceAddress)
        }
        (68, 67) => Ok(true),
        _ => Ok(false),
    }
}

/// Does the guest at the other end accept it?
fn receivable<T: Tables>(tables: &T, half: u32, way: &Way, key: &FlowKey) -> Result<(), Verdict> {
    let Some(receiver) = tables.port(half, way.destination).filter(|port| policy::is_up(port)) else {
        return dropped(DropReason::PortDown);
    };
    let selector = policy::selector(key.protocol, key.ports);
    let subject = Subject { protocol: key.protocol, selector, remote: way.src };
    match policy::ingress(tables, half, receiver, &subject) {
        Answer::Allowed => Ok(()),
        Answer::Denied => dropped(DropReason::PolicyIngress),
        Answer::TooMany => Err(too_many::<T>()),
    }
}

/// Both directions of a connection along `way`.
fn pair(port: &PortEntry, key: &FlowKey, eth_dst: u64, way: &Way) -> Pair {
    let routed = if way.is_routed { ROUTED } else { 0 };
    let masqueraded = if way.is_masqueraded { MASQUERADED } else { 0 };
    let mtu = |bytes: u32| if way.is_routed { u64::from(bytes) << 48 } else { 0 };
    let action = Action {
        dst_mac: way.dst_mac | INITIATOR | routed | masqueraded,
        src_mac: way.src_mac | mtu(way.mtu),
        src: way.src,
        dst: way.dst,
        ports: key.ports,
        destination: way.destination,
        deltas: 0,
    };
    let action = action.completed(key);
    let reply_key = reply_key(&action, key.protocol);
    let reply_action = Action {
        dst_mac: key.mac | routed | masqueraded,
        src_mac: eth_dst | mtu(port.mtu.get()),
        src: key.dst,
        dst: key.src,
        ports: swap_ports(key.ports),
        destination: key.zone,
        deltas: 0,
    };
    Pair { key: *key, action, reply_key, reply_action: reply_action.completed(&reply_key) }
}
