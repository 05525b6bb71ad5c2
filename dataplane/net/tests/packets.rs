//! Packets through the flow engine that are not delivered: packet in, verdict, and one sentence of why.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod world;

use updraft_flow::{DropReason as R, Service, Verdict};
use world::{
    ALICE, ALICE_FLOATING, BOB, CAROL, CAROL_FLOATING, FRONT_DHCP_MAC, FRONT_ROUTER_MAC, Frame, GATEWAY,
    Guest, NEXT_HOP, NEXT_HOP_MAC, Outline, STRANGER, World, arp, from, mac, outside,
};

const DHCP_SERVER: [u8; 4] = [10, 0, 1, 2];
const FRONT_ROUTER: [u8; 4] = [10, 0, 1, 1];
const METADATA: [u8; 4] = [169, 254, 169, 254];

/// Why, a frame that alice's guest sends in a fresh world, and what becomes of it.
type Case = (&'static str, Frame, Verdict);

fn dropped(reason: R) -> Verdict {
    Verdict::Drop(reason)
}

fn to_bob() -> Outline {
    from(ALICE, BOB.mac, BOB.address)
}

fn by_router(dst: [u8; 4]) -> Outline {
    from(ALICE, FRONT_ROUTER_MAC, dst)
}

fn by_dhcp(dst: [u8; 4]) -> Outline {
    from(ALICE, FRONT_DHCP_MAC, dst)
}

/// A ping to bob with some bytes overwritten.
fn edited(at: usize, bytes: &[u8]) -> Frame {
    let mut frame = to_bob().ping(1);
    frame.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

fn spoofed() -> Vec<Case> {
    let with_address = |address| Guest { address, ..ALICE };
    let as_bob = from(with_address(BOB.address), BOB.mac, BOB.address).ping(1);
    let other_mac = from(Guest { mac: mac(0x99), ..ALICE }, BOB.mac, BOB.address).ping(1);
    let arp_by = |eth, operation, sender| arp(eth, operation, sender, BOB.address);
    vec![
        ("a spoofed address stops at the port", as_bob, dropped(R::SourceAddress)),
        ("a spoofed MAC stops at the port", other_mac, dropped(R::SourceMac)),
        (
            "ARP as the gateway is a lie",
            arp_by(ALICE.mac, 2, (ALICE.mac, FRONT_ROUTER)),
            dropped(R::ArpSpoof),
        ),
        ("ARP with another's MAC too", arp_by(ALICE.mac, 1, (BOB.mac, ALICE.address)), dropped(R::ArpSpoof)),
        ("and in a frame from it", arp_by(BOB.mac, 1, (ALICE.mac, ALICE.address)), dropped(R::ArpSpoof)),
        (
            "gratuitous ARP for bob's address",
            arp_by(ALICE.mac, 1, (ALICE.mac, BOB.address)),
            dropped(R::ArpSpoof),
        ),
        ("a guest is no DHCP server", to_bob().udp((67, 68), b"offer"), dropped(R::DhcpServer)),
    ]
}

fn malformed() -> Vec<Case> {
    let mut vlan = to_bob().ping(1);
    vlan.bytes.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    vec![
        ("VLAN tags are not the guest's to write", vlan, dropped(R::EtherType)),
        ("LLDP is not passed on", edited(12, &[0x88, 0xcc]), dropped(R::EtherType)),
        ("EAPOL is not passed on", edited(12, &[0x88, 0x8e]), dropped(R::EtherType)),
        ("IPv6 is not carried yet", edited(12, &[0x86, 0xdd]), dropped(R::Ipv6)),
        ("a fragment has no header to judge by", edited(20, &[0x20]), dropped(R::Fragment)),
        ("nor has a later one", edited(21, &[0x10]), dropped(R::Fragment)),
        ("IP options are refused", edited(14, &[0x46]), dropped(R::IpOptions)),
        ("a total length beyond the frame is a lie", edited(16, &[0x7f]), dropped(R::Truncated)),
        (
            "no frame is shorter than its header",
            Frame { bytes: vec![0; 13], partial: false },
            dropped(R::Truncated),
        ),
        ("SYN with FIN does not exist", to_bob().tcp((1, 22), "SF"), dropped(R::TcpFlags)),
        ("TCP without flags does not exist", to_bob().tcp((1, 22), ""), dropped(R::TcpFlags)),
    ]
}

fn refused() -> Vec<Case> {
    let about_nothing = to_bob().unreachable(&from(BOB, ALICE.mac, ALICE.address).udp((1, 2), b""));
    let broadcast = from(ALICE, [0xff; 6], [10, 0, 1, 255]).udp((1, 2), b"x");
    let multicast = from(ALICE, [1, 0, 0x5e, 0, 0, 5], [224, 0, 0, 5]).protocol(89);
    let unknown_mac = from(ALICE, mac(0x77), BOB.address).ping(1);
    let not_his = from(ALICE, BOB.mac, [10, 0, 1, 99]).ping(1);
    let elsewhere = from(ALICE, CAROL.mac, CAROL.address).ping(1);
    let through_bob = from(ALICE, BOB.mac, METADATA).tcp((4000, 80), "S");
    vec![
        ("TCP is not picked up in the middle", to_bob().tcp((1, 22), "A"), dropped(R::NotSyn)),
        ("nor is an answer to nothing", to_bob().tcp((1, 22), "SA"), dropped(R::NotSyn)),
        ("an echo reply answers something", to_bob().pong(1), dropped(R::UnrelatedError)),
        ("an ICMP error is about a live flow", about_nothing, dropped(R::UnrelatedError)),
        ("no ingress rule of bob's allows port 23", to_bob().tcp((1, 23), "S"), dropped(R::PolicyIngress)),
        ("nor UDP", to_bob().udp((1, 22), b"x"), dropped(R::PolicyIngress)),
        ("an unknown MAC is not flooded", unknown_mac, dropped(R::UnknownDestination)),
        ("bob's MAC with an address that is not his", not_his, dropped(R::UnknownDestination)),
        ("carol's MAC is on another network", elsewhere, dropped(R::UnknownDestination)),
        ("metadata through another guest", through_bob, dropped(R::UnknownDestination)),
        (
            "only port 80 of the metadata address",
            by_router(METADATA).tcp((1, 22), "S"),
            dropped(R::NotServed),
        ),
        ("broadcast is not flooded", broadcast, dropped(R::Multicast)),
        ("multicast is not flooded", multicast, dropped(R::Multicast)),
    ]
}

fn answered_inside() -> Vec<Case> {
    use Service::{Arp, Dhcp, Dns, Echo, Metadata, Neighbour, TimeExceeded, Unreachable};
    let answer = Verdict::Respond;
    let discover = from(Guest { address: [0; 4], ..ALICE }, [0xff; 6], [255; 4]).udp((68, 67), b"discover");
    let asks = arp(ALICE.mac, 1, (ALICE.mac, ALICE.address), BOB.address);
    let probes = arp(ALICE.mac, 1, (ALICE.mac, [0; 4]), ALICE.address);
    let unknown = [203, 0, 113, 9];
    vec![
        ("DHCP", discover, answer(Dhcp)),
        ("a renewal too", by_dhcp(DHCP_SERVER).udp((68, 67), b"request"), answer(Dhcp)),
        ("DNS", by_dhcp(DHCP_SERVER).udp((5353, 53), b"query"), answer(Dns)),
        ("metadata through the router", by_router(METADATA).tcp((4000, 80), "S"), answer(Metadata)),
        ("metadata through the DHCP port", by_dhcp(METADATA).tcp((4000, 80), "S"), answer(Metadata)),
        ("the router answers pings", by_router(FRONT_ROUTER).ping(1), answer(Echo)),
        ("at its far interface too", by_router([10, 0, 2, 1]).ping(1), answer(Echo)),
        ("and its gateway address", by_router(GATEWAY).ping(1), answer(Echo)),
        ("the DHCP address answers pings", by_dhcp(DHCP_SERVER).ping(1), answer(Echo)),
        ("nobody has this address", by_router([10, 0, 2, 77]).ping(1), answer(Unreachable { code: 1 })),
        ("a router says when the TTL ends", by_router(STRANGER).ttl(1).ping(1), answer(TimeExceeded)),
        (
            "an unknown neighbour is asked for",
            by_router(unknown).ping(1),
            answer(Neighbour { router: 0, next_hop: unknown }),
        ),
        ("ARP for a neighbour", asks, answer(Arp)),
        ("an address probe", probes, answer(Arp)),
    ]
}

#[test]
fn frames_that_end_at_the_port() {
    for (why, frame, expected) in [spoofed(), malformed(), refused(), answered_inside()].concat() {
        let world = World::new();
        let dropped = || world.view().drops().map(|(_, count)| count).sum::<u64>();
        let (verdict, out) = world.send(ALICE, &frame);
        assert_eq!(verdict, expected, "{why}");
        assert_eq!(out, frame, "{why}: untouched");
        match expected {
            Verdict::Drop(reason) => {
                assert_eq!(dropped(), 1, "{why}: counted once");
                assert_eq!(world.drops(reason.name()), 1, "{why}: counted under its name");
            }
            _ => assert_eq!(dropped(), 0, "{why}: not counted"),
        }
    }
}

#[test]
fn frames_from_the_uplink_that_are_not_delivered() {
    let fragment = {
        let mut frame = outside(STRANGER, ALICE_FLOATING).ping(1);
        frame.bytes[20] = 0x20;
        frame
    };
    let cases = [
        ("not our address", outside(STRANGER, [203, 0, 113, 55]).tcp((1, 22), "S"), Verdict::Pass),
        (
            "ARP for a floating IP",
            arp(NEXT_HOP_MAC, 1, (NEXT_HOP_MAC, NEXT_HOP), ALICE_FLOATING),
            Verdict::Respond(Service::Arp),
        ),
        (
            "ARP between others",
            arp(NEXT_HOP_MAC, 1, (NEXT_HOP_MAC, NEXT_HOP), [203, 0, 113, 55]),
            Verdict::Pass,
        ),
        ("a closed port", outside(STRANGER, ALICE_FLOATING).tcp((1, 23), "S"), dropped(R::PolicyIngress)),
        (
            "the middle of no connection",
            outside(STRANGER, ALICE_FLOATING).tcp((1, 22), "A"),
            dropped(R::NotSyn),
        ),
        ("a fragment for us", fragment, dropped(R::Fragment)),
        ("the gateway serves nothing", outside(STRANGER, GATEWAY).tcp((1, 22), "S"), dropped(R::NotServed)),
        ("but answers pings", outside(STRANGER, GATEWAY).ping(1), Verdict::Respond(Service::Echo)),
        (
            "the TTL ends at our router",
            outside(STRANGER, ALICE_FLOATING).ttl(1).ping(1),
            Verdict::Respond(Service::TimeExceeded),
        ),
        (
            "UDP 53 from the wrong prefix",
            outside([192, 0, 2, 1], CAROL_FLOATING).udp((1, 53), b"q"),
            dropped(R::PolicyIngress),
        ),
    ];
    for (why, frame, expected) in cases {
        let world = World::new();
        let (verdict, out) = world.receive(&frame);
        assert_eq!(verdict, expected, "{why}");
        assert_eq!(out, frame, "{why}: untouched");
    }
}
