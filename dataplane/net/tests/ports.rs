//! Ports on real sockets, driven without guests: packets between them, offloads, full rings, and drivers that lie.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod guest;
mod world;

use std::os::fd::AsFd;
use std::path::PathBuf;

use guest::{LINUX, PATIENCE, PLAIN, Plugged, tcp_header};
use updraft_net::respond::ResponderConfig;
use updraft_net::{Network, NetworkSettings};
use updraft_vhost::EventFd;
use updraft_vhost::message::request;
use updraft_virtio::driver::DriverQueue;
use world::{ACK, ALICE, BOB, FRONT_ROUTER_MAC, Frame, Guest, SYN, arp, config, from};

/// A host with the ports of [`world::config`], in a folder of its own.
struct Host {
    network: Network,
    folder: tempfile::TempDir,
}

impl Host {
    fn start() -> Self {
        let responders = ResponderConfig::default();
        let network = Network::start(NetworkSettings { uplink: None, responders, workers: 2 }).unwrap();
        let mut host = Self { network, folder: tempfile::tempdir().unwrap() };
        let mut config = config();
        for port in &mut config.ports {
            port.socket_path = host.folder.path().join(format!("{}.sock", port.id));
        }
        assert_eq!(host.network.apply(&config).unwrap(), 1);
        host
    }

    fn socket(&self, guest: Guest) -> PathBuf {
        let id = updraft_base::PortId(uuid::Uuid::from_u128(guest.id));
        self.folder.path().join(format!("{id}.sock"))
    }

    fn plug(&self, guest: Guest) -> Plugged {
        Plugged::plug(&self.socket(guest))
    }

    fn drops(&self, reason: &str) -> u64 {
        self.network.status().drops.get(reason).copied().unwrap_or(0)
    }
}

/// An ARP request of `guest` for its router, which is always answered.
fn probe(guest: Guest) -> Vec<u8> {
    arp(guest.mac, 1, (guest.mac, guest.address), [10, 0, 1, 1]).bytes
}

fn is_router_reply(frame: &[u8]) -> bool {
    frame[12..14] == [8, 6] && frame[21] == 2 && frame[22..28] == FRONT_ROUTER_MAC
}

fn ssh(flags: &str) -> Frame {
    from(ALICE, BOB.mac, BOB.address).tcp((40000, 22), flags)
}

fn ssh_back(flags: &str) -> Frame {
    from(BOB, ALICE.mac, ALICE.address).tcp((22, 40000), flags)
}

/// Alice opens a connection to Bob's port 22.
fn shake_hands(alice: &mut Plugged, bob: &mut Plugged) {
    alice.send(&ssh(SYN).bytes);
    bob.receive();
    bob.send(&ssh_back("SA").bytes);
    alice.receive();
}

/// A frame of an open connection with so much payload, and a checksum over the pseudo-header only.
fn long_segment(payload: usize) -> Vec<u8> {
    let mut frame = ssh(ACK).bytes;
    frame.truncate(54);
    frame.extend((0..payload).map(|i| (i % 251) as u8));
    let total = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame[24..26].fill(0);
    let field = updraft_net::frame::checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&field);
    let mut pseudo = frame[26..34].to_vec();
    pseudo.extend([0, 6]);
    pseudo.extend(((frame.len() - 34) as u16).to_be_bytes());
    let sum = updraft_net::frame::fold(updraft_net::frame::sum(&pseudo, 0)).to_ne_bytes();
    frame[50..52].copy_from_slice(&sum);
    frame
}

#[test]
fn policy_holds_between_two_guests() {
    let host = Host::start();
    let (mut alice, mut bob) = (host.plug(ALICE), host.plug(BOB));
    alice.send(&ssh(SYN).bytes);
    assert_eq!(bob.receive().frame, ssh(SYN).bytes);
    bob.send(&ssh_back("SA").bytes);
    assert_eq!(alice.receive().frame, ssh_back("SA").bytes);
    // Nothing allows port 81, and nobody may claim another's address.
    alice.send(&from(ALICE, BOB.mac, BOB.address).tcp((40001, 81), SYN).bytes);
    let spoofed = Guest { address: [10, 0, 1, 77], ..ALICE };
    alice.send(&from(spoofed, BOB.mac, BOB.address).tcp((40002, 22), SYN).bytes);
    alice.wait_sent();
    bob.expect_quiet(&probe(BOB), is_router_reply);
    assert_eq!((host.drops("policy_ingress"), host.drops("source_address")), (1, 1));
    let status = host.network.status();
    let of_alice = status.ports.iter().find(|port| port.id.0.as_u128() == ALICE.id).unwrap();
    assert_eq!((of_alice.tx_packets, of_alice.drops, of_alice.connected), (3, 2, true));
}

