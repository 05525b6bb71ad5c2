//! Packets from the uplink: to floating IPs, and answers to what guests sent.

use crate::flow::{
    Action, FlowKey, Found, INITIATOR, MAC, MASQUERADED, Pair, ROUTED, cut, find, follow, note_tcp, open,
    reply_key, ticks,
};
use crate::guest;
use crate::headers::{
    ACK, ARP_TARGET, ETH_DST, IP_DST, Ipv4, SYN, TYPE_ARP, TYPE_IPV4, Transport, parse, swap_ports,
};
use crate::icmp;
use crate::layout::{Address, OWNER_FLOATING, UPLINK_NETWORK, UPLINK_ZONE, ipv4};
use crate::lookup::{owner, read};
use crate::packet::Packet;
use crate::policy::{self, Answer, Subject};
use crate::recheck;
use crate::tables::Tables;
use crate::verdict::{DropReason, Event, Service, Verdict};

/// Decides about a frame from the uplink, and rewrites its head.
///
/// `now_ns` as in [`crate::from_guest`]. Never returns [`Verdict::Uplink`]; [`Verdict::Defer`] only where
/// `T::COMPLETE` is false. The frame is rewritten for [`Verdict::Port`], else untouched. Counts itself.
#[inline(always)]
pub fn from_uplink<T: Tables, P: Packet>(tables: &T, packet: &mut P, now_ns: u64) -> Verdict {
    tables.count(Event::UplinkRx);
    let verdict = decide(tables, packet, ticks(now_ns));
    match verdict {
        Verdict::Port(_) | Verdict::Uplink => tables.count(Event::ToGuest),
        Verdict::Pass => tables.count(Event::Passed),
        Verdict::Respond(Service::Arp) => tables.count(Event::Arp),
        Verdict::Respond(_) => tables.count(Event::Responded),
        Verdict::Defer => tables.count(Event::Deferred),
        Verdict::Drop(reason) => {
            tables.count(Event::UplinkDropped);
            tables.count_drop(reason);
        }
    }
    verdict
}

#[inline(always)]
fn decide<T: Tables, P: Packet>(tables: &T, packet: &mut P, now: u32) -> Verdict {
    let Some(eth) = packet.load::<14>(ETH_DST) else { return Verdict::Drop(DropReason::Truncated) };
    let [multicast, _, _, _, _, _, a, b, c, d, e, f, kind @ ..] = eth;
    if kind == TYPE_ARP {
        return arp(tables, packet);
    }
    if kind != TYPE_IPV4 || multicast & 1 != 0 {
        return Verdict::Pass;
    }
    let ip = match parse(packet) {
        Ok(ip) => ip,
        Err(reason) => return refuse_if_ours(tables, packet, reason),
    };
    let Some(config) = tables.config() else { return Verdict::Pass };
    let generation = config.generation.acquire();
    if ip.transport == Transport::IcmpError {
        return icmp_error(tables, packet, &ip, generation);
    }
    let arrival = Arrival {
        key: FlowKey::of(&ip, UPLINK_ZONE, 0),
        neighbour: u64::from_le_bytes([a, b, c, d, e, f, 0, 0]),
        ip,
        generation,
        now,
    };
    let found = find(tables, &arrival.key);
    if let Some(found) = found
        && found.slot.generation.get() == generation
    {
        return pursue(tables, &found, packet, &arrival);
    }
    miss(tables, packet, found, &arrival)
}

/// A parsed packet and its circumstances.
struct Arrival {
    key: FlowKey,
    ip: Ipv4,
    /// Source MAC of the frame.
    neighbour: u64,
    generation: u32,
    now: u32,
}

/// ARP is ours when it asks for, or answers to, one of our addresses.
#[inline(always)]
fn arp<T: Tables, P: Packet>(tables: &T, packet: &P) -> Verdict {
    let half = tables.config().map_or(0, |config| config.generation.acquire());
    match packet.load::<4>(ARP_TARGET) {
        Some(target) if owner(tables, half, UPLINK_NETWORK, ipv4(target)).is_some() => {
            Verdict::Respond(Service::Arp)
        }
        _ => Verdict::Pass,
    }
}

/// An ICMP error for one of our addresses: the packet that it quotes tells whose it is.
#[inline(always)]
fn icmp_error<T: Tables, P: Packet>(tables: &T, packet: &mut P, ip: &Ipv4, generation: u32) -> Verdict {
    if owner(tables, generation, UPLINK_NETWORK, [0, u64::from(ip.dst)]).is_none() {
        return Verdict::Pass;
    }
    if T::COMPLETE { icmp::relay(tables, packet, ip, UPLINK_ZONE, 0, generation) } else { Verdict::Defer }
}

/// A packet that cannot be parsed is dropped when it is for us; others' are none of our business.
#[inline(always)]
fn refuse_if_ours<T: Tables, P: Packet>(tables: &T, packet: &P, reason: DropReason) -> Verdict {
    let half = tables.config().map_or(0, |config| config.generation.acquire());
    match packet.load::<4>(IP_DST) {
        Some(dst) if owner(tables, half, UPLINK_NETWORK, ipv4(dst)).is_some() => Verdict::Drop(reason),
        _ => Verdict::Pass,
    }
}

