//! The hash tables that netd fills and both homes read: owners of addresses, group members, next hops.

use crate::layout::{
    ADDRESSES, Address, AddressEntry, FAMILY_IPV4, FAMILY_MAC, HASH_PROBES, MEMBERS, NEIGHBOUR_READY,
    NEIGHBOURS, NeighbourEntry,
};
use crate::tables::Tables;
use crate::word::Word64;

/// One round of hashing: keyed by whatever `state` started from.
#[inline(always)]
pub const fn mix(state: u64, word: u64) -> u64 {
    let product = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

/// Home of a key in the address table. Its writer uses the same.
#[inline(always)]
pub const fn address_home(seed: u64, network: u32, family: u32, address: Address) -> u32 {
    let state = mix(seed, (network as u64) << 8 | family as u64);
    (mix(mix(state, address[0]), address[1]) >> 8) as u32 & (ADDRESSES - 1)
}

/// Home of a key in the member table. Its writer uses the same.
#[inline(always)]
pub const fn member_home(seed: u64, group: u32, address: Address) -> u32 {
    (mix(mix(mix(seed, group as u64), address[0]), address[1]) >> 8) as u32 & (MEMBERS - 1)
}

#[inline(always)]
const fn neighbour_home(seed: u64, address: Address) -> u32 {
    (mix(mix(seed, address[0]), address[1]) >> 8) as u32 & (NEIGHBOURS - 1)
}

#[inline(always)]
fn holds(words: &[Word64; 2], address: Address) -> bool {
    words[1].get() == address[1] && words[0].get() == address[0]
}

/// Reads a pair of words.
#[inline(always)]
pub fn read(words: &[Word64; 2]) -> Address {
    [words[0].get(), words[1].get()]
}

/// Who has `address` in `network`.
#[inline(always)]
pub fn owner<T: Tables>(tables: &T, half: u32, network: u32, address: Address) -> Option<&AddressEntry> {
    find_address(tables, half, network, FAMILY_IPV4, address)
}

/// Who has `mac` in `network`.
#[inline(always)]
pub fn owner_of_mac<T: Tables>(tables: &T, half: u32, network: u32, mac: u64) -> Option<&AddressEntry> {
    find_address(tables, half, network, FAMILY_MAC, [0, mac])
}

#[inline(always)]
fn find_address<T: Tables>(
    tables: &T,
    half: u32,
    network: u32,
    family: u32,
    address: Address,
) -> Option<&AddressEntry> {
    let seed = tables.config()?.address_seed.get((half & 1) as usize)?.get();
    let home = address_home(seed, network, family, address);
    for step in 0..HASH_PROBES {
        let entry = tables.address(half, (home + step) & (ADDRESSES - 1))?;
        if entry.owner.get() == 0 {
            return None;
        }
        let same = entry.network.get() == network && entry.family.get() == family;
        if same && holds(&entry.address, address) {
            return Some(entry);
        }
    }
    None
}

/// True when `address` belongs to `group`.
#[inline(always)]
pub fn is_member<T: Tables>(tables: &T, half: u32, group: u32, address: Address) -> bool {
    let Some(seed) = tables.config().and_then(|config| config.member_seed.get((half & 1) as usize)) else {
        return false;
    };
    let home = member_home(seed.get(), group, address);
    for step in 0..HASH_PROBES {
        let Some(entry) = tables.member(half, (home + step) & (MEMBERS - 1)) else { return false };
        let found = entry.group.get();
        if found == 0 {
            return false;
        }
        if found == group && holds(&entry.address, address) {
            return true;
        }
    }
    false
}

/// The MAC of a next hop on the uplink.
#[inline(always)]
pub fn neighbour_mac<T: Tables>(tables: &T, address: Address) -> Option<u64> {
    let entry = find_neighbour(tables, address, |entry| {
        entry.state.acquire() == NEIGHBOUR_READY && holds(&entry.address, address)
    })?;
    Some(entry.mac.get())
}

/// The first entry near `address`'s home that `wanted` accepts.
#[inline(always)]
pub fn find_neighbour<T: Tables>(
    tables: &T,
    address: Address,
    wanted: impl Fn(&NeighbourEntry) -> bool,
) -> Option<&NeighbourEntry> {
    let home = neighbour_home(tables.config()?.neighbour_seed.get(), address);
    for step in 0..HASH_PROBES {
        let entry = tables.neighbour((home + step) & (NEIGHBOURS - 1))?;
        if wanted(entry) {
            return Some(entry);
        }
    }
    None
}
