//! Look-ups for netd's responders and its uplink: who has an address, where a next hop is.

use crate::layout::{
    NEIGHBOUR_BUSY, NEIGHBOUR_FREE, NEIGHBOUR_READY, OWNER_DHCP, OWNER_FLOATING, OWNER_GATEWAY, OWNER_PORT,
    OWNER_ROUTER, PORT_PRESENT, ROUTER_GATEWAY, ipv4, ipv4_octets, mac_octets, mac_word,
};
use crate::lookup::{find_neighbour, neighbour_mac, owner, read};
use crate::tables::{Tables, View};
use crate::verdict::PortIndex;

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A guest's port.
    Port(PortIndex),
    /// A virtual router's interface.
    Router(u32),
    /// The DHCP and DNS responder.
    Dhcp,
    /// A floating IP on the uplink.
    Floating(PortIndex),
    /// A router's gateway address on the uplink.
    Gateway(u32),
}

/// The owner and MAC of `address` (network byte order) in `network`: a port's [`network_of`], or
/// [`crate::layout::UPLINK_NETWORK`], where the MAC is that of the router's gateway. An ARP responder says this.
pub fn owner_of(view: &View<'_>, network: u32, address: [u8; 4]) -> Option<(Owner, [u8; 6])> {
    let half = view.config.generation.acquire();
    let entry = owner(view, half, network, ipv4(address))?;
    let index = entry.index.get();
    let mac = mac_octets(entry.mac.get());
    match entry.owner.get() {
        OWNER_PORT => Some((Owner::Port(PortIndex(index)), mac)),
        OWNER_ROUTER => Some((Owner::Router(index), mac)),
        OWNER_DHCP => Some((Owner::Dhcp, mac)),
        // The entry's own MAC is the one inside.
        OWNER_FLOATING => Some((Owner::Floating(PortIndex(index)), gateway_of(view, entry.router.get())?.1)),
        OWNER_GATEWAY => Some((Owner::Gateway(index), mac)),
        _ => None,
    }
}

/// The gateway address (network byte order) and MAC of a router: the sender of ARP requests for
/// [`crate::Service::Neighbour`].
pub fn gateway_of(view: &View<'_>, router: u32) -> Option<([u8; 4], [u8; 6])> {
    let half = view.config.generation.acquire();
    let router = view.router(half, router).filter(|router| router.flags.get() & ROUTER_GATEWAY != 0)?;
    Some((ipv4_octets(read(&router.gateway_address)), mac_octets(router.gateway_mac.get())))
}

/// The network index of a port, for [`owner_of`].
pub fn network_of(view: &View<'_>, port: PortIndex) -> Option<u32> {
    let half = view.config.generation.acquire();
    let port = view.port(half, port.0).filter(|port| port.flags.get() & PORT_PRESENT != 0)?;
    Some(port.network.get())
}

/// The MAC of a next hop on the uplink, as noted by [`learn_neighbour`].
pub fn neighbour(view: &View<'_>, address: [u8; 4]) -> Option<[u8; 6]> {
    neighbour_mac(view, ipv4(address)).map(mac_octets)
}

/// Notes (or with `None` forgets) the MAC of a next hop on the uplink. False when there is no room for it.
///
/// Flows in being keep the MAC that they were opened with until [`crate::bump_generation`].
/// For one thread at a time.
pub fn learn_neighbour(view: &View<'_>, address: [u8; 4], mac: Option<[u8; 6]>) -> bool {
    let address = ipv4(address);
    let known = find_neighbour(view, address, |entry| {
        entry.state.get() == NEIGHBOUR_READY && read(&entry.address) == address
    });
    match (known, mac) {
        (Some(entry), Some(mac)) => entry.mac.set(mac_word(mac)),
        (Some(entry), None) => entry.state.release(NEIGHBOUR_FREE),
        (None, None) => {}
        (None, Some(mac)) => {
            let free = |entry: &crate::layout::NeighbourEntry| entry.state.get() == NEIGHBOUR_FREE;
            let Some(entry) = find_neighbour(view, address, free) else { return false };
            entry.state.release(NEIGHBOUR_BUSY);
            for (word, value) in entry.address.iter().zip(address) {
                word.set(value);
            }
            entry.mac.set(mac_word(mac));
            entry.state.release(NEIGHBOUR_READY);
        }
    }
    true
}
