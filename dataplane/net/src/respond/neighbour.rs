//! Next hops on the uplink: packets wait for their MAC, known MACs are confirmed now and then.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use updraft_flow::layout::{NEIGHBOUR_READY, ipv4_octets, mac_octets};
use updraft_flow::{View, bump_generation, learn_neighbour};

use super::Request;
use super::arp;

/// Next hops that are asked for at once. Packets for more are dropped.
const MAX_PENDING: usize = 256;
/// Packets that wait for one next hop; the oldest makes room.
const MAX_WAITING: usize = 16;
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);
const MAX_REQUESTS: u32 = 3;
/// A MAC is asked for again after so long.
const CONFIRM_AFTER: Duration = Duration::from_secs(30);
/// A next hop that moves to another MAC more often is not believed: each move has every flow checked again.
const MOVE_INTERVAL: Duration = Duration::from_secs(1);

enum State {
    Unknown { waiting: VecDeque<Request> },
    Known { mac: [u8; 6] },
}

struct Neighbour {
    state: State,
    /// The gateway that asks: MAC and address.
    own: ([u8; 6], [u8; 4]),
    requests: u32,
    next_at: Instant,
    /// When its MAC was learned or changed last.
    moved_at: Option<Instant>,
}

/// See the module's text.
#[derive(Default)]
pub struct Neighbours {
    entries: HashMap<[u8; 4], Neighbour>,
}

impl Neighbours {
    /// Takes over what a predecessor left in the flow tables; each is confirmed soon. `own` picks who asks.
    pub fn adopt(
        view: &View<'_>,
        now: Instant,
        own: impl Fn(Ipv4Addr) -> Option<([u8; 6], [u8; 4])>,
    ) -> Self {
        let ready = view.neighbours.iter().filter(|entry| entry.state.acquire() == NEIGHBOUR_READY);
        let entries = ready.filter_map(|entry| {
            let address = ipv4_octets([entry.address[0].get(), entry.address[1].get()]);
            let state = State::Known { mac: mac_octets(entry.mac.get()) };
            Some((
                address,
                Neighbour { state, own: own(address.into())?, requests: 0, next_at: now, moved_at: None },
            ))
        });
        Self { entries: entries.collect() }
    }

    /// Keeps a packet until its next hop is known; a request to send, if one is due. The packet comes back when there
    /// is no room.
    pub fn wait(
        &mut self,
        next_hop: [u8; 4],
        own: ([u8; 6], [u8; 4]),
        packet: Request,
        now: Instant,
    ) -> Result<Option<Vec<u8>>, Request> {
        if let Some(Neighbour { state: State::Unknown { waiting }, .. }) = self.entries.get_mut(&next_hop) {
            if waiting.len() == MAX_WAITING {
                waiting.pop_front();
            }
            waiting.push_back(packet);
            return Ok(None);
        }
        // Known here and not in the tables: then they had no room; ask again rather than guess.
        if self.entries.len() >= MAX_PENDING && !self.entries.contains_key(&next_hop) {
            return Err(packet);
        }
        let state = State::Unknown { waiting: VecDeque::from([packet]) };
        let next_at = now + REQUEST_INTERVAL;
        self.entries.insert(next_hop, Neighbour { state, own, requests: 1, next_at, moved_at: None });
        Ok(Some(arp::request(own, next_hop, None)))
    }

    /// Notes who has an address, if anyone wants to know; the packets that waited for it.
    pub fn learn(
        &mut self,
        view: &View<'_>,
        address: [u8; 4],
        mac: [u8; 6],
        now: Instant,
    ) -> VecDeque<Request> {
        let Some(neighbour) = self.entries.get_mut(&address) else { return VecDeque::new() };
        if mac[0] & 1 == 1 || mac == [0; 6] {
            return VecDeque::new();
        }
        let moves = !matches!(neighbour.state, State::Known { mac: old } if old == mac);
        if moves && neighbour.moved_at.is_some_and(|last| now - last < MOVE_INTERVAL) {
            return VecDeque::new();
        }
        if moves {
            neighbour.moved_at = Some(now);
        }
        neighbour.requests = 0;
        neighbour.next_at = now + CONFIRM_AFTER;
        let before = std::mem::replace(&mut neighbour.state, State::Known { mac });
        let moved = matches!(before, State::Known { mac: old, .. } if old != mac);
        if !matches!(before, State::Known { .. }) || moved {
            if !learn_neighbour(view, address, Some(mac)) {
                tracing::warn!(address = %Ipv4Addr::from(address), "no room in the neighbour table");
            }
            if moved {
                bump_generation(view);
            }
        }
        match before {
            State::Unknown { waiting } => waiting,
            State::Known { .. } => VecDeque::new(),
        }
    }

    /// Requests that are due, and packets whose next hop stayed silent.
    pub fn tick(&mut self, view: &View<'_>, now: Instant) -> (Vec<Vec<u8>>, Vec<Request>) {
        let (mut requests, mut lost, mut silent) = (Vec::new(), Vec::new(), Vec::new());
        for (address, neighbour) in &mut self.entries {
            if now < neighbour.next_at {
                continue;
            }
            if neighbour.requests >= MAX_REQUESTS {
                silent.push(*address);
                continue;
            }
            neighbour.requests += 1;
            neighbour.next_at = now + REQUEST_INTERVAL;
            let last_mac = match &neighbour.state {
                State::Known { mac } => Some(*mac),
                State::Unknown { .. } => None,
            };
            requests.push(arp::request(neighbour.own, *address, last_mac));
        }
        for address in silent {
            match self.entries.remove(&address).map(|neighbour| neighbour.state) {
                Some(State::Unknown { waiting }) => lost.extend(waiting),
                Some(State::Known { .. }) => {
                    learn_neighbour(view, address, None);
                    bump_generation(view);
                }
                None => {}
            }
        }
        (requests, lost)
    }
}