/// The packet belongs to a live flow of the present generation.
#[inline(always)]
fn pursue<T: Tables, P: Packet>(tables: &T, found: &Found<'_>, packet: &mut P, arrival: &Arrival) -> Verdict {
    if let Transport::Tcp(flags) = arrival.ip.transport
        && !note_tcp(tables, found, flags)
    {
        return Verdict::Drop(DropReason::TcpFlags);
    }
    let masqueraded = found.slot.dst_mac.get() & MASQUERADED != 0;
    match follow(found, packet, &arrival.ip, arrival.now) {
        Some(verdict) => {
            tables.count(if masqueraded { Event::Snat } else { Event::FloatingIp });
            verdict
        }
        // Freed while being read: the sender will repeat it.
        None => Verdict::Drop(DropReason::NotSyn),
    }
}

/// No flow, or one of an older generation.
#[inline(always)]
fn miss<T: Tables, P: Packet>(
    tables: &T,
    packet: &mut P,
    stale: Option<Found<'_>>,
    arrival: &Arrival,
) -> Verdict {
    if let Some(stale) = &stale
        && stale.slot.dst_mac.get() & INITIATOR == 0
    {
        // A guest opened it: only the whole engine can check that again.
        if !T::COMPLETE {
            return Verdict::Defer;
        }
        return match recheck::reply(tables, stale, arrival.generation) {
            Ok(()) => pursue(tables, stale, packet, arrival),
            Err(verdict) => verdict,
        };
    }
    let resolved = match resolve(tables, &arrival.key, arrival.neighbour, arrival.generation) {
        Ok(resolved) => resolved,
        Err(verdict) => return refuse(tables, stale, arrival, verdict),
    };
    if let Some(stale) = &stale
        && recheck::renew(tables, stale, &resolved.pair, arrival.generation)
    {
        return pursue(tables, stale, packet, arrival);
    }
    match arrival.ip.transport {
        Transport::EchoReply => return Verdict::Drop(DropReason::UnrelatedError),
        Transport::Tcp(flags) if flags & (SYN | ACK) != SYN => return Verdict::Drop(DropReason::NotSyn),
        _ => {}
    }
    match open(tables, &resolved.pair, resolved.quota, arrival.generation, arrival.now) {
        Ok(found) => pursue(tables, &found, packet, arrival),
        Err(reason) => Verdict::Drop(reason),
    }
}

/// The policy does not open a flow for this packet; a stale one ends.
#[inline(always)]
fn refuse<T: Tables>(tables: &T, stale: Option<Found<'_>>, arrival: &Arrival, verdict: Verdict) -> Verdict {
    if let Some(stale) = &stale
        && verdict != Verdict::Defer
    {
        cut(tables, stale);
        tables.count(Event::FlowCut);
    }
    match (verdict, arrival.ip.transport) {
        (Verdict::Drop(DropReason::NotServed), Transport::EchoRequest) => Verdict::Respond(Service::Echo),
        _ => verdict,
    }
}

/// A connection that the policy allows, not yet opened.
pub struct Resolved {
    pub pair: Pair,
    /// Flow slots that its owner may hold.
    pub quota: u32,
}

/// What becomes of a connection opened from the uplink.
#[inline(always)]
pub fn resolve<T: Tables>(tables: &T, key: &FlowKey, neighbour: u64, half: u32) -> Result<Resolved, Verdict> {
    let Some(entry) = owner(tables, half, UPLINK_NETWORK, key.dst) else { return Err(Verdict::Pass) };
    if entry.owner.get() != OWNER_FLOATING {
        return Err(Verdict::Drop(DropReason::NotServed));
    }
    let index = entry.index.get();
    let Some(port) = tables.port(half, index) else { return Err(Verdict::Drop(DropReason::PortDown)) };
    let Some(router) = tables.router(half, entry.router.get()) else {
        return Err(Verdict::Drop(DropReason::NoRoute));
    };
    if !policy::is_up(port) {
        return Err(Verdict::Drop(DropReason::PortDown));
    }
    let subject = Subject {
        protocol: key.protocol,
        selector: policy::selector(key.protocol, key.ports),
        remote: key.src,
    };
    match policy::ingress(tables, half, port, &subject) {
        Answer::Allowed => {}
        Answer::Denied => return Err(Verdict::Drop(DropReason::PolicyIngress)),
        Answer::TooMany => return Err(guest::too_many::<T>()),
    }
    let fixed: Address = read(&entry.translated);
    let action = Action {
        dst_mac: port.mac.get() | INITIATOR | ROUTED,
        src_mac: entry.mac.get() | u64::from(port.mtu.get()) << 48,
        src: key.src,
        dst: fixed,
        ports: key.ports,
        destination: index,
        deltas: 0,
    };
    let action = action.completed(key);
    let reply_key = reply_key(&action, key.protocol);
    let reply_action = Action {
        dst_mac: (neighbour & MAC) | ROUTED,
        src_mac: router.gateway_mac.get() | u64::from(router.mtu.get()) << 48,
        src: key.dst,
        dst: key.src,
        ports: swap_ports(key.ports),
        destination: UPLINK_ZONE,
        deltas: 0,
    };
    let reply_action = reply_action.completed(&reply_key);
    Ok(Resolved { pair: Pair { key: *key, action, reply_key, reply_action }, quota: port.flow_quota.get() })
}
