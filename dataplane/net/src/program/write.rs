//! Values into one half of the tables: the one that is not in force.

use std::hash::{BuildHasher, RandomState};

use updraft_flow::layout::{
    ADDRESSES, Address, AddressEntry, FAMILY_IPV4, HASH_PROBES, MEMBERS, MemberEntry, PORTS, PortEntry,
    ROUTERS, RouteEntry, RouterEntry, RuleEntry, SourceEntry,
};
use updraft_flow::lookup::{address_home, member_home};
use updraft_flow::word::Word64;
use updraft_flow::{Tables, View};

use super::TooMany;
use super::compile::{AddressKey, Compiled, OwnerValue, PortValue, Source};
use super::router::{Route, RouterValue};
use super::rules::Rule;

/// Secrets tried before a table counts as too full. Each one fails with small probability below half load.
const SEEDS: u32 = 64;

/// Writes everything; fails before it has written anything when a hash table cannot hold its keys.
pub fn write(view: &View<'_>, half: u32, compiled: &Compiled) -> Result<(), TooMany> {
    let addresses: Vec<(&AddressKey, &OwnerValue)> = compiled.addresses.iter().collect();
    let members: Vec<&(u32, Address)> = compiled.members.iter().collect();
    let (address_seed, address_places) =
        place("addresses", ADDRESSES, &addresses, |seed, ((net, family, key), _)| {
            address_home(seed, *net, *family, *key)
        })?;
    let (member_seed, member_places) =
        place("remote group members", MEMBERS, &members, |seed, (group, key)| {
            member_home(seed, *group, *key)
        })?;

    for index in 0..PORTS {
        view.port(half, index).into_iter().for_each(|entry| entry.flags.set(0));
    }
    for port in &compiled.ports {
        view.port(half, port.index).into_iter().for_each(|entry| write_port(entry, port));
    }
    for (source, index) in compiled.sources.iter().zip(0..) {
        view.source(half, index).into_iter().for_each(|entry| write_source(entry, source));
    }
    for (rule, index) in compiled.rules.iter().zip(0..) {
        view.rule(half, index).into_iter().for_each(|entry| write_rule(entry, rule));
    }
    for index in 0..ROUTERS {
        let router = compiled.routers.get(index as usize).copied().unwrap_or_default();
        view.router(half, index).into_iter().for_each(|entry| write_router(entry, &router));
    }
    for (route, index) in compiled.routes.iter().zip(0..) {
        view.route(half, index).into_iter().for_each(|entry| write_route(entry, route));
    }
    for (index, item) in (0..ADDRESSES).zip(&address_places) {
        let value = item.and_then(|item| addresses.get(item)).copied();
        view.address(half, index).into_iter().for_each(|entry| write_owner(entry, value));
    }
    for (index, item) in (0..MEMBERS).zip(&member_places) {
        let value = item.and_then(|item| members.get(item)).copied();
        view.member(half, index).into_iter().for_each(|entry| write_member(entry, value));
    }
    let half = (half & 1) as usize;
    view.config.address_seed[half].set(address_seed);
    view.config.member_seed[half].set(member_seed);
    Ok(())
}

/// A place near its home for every item, and the seed that makes it so.
fn place<T>(
    what: &'static str,
    size: u32,
    items: &[T],
    home: impl Fn(u64, &T) -> u32,
) -> Result<(u64, Vec<Option<usize>>), TooMany> {
    let random = RandomState::new();
    for attempt in 0..SEEDS {
        let seed = random.hash_one(attempt);
        let mut places = vec![None; size as usize];
        let all = items.iter().enumerate().all(|(number, item)| {
            let first = home(seed, item);
            let mut near = (0..HASH_PROBES).map(|step| ((first + step) & (size - 1)) as usize);
            let free = near.find(|&index| places.get(index).is_some_and(Option::is_none));
            free.is_some_and(|index| {
                places[index] = Some(number);
                true
            })
        });
        if all {
            return Ok((seed, places));
        }
    }
    Err(TooMany { what, count: items.len(), limit: size as usize / 2, of: None })
}

fn set(words: &[Word64; 2], address: Address) {
    words[0].set(address[0]);
    words[1].set(address[1]);
}

fn write_port(entry: &PortEntry, port: &PortValue) {
    let (high, low) = port.id.0.as_u64_pair();
    set(&entry.id, [high, low]);
    entry.mac.set(port.mac);
    entry.network.set(port.network);
    entry.source_first.set(port.sources.0);
    entry.source_count.set(port.sources.1);
    entry.egress_first.set(port.egress.0);
    entry.egress_count.set(port.egress.1);
    entry.ingress_first.set(port.ingress.0);
    entry.ingress_count.set(port.ingress.1);
    entry.flow_quota.set(port.flow_quota);
    entry.mtu.set(port.mtu);
    entry.flags.set(port.flags);
}

fn write_source(entry: &SourceEntry, source: &Source) {
    set(&entry.address, source.address);
    set(&entry.mask, source.mask);
    entry.mac.set(source.mac);
}

fn write_rule(entry: &RuleEntry, rule: &Rule) {
    entry.protocol.set(rule.protocol);
    entry.low.set(rule.low);
    entry.high.set(rule.high);
    entry.family.set(FAMILY_IPV4);
    entry.group.set(rule.group);
    set(&entry.remote, rule.remote);
    set(&entry.mask, rule.mask);
}

fn write_router(entry: &RouterEntry, router: &RouterValue) {
    entry.flags.set(router.flags);
    entry.route_first.set(router.route_first);
    entry.route_count.set(router.route_count);
    entry.mtu.set(router.mtu);
    entry.gateway_mac.set(router.gateway_mac);
    set(&entry.gateway_address, router.gateway_address);
    set(&entry.gateway_mask, router.gateway_mask);
    set(&entry.next_hop, router.next_hop);
}

fn write_route(entry: &RouteEntry, route: &Route) {
    set(&entry.address, route.address);
    set(&entry.mask, route.mask);
    set(&entry.next_hop, route.next_hop);
    entry.mac.set(route.mac);
    entry.network.set(route.network);
    entry.mtu.set(route.mtu);
}

fn write_owner(entry: &AddressEntry, value: Option<(&AddressKey, &OwnerValue)>) {
    let Some(((network, family, address), owner)) = value else {
        entry.owner.set(0);
        return;
    };
    entry.network.set(*network);
    entry.family.set(*family);
    entry.index.set(owner.index);
    set(&entry.address, *address);
    entry.mac.set(owner.mac);
    set(&entry.translated, owner.translated);
    entry.router.set(owner.router);
    entry.owner.set(owner.owner);
}

fn write_member(entry: &MemberEntry, value: Option<&(u32, Address)>) {
    let Some((group, address)) = value else {
        entry.group.set(0);
        return;
    };
    entry.family.set(FAMILY_IPV4);
    set(&entry.address, *address);
    entry.group.set(*group);
}