#[test]
fn a_long_segment_crosses_as_one() {
    let host = Host::start();
    let (mut alice, mut bob) = (host.plug(ALICE), host.plug(BOB));
    shake_hands(&mut alice, &mut bob);
    let frame = long_segment(60_000);
    alice.send_with(tcp_header(1460), &frame);
    let received = bob.receive();
    assert_eq!(received.frame, frame, "untouched, in {} buffers", received.header[10]);
    assert_eq!(received.header[..2], [1, 1], "checksum and segmentation are still to be done");
    assert_eq!(received.header[4..10], tcp_header(1460)[4..10]);
    assert_eq!(u16::from_le_bytes([received.header[10], received.header[11]]), 40);
}

#[test]
fn a_driver_without_offloads_gets_whole_segments_with_checksums() {
    let host = Host::start();
    let mut alice = host.plug(ALICE);
    let mut bob = Plugged::plug_with(&host.socket(BOB), PLAIN, 100, 2048);
    shake_hands(&mut alice, &mut bob);
    let frame = long_segment(10_000);
    alice.send_with(tcp_header(1460), &frame);
    let mut payload = Vec::new();
    while payload.len() < 10_000 {
        let received = bob.receive();
        assert_eq!(received.header[..10], [0; 10]);
        let segment = Frame { bytes: received.frame, partial: false };
        assert_eq!(segment.said().ports, (40000, 22), "and every checksum holds");
        let sequence = u32::from_be_bytes(segment.bytes[38..42].try_into().unwrap());
        assert_eq!(sequence, 1000 + payload.len() as u32);
        payload.extend_from_slice(&segment.bytes[54..]);
    }
    assert_eq!(payload, frame[54..]);
    // And a short one, of which only the checksum is missing.
    alice.send_with(tcp_header(0), &long_segment(700));
    let received = Frame { bytes: bob.receive().frame, partial: false };
    assert_eq!(received.said().ports, (40000, 22));
}

#[test]
fn a_full_ring_costs_its_owner_packets_and_nobody_else() {
    let host = Host::start();
    let mut alice = host.plug(ALICE);
    let mut bob = Plugged::plug_with(&host.socket(BOB), LINUX, 4, 1536);
    bob.keep_buffers();
    shake_hands(&mut alice, &mut bob);
    for _ in 0..50 {
        alice.send(&ssh(ACK).bytes);
    }
    alice.wait_sent();
    // One buffer took the SYN, three are left.
    assert_eq!(host.drops("rx_ring_full"), 47);
    for _ in 0..3 {
        assert_eq!(bob.receive().frame, ssh(ACK).bytes);
    }
    alice.expect_quiet(&probe(ALICE), is_router_reply);
}

#[test]
fn headers_that_lie_are_dropped_and_counted() {
    let host = Host::start();
    let (mut alice, mut bob) = (host.plug(ALICE), host.plug(BOB));
    shake_hands(&mut alice, &mut bob);
    let frame = long_segment(5000);
    let change = |at: usize, value: u16| {
        let mut header = tcp_header(1460);
        header[at..at + 2].copy_from_slice(&value.to_le_bytes());
        header
    };
    let mut without_checksum = tcp_header(1460);
    without_checksum[0] = 0;
    let mut as_udp = tcp_header(1460);
    as_udp[1] = 3;
    let mut as_ipv6 = tcp_header(1460);
    as_ipv6[1] = 4;
    let lies = [
        ("checksum starts past the end", change(6, 60_000)),
        ("checksum starts in the IP header", change(6, 20)),
        ("checksum lies past the end", change(8, 60_000)),
        ("checksum over another field", change(8, 4)),
        ("segments of nothing", change(4, 0)),
        ("segments of one byte", change(4, 1)),
        ("segmentation without checksums", without_checksum),
        ("segmentation of UDP", as_udp),
        ("segmentation of the other family", as_ipv6),
    ];
    for (name, header) in &lies {
        let before = host.drops("bad_offload");
        alice.send_with(*header, &frame);
        alice.wait_sent();
        assert_eq!(host.drops("bad_offload"), before + 1, "{name}");
    }
    // Shorter than its own header.
    let at = alice.ram.take(16, 16);
    alice.tx.add(&[(at, 5)], &[]).unwrap();
    alice.kick();
    alice.wait_sent();
    assert_eq!(host.drops("bad_offload"), lies.len() as u64 + 1);
    bob.expect_quiet(&probe(BOB), is_router_reply);
}

#[test]
fn a_broken_ring_is_retired_and_the_neighbour_lives() {
    let host = Host::start();
    let (mut alice, mut bob) = (host.plug(ALICE), host.plug(BOB));
    let error = EventFd::new().unwrap();
    alice.frontend.send(request::SET_VRING_ERR, &1u64.to_ne_bytes(), &[error.as_fd()]).unwrap();
    alice.tx.set_avail_index(20_000);
    alice.tx_events.kick.notify();
    assert!(error.wait(PATIENCE.as_millis() as i32), "the frontend hears of it");
    bob.expect_quiet(&probe(BOB), is_router_reply);
    // The same for a receive ring, which is looked at when a packet comes.
    let mut alice = Plugged::plug(&{
        drop(alice);
        host.socket(ALICE)
    });
    let error = EventFd::new().unwrap();
    bob.frontend.send(request::SET_VRING_ERR, &0u64.to_ne_bytes(), &[error.as_fd()]).unwrap();
    bob.rx.set_avail_index(20_000);
    alice.send(&ssh(SYN).bytes);
    assert!(error.wait(PATIENCE.as_millis() as i32), "the frontend hears of it");
    alice.expect_quiet(&probe(ALICE), is_router_reply);
}

#[test]
fn buffers_before_a_broken_one_are_filled_and_the_frontend_hears_once() {
    let host = Host::start();
    let mut alice = host.plug(ALICE);
    let mut bob = Plugged::plug_with(&host.socket(BOB), LINUX, 3, 1536);
    bob.keep_buffers();
    let error = EventFd::new().unwrap();
    bob.frontend.send(request::SET_VRING_ERR, &0u64.to_ne_bytes(), &[error.as_fd()]).unwrap();
    bob.rx.push_head(bob.rx.size()); // no such descriptor
    bob.rx.publish();
    shake_hands(&mut alice, &mut bob);
    assert!(error.wait(PATIENCE.as_millis() as i32), "the frontend hears of it");
    for _ in 0..4 {
        alice.send(&ssh(ACK).bytes);
    }
    alice.wait_sent();
    assert_eq!(host.drops("not_connected"), 2);
    for _ in 0..2 {
        assert_eq!(bob.receive().frame, ssh(ACK).bytes);
    }
    let status = host.network.status();
    let of_bob = status.ports.iter().find(|port| port.id.0.as_u128() == BOB.id).unwrap();
    assert_eq!(of_bob.rx_packets, 3);
    alice.send(&ssh(ACK).bytes);
    alice.wait_sent();
    assert!(!error.take(), "once");
}

#[test]
fn buffers_taken_ahead_are_there_again_when_the_ring_goes_on() {
    let host = Host::start();
    let (mut alice, mut bob) = (host.plug(ALICE), host.plug(BOB));
    shake_hands(&mut alice, &mut bob);
    let base = bob.frontend.stop_queue(0).unwrap();
    assert_eq!(base, bob.rx.used_index(), "what holds no frame was never used");
    bob.rx_events = bob.frontend.start_queue(0, &bob.rx, base).unwrap();
    for _ in 0..200 {
        alice.send(&ssh(ACK).bytes);
        assert_eq!(bob.receive().frame, ssh(ACK).bytes);
    }
    // Another mapping, under running rings.
    bob.frontend.set_memory(&[&bob.ram]).unwrap();
    for _ in 0..200 {
        alice.send(&ssh(ACK).bytes);
        assert_eq!(bob.receive().frame, ssh(ACK).bytes);
    }
}

#[test]
fn a_frame_that_finds_too_few_buffers_leaves_them_to_the_next() {
    let host = Host::start();
    let mut alice = host.plug(ALICE);
    let mut bob = Plugged::plug_with(&host.socket(BOB), LINUX, 4, 1536);
    bob.keep_buffers();
    shake_hands(&mut alice, &mut bob);
    alice.send_with(tcp_header(1460), &long_segment(10_000));
    alice.wait_sent();
    assert_eq!(host.drops("rx_ring_full"), 1);
    for _ in 0..3 {
        alice.send(&ssh(ACK).bytes);
        assert_eq!(bob.receive().frame, ssh(ACK).bytes);
    }
}

#[test]
fn a_guest_connects_again_and_goes_on() {
    let host = Host::start();
    let (mut alice, mut bob) = (host.plug(ALICE), host.plug(BOB));
    shake_hands(&mut alice, &mut bob);
    for _ in 0..3 {
        bob.reconnect(&host.socket(BOB), LINUX);
        alice.send(&ssh(ACK).bytes);
        assert_eq!(bob.receive().frame, ssh(ACK).bytes);
        bob.send(&ssh_back(ACK).bytes);
        assert_eq!(alice.receive().frame, ssh_back(ACK).bytes);
    }
}

#[test]
fn a_port_that_goes_away_takes_nothing_with_it() {
    let mut host = Host::start();
    let (mut alice, bob) = (host.plug(ALICE), host.plug(BOB));
    let mut config = config();
    config.generation = 2;
    config.ports.retain(|port| port.id.0.as_u128() != BOB.id);
    for port in &mut config.ports {
        port.socket_path = host.folder.path().join(format!("{}.sock", port.id));
    }
    host.network.apply(&config).unwrap();
    let mut gone = bob.frontend;
    assert!(gone.closed_by_backend());
    assert!(!host.socket(BOB).exists());
    alice.send(&ssh(SYN).bytes);
    alice.expect_quiet(&probe(ALICE), is_router_reply);
    // An older configuration changes nothing.
    config.generation = 1;
    config.ports.clear();
    assert_eq!(host.network.apply(&config).unwrap(), 2);
    alice.expect_quiet(&probe(ALICE), is_router_reply);
}

#[test]
fn two_guests_exchange_many_packets_without_loss() {
    const ROUNDS: usize = 2000;
    let host = Host::start();
    let (mut alice, mut bob) = (host.plug(ALICE), host.plug(BOB));
    shake_hands(&mut alice, &mut bob);
    let (there, back) = (ssh(ACK).bytes, ssh_back(ACK).bytes);
    for _ in 0..ROUNDS / 8 {
        for _ in 0..8 {
            alice.queue_with([0; 12], &there);
        }
        alice.kick();
        for _ in 0..8 {
            assert_eq!(bob.receive().frame, there);
        }
        for _ in 0..8 {
            bob.queue_with([0; 12], &back);
        }
        bob.kick();
        for _ in 0..8 {
            assert_eq!(alice.receive().frame, back);
        }
    }
    let drops: u64 = host.network.status().drops.values().sum();
    assert_eq!(drops, 0);
}

#[test]
fn queue_pairs_beyond_the_limit_are_refused() {
    let mut host = Host::start();
    let mut config = config();
    config.generation = 2;
    config.ports[0].queue_pairs = 9;
    assert!(host.network.apply(&config).unwrap_err().to_string().contains("9 queue pairs"));
    assert_eq!(host.network.generation(), 1);
}

/// Several queue pairs of one port: each receive ring gets flows, and no flow changes its ring.
#[test]
fn flows_spread_over_queue_pairs() {
    let mut host = Host::start();
    let mut config = config();
    config.generation = 2;
    for port in &mut config.ports {
        port.socket_path = host.folder.path().join(format!("{}.sock", port.id));
        port.queue_pairs = 2;
    }
    host.network.apply(&config).unwrap();
    let (mut alice, mut bob) = (host.plug(ALICE), host.plug(BOB));
    assert_eq!(bob.frontend.queue_num().unwrap(), 2);
    let mut second = DriverQueue::new(bob.ram.clone(), 256, true);
    for _ in 0..64 {
        let at = bob.ram.take(1536, 64);
        second.add(&[], &[(at, 1536)]).unwrap();
    }
    second.publish();
    bob.frontend.start_queue(2, &second, 0).unwrap();
    for flow in 0..32 {
        alice.send(&from(ALICE, BOB.mac, BOB.address).tcp((41000 + flow, 22), SYN).bytes);
    }
    alice.wait_sent();
    let (mut on_first, mut on_second) = (0, 0);
    while bob.try_receive().is_some() {
        on_first += 1;
    }
    while second.poll().is_some() {
        on_second += 1;
    }
    assert_eq!(on_first + on_second, 32);
    assert!(on_first > 0 && on_second > 0, "{on_first} and {on_second}");
}
