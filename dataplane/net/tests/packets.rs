//! Packets through the flow engine: packet in, verdict, packet out, and one sentence of why.

mod world;

use updraft_flow::{DropReason, PortIndex, Service, Verdict};
use world::{
    ALICE, ALICE_FLOATING, BACK_ROUTER_MAC, BOB, CAROL, CAROL_FLOATING, FRONT_DHCP_MAC, FRONT_ROUTER_MAC,
    Frame, GATEWAY, GATEWAY_MAC, Guest, NEXT_HOP, NEXT_HOP_MAC, STRANGER, TICK, World, arp, from, mac,
    outside,
};

const DHCP_SERVER: [u8; 4] = [10, 0, 1, 2];
const FRONT_ROUTER: [u8; 4] = [10, 0, 1, 1];
const METADATA: [u8; 4] = [169, 254, 169, 254];

fn dropped(reason: DropReason) -> Verdict {
    Verdict::Drop(reason)
}

/// Frames that a fresh world judges without rewriting them.
fn judged_as_sent() -> Vec<(&'static str, Guest, Frame, Verdict)> {
    use DropReason as R;
    let to_bob = || from(ALICE, BOB.mac, BOB.address);
    let out = || from(ALICE, FRONT_ROUTER_MAC, STRANGER);
    let spoofed_address = Guest { address: BOB.address, ..ALICE };
    let spoofed_mac = Guest { mac: mac(0x99), ..ALICE };
    let vlan = {
        let mut bytes = to_bob().ping(1).bytes;
        bytes.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
        Frame { bytes, partial: false }
    };
    let ethertype = |kind: [u8; 2]| {
        let mut bytes = to_bob().ping(1).bytes;
        bytes[12..14].copy_from_slice(&kind);
        Frame { bytes, partial: false }
    };
    let edited = |frame: Frame, at: usize, value: u8| {
        let mut bytes = frame.bytes;
        bytes[at] = value;
        Frame { bytes, ..frame }
    };
    vec![
        (
            "a spoofed address stops at the port",
            ALICE,
            from(spoofed_address, BOB.mac, BOB.address).ping(1),
            dropped(R::SourceAddress),
        ),
        (
            "a spoofed MAC stops at the port",
            ALICE,
            from(spoofed_mac, BOB.mac, BOB.address).ping(1),
            dropped(R::SourceMac),
        ),
        ("VLAN tags are not the guest's to write", ALICE, vlan, dropped(R::EtherType)),
        ("LLDP is not passed on", ALICE, ethertype([0x88, 0xcc]), dropped(R::EtherType)),
        ("EAPOL is not passed on", ALICE, ethertype([0x88, 0x8e]), dropped(R::EtherType)),
        ("IPv6 is not carried yet", ALICE, ethertype([0x86, 0xdd]), dropped(R::Ipv6)),
        (
            "a fragment has no header to judge by",
            ALICE,
            edited(to_bob().ping(1), 20, 0x20),
            dropped(R::Fragment),
        ),
        ("nor has a later one", ALICE, edited(to_bob().ping(1), 21, 0x10), dropped(R::Fragment)),
        ("IP options are refused", ALICE, edited(to_bob().ping(1), 14, 0x46), dropped(R::IpOptions)),
        (
            "a total length beyond the frame is a lie",
            ALICE,
            edited(to_bob().ping(1), 16, 0x7f),
            dropped(R::Truncated),
        ),
        ("SYN with FIN does not exist", ALICE, to_bob().tcp((1, 22), "SF"), dropped(R::TcpFlags)),
        ("TCP without flags does not exist", ALICE, to_bob().tcp((1, 22), ""), dropped(R::TcpFlags)),
        ("TCP is not picked up in the middle", ALICE, to_bob().tcp((1, 22), "A"), dropped(R::NotSyn)),
        ("nor is an answer to nothing", ALICE, to_bob().tcp((1, 22), "SA"), dropped(R::NotSyn)),
        ("an echo reply answers something", ALICE, to_bob().pong(1), dropped(R::UnrelatedError)),
        (
            "an ICMP error is about a live flow",
            ALICE,
            to_bob().unreachable(&from(BOB, ALICE.mac, ALICE.address).udp((1, 2), b"")),
            dropped(R::UnrelatedError),
        ),
        (
            "no ingress rule of bob's allows port 23",
            ALICE,
            to_bob().tcp((1, 23), "S"),
            dropped(R::PolicyIngress),
        ),
        ("nor UDP", ALICE, to_bob().udp((1, 22), b"x"), dropped(R::PolicyIngress)),
        (
            "an unknown MAC is not flooded",
            ALICE,
            from(ALICE, mac(0x77), BOB.address).ping(1),
            dropped(R::UnknownDestination),
        ),
        (
            "bob's MAC with an address that is not his",
            ALICE,
            from(ALICE, BOB.mac, [10, 0, 1, 99]).ping(1),
            dropped(R::UnknownDestination),
        ),
        (
            "carol's MAC is on another network",
            ALICE,
            from(ALICE, CAROL.mac, CAROL.address).ping(1),
            dropped(R::UnknownDestination),
        ),
        (
            "broadcast is not flooded",
            ALICE,
            from(ALICE, [0xff; 6], [10, 0, 1, 255]).udp((1, 2), b"x"),
            dropped(R::Multicast),
        ),
        (
            "multicast is not flooded",
            ALICE,
            from(ALICE, [1, 0, 0x5e, 0, 0, 5], [224, 0, 0, 5]).protocol(89),
            dropped(R::Multicast),
        ),
        (
            "a DHCP server has no place in a guest",
            ALICE,
            to_bob().udp((67, 68), b"offer"),
            dropped(R::DhcpServer),
        ),
        (
            "DHCP is answered inside",
            ALICE,
            from(Guest { address: [0; 4], ..ALICE }, [0xff; 6], [255; 4]).udp((68, 67), b"discover"),
            Verdict::Respond(Service::Dhcp),
        ),
        (
            "a renewal too",
            ALICE,
            from(ALICE, FRONT_DHCP_MAC, DHCP_SERVER).udp((68, 67), b"request"),
            Verdict::Respond(Service::Dhcp),
        ),
        (
            "DNS is answered inside",
            ALICE,
            from(ALICE, FRONT_DHCP_MAC, DHCP_SERVER).udp((5353, 53), b"query"),
            Verdict::Respond(Service::Dns),
        ),
        (
            "metadata through the router",
            ALICE,
            from(ALICE, FRONT_ROUTER_MAC, METADATA).tcp((4000, 80), "S"),
            Verdict::Respond(Service::Metadata),
        ),
        (
            "metadata through the DHCP port",
            ALICE,
            from(ALICE, FRONT_DHCP_MAC, METADATA).tcp((4000, 80), "S"),
            Verdict::Respond(Service::Metadata),
        ),
        (
            "metadata through another guest",
            ALICE,
            from(ALICE, BOB.mac, METADATA).tcp((4000, 80), "S"),
            dropped(R::UnknownDestination),
        ),
        (
            "nothing else listens there",
            ALICE,
            from(ALICE, FRONT_ROUTER_MAC, METADATA).tcp((4000, 22), "S"),
            dropped(R::NotServed),
        ),
        (
            "the router answers pings",
            ALICE,
            from(ALICE, FRONT_ROUTER_MAC, FRONT_ROUTER).ping(1),
            Verdict::Respond(Service::Echo),
        ),
        (
            "at its far interface too",
            ALICE,
            from(ALICE, FRONT_ROUTER_MAC, [10, 0, 2, 1]).ping(1),
            Verdict::Respond(Service::Echo),
        ),
        (
            "and its gateway address",
            ALICE,
            from(ALICE, FRONT_ROUTER_MAC, GATEWAY).ping(1),
            Verdict::Respond(Service::Echo),
        ),
        (
            "the DHCP address answers pings",
            ALICE,
            from(ALICE, FRONT_DHCP_MAC, DHCP_SERVER).ping(1),
            Verdict::Respond(Service::Echo),
        ),
        (
            "nobody has this address",
            ALICE,
            from(ALICE, FRONT_ROUTER_MAC, [10, 0, 2, 77]).ping(1),
            Verdict::Respond(Service::Unreachable { code: 1 }),
        ),
        (
            "a router says when the TTL ends",
            ALICE,
            out().ttl(1).ping(1),
            Verdict::Respond(Service::TimeExceeded),
        ),
        (
            "an unknown neighbour is asked for",
            ALICE,
            from(ALICE, FRONT_ROUTER_MAC, [203, 0, 113, 9]).ping(1),
            Verdict::Respond(Service::Neighbour { router: 0, next_hop: [203, 0, 113, 9] }),
        ),
        (
            "GRE has no port to translate",
            BOB,
            from(BOB, FRONT_ROUTER_MAC, STRANGER).protocol(47),
            dropped(R::SnatPorts),
        ),
        (
            "ARP for a neighbour is answered inside",
            ALICE,
            arp(ALICE.mac, 1, (ALICE.mac, ALICE.address), BOB.address),
            Verdict::Respond(Service::Arp),
        ),
        (
            "an address probe too",
            ALICE,
            arp(ALICE.mac, 1, (ALICE.mac, [0; 4]), ALICE.address),
            Verdict::Respond(Service::Arp),
        ),
        (
            "ARP as the gateway is a lie",
            ALICE,
            arp(ALICE.mac, 2, (ALICE.mac, FRONT_ROUTER), BOB.address),
            dropped(R::ArpSpoof),
        ),
        (
            "ARP with another's MAC is a lie",
            ALICE,
            arp(ALICE.mac, 1, (BOB.mac, ALICE.address), BOB.address),
            dropped(R::ArpSpoof),
        ),
        (
            "in a frame from another's MAC too",
            ALICE,
            arp(BOB.mac, 1, (ALICE.mac, ALICE.address), BOB.address),
            dropped(R::ArpSpoof),
        ),
        (
            "a gratuitous ARP for bob's address",
            ALICE,
            arp(ALICE.mac, 1, (ALICE.mac, BOB.address), BOB.address),
            dropped(R::ArpSpoof),
        ),
        (
            "no frame is shorter than its header",
            ALICE,
            Frame { bytes: vec![0; 13], partial: false },
            dropped(R::Truncated),
        ),
    ]
}

#[test]
fn frames_that_end_at_the_port() {
    for (why, guest, frame, expected) in judged_as_sent() {
        let world = World::new();
        let before: u64 = world.view().drops().map(|(_, count)| count).sum();
        let (verdict, out) = world.send(guest, &frame);
        assert_eq!(verdict, expected, "{why}");
        assert_eq!(out, frame, "{why}: untouched");
        let after: u64 = world.view().drops().map(|(_, count)| count).sum();
        match expected {
            Verdict::Drop(reason) => {
                assert_eq!(after - before, 1, "{why}: counted once");
                assert_eq!(world.drops(reason.name()), 1, "{why}: counted under its name");
            }
            _ => assert_eq!(after, before, "{why}: not counted"),
        }
    }
}

#[test]
fn frames_from_the_uplink_that_are_not_delivered() {
    use DropReason as R;
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

#[test]
fn neighbours_talk_on_their_network_untranslated() {
    let world = World::new();
    let syn = from(ALICE, BOB.mac, BOB.address).tcp((4000, 22), "S");
    let (verdict, out) = world.send(ALICE, &syn);
    assert_eq!(verdict, Verdict::Port(world.index(BOB)));
    assert_eq!(out, syn, "nothing changes within a network");
    let answer = from(BOB, ALICE.mac, ALICE.address).tcp((22, 4000), "SA");
    let (verdict, out) = world.send(BOB, &answer);
    assert_eq!((verdict, out), (Verdict::Port(world.index(ALICE)), answer), "the answer needs no rule");
}

#[test]
fn a_group_lets_its_members_in_and_nobody_else() {
    let world = World::new();
    let route = |guest: Guest, router| from(guest, router, CAROL.address).tcp((4000, 5432), "S");
    let (verdict, out) = world.send(BOB, &route(BOB, FRONT_ROUTER_MAC));
    assert_eq!(verdict, Verdict::Port(world.index(CAROL)));
    let said = out.said();
    assert_eq!(said.eth, (BACK_ROUTER_MAC, CAROL.mac), "the router's far interface hands it over");
    assert_eq!((said.ip, said.ttl), ((BOB.address, CAROL.address), 63), "a hop, no translation");
    let (verdict, _) = world.receive(&outside(STRANGER, CAROL_FLOATING).tcp((4000, 5432), "S"));
    assert_eq!(verdict, dropped(DropReason::PolicyIngress), "a stranger is no member");
}

#[test]
fn a_floating_ip_translates_both_ways() {
    let world = World::new();
    let (verdict, out) = world.receive(&outside(STRANGER, ALICE_FLOATING).tcp((40_000, 22), "S"));
    assert_eq!(verdict, Verdict::Port(world.index(ALICE)));
    let said = out.said();
    assert_eq!(said.eth, (FRONT_ROUTER_MAC, ALICE.mac));
    assert_eq!((said.ip, said.ttl, said.ports), ((STRANGER, ALICE.address), 63, (40_000, 22)));

    let (verdict, out) = world.send(ALICE, &from(ALICE, FRONT_ROUTER_MAC, STRANGER).tcp((22, 40_000), "SA"));
    assert_eq!(verdict, Verdict::Uplink);
    let said = out.said();
    assert_eq!(said.eth, (GATEWAY_MAC, NEXT_HOP_MAC));
    assert_eq!((said.ip, said.ttl, said.ports), ((ALICE_FLOATING, STRANGER), 63, (22, 40_000)));
}

#[test]
fn a_guest_with_a_floating_ip_leaves_under_it() {
    let world = World::new();
    for frame in [
        from(ALICE, FRONT_ROUTER_MAC, STRANGER).tcp((5000, 443), "S"),
        from(ALICE, FRONT_ROUTER_MAC, STRANGER).udp((5000, 443), b"odd"),
        from(ALICE, FRONT_ROUTER_MAC, STRANGER).ping(5000),
        from(ALICE, FRONT_ROUTER_MAC, STRANGER).protocol(47),
    ] {
        let (verdict, out) = world.send(ALICE, &frame);
        assert_eq!(verdict, Verdict::Uplink);
        assert_eq!(out.said().ip, (ALICE_FLOATING, STRANGER));
        assert_eq!(out.said().ports, frame.said().ports, "one to one: ports stay");
    }
}

#[test]
fn a_guest_without_one_shares_the_gateways_address() {
    let world = World::new();
    let frames: [fn(Guest) -> Frame; 3] = [
        |guest| from(guest, FRONT_ROUTER_MAC, STRANGER).tcp((5000, 443), "S"),
        |guest| from(guest, FRONT_ROUTER_MAC, STRANGER).udp((5000, 443), b"x"),
        |guest| from(guest, FRONT_ROUTER_MAC, STRANGER).ping(5000),
    ];
    for frame in frames {
        let (verdict, out) = world.send(BOB, &frame(BOB));
        assert_eq!(verdict, Verdict::Uplink);
        let said = out.said();
        assert_eq!((said.ip, said.ports.0), ((GATEWAY, STRANGER), 5000), "its own port while that is free");
    }
    let answer = outside(STRANGER, GATEWAY).tcp((443, 5000), "SA");
    let (verdict, out) = world.receive(&answer);
    assert_eq!(verdict, Verdict::Port(world.index(BOB)));
    assert_eq!((out.said().ip, out.said().ports), ((STRANGER, BOB.address), (443, 5000)));
    let (verdict, _) = world.receive(&outside(STRANGER, GATEWAY).tcp((443, 5001), "SA"));
    assert_eq!(verdict, dropped(DropReason::NotServed), "another port is nobody's");
    let (verdict, out) = world.receive(&outside(STRANGER, GATEWAY).pong(5000));
    assert_eq!(verdict, Verdict::Port(world.index(BOB)));
    assert_eq!(out.said().ports.0, 5000);
}

#[test]
fn a_taken_port_is_replaced_by_a_free_one() {
    let mut world = World::new();
    world.config.floating_ips.clear(); // alice shares the gateway's address now
    world.apply();
    let out_of = |guest: Guest| {
        let (verdict, out) =
            world.send(guest, &from(guest, FRONT_ROUTER_MAC, STRANGER).udp((5000, 443), b"odd"));
        assert_eq!(verdict, Verdict::Uplink);
        out.said()
    };
    let (first, second) = (out_of(ALICE), out_of(BOB));
    assert_eq!((first.ip, second.ip), ((GATEWAY, STRANGER), (GATEWAY, STRANGER)));
    assert_eq!(first.ports.0, 5000);
    assert_ne!(second.ports.0, 5000, "two guests cannot have one name");
    let (verdict, back) = world.receive(&outside(STRANGER, GATEWAY).udp((443, second.ports.0), b"odd"));
    assert_eq!(verdict, Verdict::Port(world.index(BOB)));
    assert_eq!(back.said().ports, (443, 5000), "bob sees the port that he sent from");
    assert_eq!(out_of(BOB).ports, second.ports, "the flow keeps its port");
}

#[test]
fn a_neighbours_floating_ip_is_reached_without_leaving_the_host() {
    let world = World::new();
    let (verdict, out) = world.send(BOB, &from(BOB, FRONT_ROUTER_MAC, CAROL_FLOATING).tcp((5000, 443), "S"));
    assert_eq!(verdict, Verdict::Port(world.index(CAROL)));
    let said = out.said();
    assert_eq!(
        (said.ip, said.eth),
        ((GATEWAY, CAROL.address), (BACK_ROUTER_MAC, CAROL.mac)),
        "both ends translated"
    );
    let answer = from(CAROL, BACK_ROUTER_MAC, GATEWAY).tcp((443, said.ports.0), "SA");
    let (verdict, out) = world.send(CAROL, &answer);
    assert_eq!(verdict, Verdict::Port(world.index(BOB)));
    assert_eq!((out.said().ip, out.said().ports), ((CAROL_FLOATING, BOB.address), (443, 5000)));
}

#[test]
fn an_unfinished_checksum_stays_unfinished() {
    let world = World::new();
    let mut frame = from(ALICE, FRONT_ROUTER_MAC, STRANGER).tcp((5000, 443), "S");
    // As a guest with checksum offload writes it: the sum of the pseudo-header, not complemented.
    let pseudo = |src: [u8; 4], dst: [u8; 4], len: u16| {
        let words = [
            u16::from_be_bytes([src[0], src[1]]),
            u16::from_be_bytes([src[2], src[3]]),
            u16::from_be_bytes([dst[0], dst[1]]),
            u16::from_be_bytes([dst[2], dst[3]]),
            6,
            len,
        ];
        let sum: u32 = words.into_iter().map(u32::from).sum();
        ((sum & 0xffff) + (sum >> 16)) as u16
    };
    let len = (frame.bytes.len() - 34) as u16;
    frame.bytes[50..52].copy_from_slice(&pseudo(ALICE.address, STRANGER, len).to_be_bytes());
    frame.partial = true;
    let (verdict, out) = world.send(ALICE, &frame);
    assert_eq!(verdict, Verdict::Uplink);
    assert_eq!(out.bytes[50..52], pseudo(ALICE_FLOATING, STRANGER, len).to_be_bytes());
}

#[test]
fn udp_without_a_checksum_gets_none() {
    let world = World::new();
    let mut frame = from(ALICE, FRONT_ROUTER_MAC, STRANGER).udp((5000, 443), b"x");
    frame.bytes[40..42].copy_from_slice(&[0, 0]);
    let (verdict, out) = world.send(ALICE, &frame);
    assert_eq!((verdict, &out.bytes[40..42]), (Verdict::Uplink, &[0u8, 0][..]));
}

#[test]
fn icmp_errors_follow_their_flow_through_nat() {
    let world = World::new();
    let (_, sent) = world.send(BOB, &from(BOB, FRONT_ROUTER_MAC, STRANGER).udp((5000, 9), b"x"));
    // A router on the way reports; it quotes what it saw: the gateway's address.
    let error = outside([192, 0, 2, 77], GATEWAY).unreachable(&sent);
    let (verdict, out) = world.receive(&error);
    assert_eq!(verdict, Verdict::Port(world.index(BOB)));
    assert_eq!(out.said().ip, ([192, 0, 2, 77], BOB.address), "the reporter keeps its name");
    assert_eq!(out.quoted(), ((BOB.address, STRANGER), (5000, 9)), "bob reads his own packet");
    // A guest reports about what came in through its floating IP.
    let (_, arrived) = world.receive(&outside(STRANGER, CAROL_FLOATING).udp((7, 53), b"q"));
    let error = from(CAROL, BACK_ROUTER_MAC, STRANGER).unreachable(&arrived);
    let (verdict, out) = world.send(CAROL, &error);
    assert_eq!(verdict, Verdict::Uplink);
    assert_eq!(out.said().ip, (CAROL_FLOATING, STRANGER));
    assert_eq!(out.quoted(), ((STRANGER, CAROL_FLOATING), (7, 53)));
    // About a flow of somebody else: no.
    let (verdict, _) = world.send(ALICE, &from(ALICE, FRONT_ROUTER_MAC, STRANGER).unreachable(&arrived));
    assert_eq!(verdict, dropped(DropReason::UnrelatedError));
}

#[test]
fn a_removed_rule_cuts_and_an_unchanged_one_does_not() {
    let mut world = World::new();
    let opening = [
        outside(STRANGER, ALICE_FLOATING).tcp((40_000, 22), "S"),
        outside(STRANGER, CAROL_FLOATING).tcp((40_000, 443), "S"),
    ];
    let going_on = [
        outside(STRANGER, ALICE_FLOATING).tcp((40_000, 22), "A"),
        outside(STRANGER, CAROL_FLOATING).tcp((40_000, 443), "A"),
    ];
    for frame in opening.iter().chain(&going_on) {
        assert!(matches!(world.receive(frame).0, Verdict::Port(_)));
    }
    assert_eq!(
        world.send(BOB, &from(BOB, FRONT_ROUTER_MAC, STRANGER).tcp((5000, 443), "S")).0,
        Verdict::Uplink
    );
    world.config.security_groups[0].rules.retain(|rule| rule.port_range_min != Some(22));
    world.apply();
    assert_eq!(world.receive(&going_on[0]).0, dropped(DropReason::PolicyIngress), "the rule is gone");
    assert_eq!(world.receive(&going_on[1]).0, Verdict::Port(world.index(CAROL)), "this one is still there");
    let answer = from(CAROL, BACK_ROUTER_MAC, STRANGER).tcp((443, 40_000), "A");
    assert_eq!(world.send(CAROL, &answer).0, Verdict::Uplink);
    let answer = outside(STRANGER, GATEWAY).tcp((443, 5000), "SA");
    assert_eq!(world.receive(&answer).0, Verdict::Port(world.index(BOB)), "translated flows keep their port");
}

#[test]
fn a_member_that_leaves_the_group_is_cut_off() {
    let mut world = World::new();
    let frame = |flags| from(BOB, FRONT_ROUTER_MAC, CAROL.address).tcp((4000, 5432), flags);
    assert_eq!(world.send(BOB, &frame("S")).0, Verdict::Port(world.index(CAROL)));
    let answer = from(CAROL, BACK_ROUTER_MAC, BOB.address).tcp((5432, 4000), "SA");
    assert_eq!(world.send(CAROL, &answer).0, Verdict::Port(world.index(BOB)));
    world.config.security_groups[0].members.retain(|member| *member != std::net::IpAddr::from(BOB.address));
    world.apply();
    assert_eq!(world.send(CAROL, &answer).0, dropped(DropReason::PolicyIngress), "its next answer finds out");
    assert_eq!(world.send(BOB, &frame("A")).0, dropped(DropReason::PolicyIngress));
}

#[test]
fn a_port_keeps_its_place_and_loses_its_flows_when_it_goes() {
    let mut world = World::new();
    let (carol, bob) = (world.index(CAROL), world.index(BOB));
    assert!(matches!(
        world.receive(&outside(STRANGER, ALICE_FLOATING).tcp((1, 22), "S")).0,
        Verdict::Port(_)
    ));
    assert_eq!(updraft_flow::live_slots(&world.view()), 2);
    world.config.ports.remove(0);
    world.config.floating_ips.remove(0);
    world.apply();
    assert_eq!((world.index(CAROL), world.index(BOB)), (carol, bob));
    assert_eq!(updraft_flow::live_slots(&world.view()), 0);
    assert_eq!(world.receive(&outside(STRANGER, ALICE_FLOATING).tcp((1, 22), "A")).0, Verdict::Pass);
}

#[test]
fn a_port_that_is_down_is_silent() {
    let mut world = World::new();
    let frame = from(BOB, ALICE.mac, ALICE.address).ping(9);
    assert_eq!(world.send(BOB, &frame).0, Verdict::Port(world.index(ALICE)));
    world.config.ports[0].admin_state_up = false;
    world.apply();
    assert_eq!(world.send(BOB, &frame).0, dropped(DropReason::PortDown));
    assert_eq!(
        world.send(ALICE, &from(ALICE, BOB.mac, BOB.address).ping(1)).0,
        dropped(DropReason::PortDown)
    );
}

#[test]
fn without_port_security_anything_goes_out() {
    let mut world = World::new();
    world.config.ports[0].port_security_enabled = false;
    world.apply();
    let spoofed = Guest { address: [10, 0, 1, 200], ..ALICE };
    let (verdict, _) = world.send(ALICE, &from(spoofed, BOB.mac, BOB.address).ping(1));
    assert_eq!(verdict, Verdict::Port(world.index(BOB)));
    let (verdict, _) = world.send(BOB, &from(BOB, ALICE.mac, ALICE.address).udp((1, 9999), b"x"));
    assert_eq!(verdict, Verdict::Port(world.index(ALICE)));
}

#[test]
fn an_allowed_pair_is_a_second_name() {
    let mut world = World::new();
    let shared = Guest { address: [10, 0, 1, 50], ..ALICE };
    let frame = from(shared, BOB.mac, BOB.address).ping(1);
    assert_eq!(world.send(ALICE, &frame).0, dropped(DropReason::SourceAddress));
    let pair = updraft_dataplane_api::net::AddressPair { prefix: "10.0.1.50/32".parse().unwrap(), mac: None };
    world.config.ports[0].allowed_address_pairs.push(pair);
    world.apply();
    assert_eq!(world.send(ALICE, &frame).0, Verdict::Port(world.index(BOB)));
}

#[test]
fn connections_expire_by_silence() {
    let mut world = World::new();
    let start = world.now_ns;
    world.receive(&outside(STRANGER, ALICE_FLOATING).tcp((1, 22), "S"));
    world.send(ALICE, &from(ALICE, FRONT_ROUTER_MAC, STRANGER).tcp((22, 1), "SA"));
    world.receive(&outside(STRANGER, ALICE_FLOATING).tcp((1, 22), "A"));
    world.receive(&outside(STRANGER, ALICE_FLOATING).tcp((2, 22), "S"));
    world.send(BOB, &from(BOB, FRONT_ROUTER_MAC, STRANGER).udp((5, 6), b"x"));
    let second = 1_000_000_000;
    let sweep = |world: &World, after_s: u64| {
        updraft_flow::sweep(&world.view(), 0, u32::MAX, start + after_s * second + 2 * TICK)
    };
    assert_eq!(sweep(&world, 100).live, 6, "nothing is old");
    assert_eq!(sweep(&world, 180).expired, 2, "UDP after three minutes");
    assert_eq!(sweep(&world, 241).expired, 2, "a connection that never opened after four");
    assert_eq!(sweep(&world, 23 * 3600).live, 2, "an open one stays for a day");
    world.now_ns = start + 23 * 3600 * second;
    world.receive(&outside(STRANGER, ALICE_FLOATING).tcp((1, 22), "R"));
    assert_eq!(sweep(&world, 23 * 3600 + 11).expired, 2, "a reset one goes soon");
    assert_eq!(
        world.view().port_states.iter().map(|state| state.flows.get()).sum::<u32>(),
        0,
        "quotas are given back"
    );
}

#[test]
fn ports_may_be_used_again_after_the_end() {
    let world = World::new();
    let open = outside(STRANGER, ALICE_FLOATING).tcp((1, 22), "S");
    let answer = |flags| from(ALICE, FRONT_ROUTER_MAC, STRANGER).tcp((22, 1), flags);
    assert!(matches!(world.receive(&open).0, Verdict::Port(_)));
    assert_eq!(
        world.send(ALICE, &answer("S")).0,
        dropped(DropReason::TcpFlags),
        "no second connection inside one"
    );
    assert_eq!(world.send(ALICE, &answer("RA")).0, Verdict::Uplink);
    assert!(matches!(world.receive(&open).0, Verdict::Port(_)), "a new one over the same ports");
    assert_eq!(world.send(ALICE, &answer("RA")).0, Verdict::Uplink);
    assert_eq!(world.send(ALICE, &answer("S")).0, Verdict::Uplink, "and one the other way");
}

#[test]
fn a_port_cannot_fill_the_table() {
    let world = World::new();
    let quota = updraft_flow::layout::FLOW_QUOTA_DEFAULT;
    let open = |guest: Guest, number: u32| {
        let [_, _, high, low] = number.to_be_bytes();
        let frame = from(guest, FRONT_ROUTER_MAC, [198, 18, high, low]).udp((1, 2), b"");
        world.send(guest, &frame).0
    };
    let mut full = 0;
    for number in 0..quota / 2 {
        match open(ALICE, number) {
            Verdict::Uplink => {}
            Verdict::Drop(DropReason::FlowTableFull) => full += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(full <= quota / 1000, "an eighth of the table must fit: {full}");
    for number in 0..=full {
        open(ALICE, quota + number);
    }
    assert_eq!(open(ALICE, 2 * quota), dropped(DropReason::FlowQuota));
    assert_eq!(open(BOB, 0), Verdict::Uplink, "the neighbour has its own share");
}

#[test]
fn packets_larger_than_the_next_link_are_refused() {
    let mut world = World::new();
    world.config.networks[2].mtu = 1400;
    world.apply();
    let big = from(ALICE, FRONT_ROUTER_MAC, STRANGER).udp((1, 2), &[0; 1450]);
    assert_eq!(world.send(ALICE, &big).0, Verdict::Respond(Service::TooBig { mtu: 1400 }));
}

#[test]
fn the_directory_knows_everybody() {
    use updraft_flow::{Owner, gateway_of, network_of, owner_of};
    let world = World::new();
    let view = world.view();
    let front = network_of(&view, world.index(ALICE)).unwrap();
    assert_eq!(owner_of(&view, front, BOB.address), Some((Owner::Port(world.index(BOB)), BOB.mac)));
    assert_eq!(owner_of(&view, front, FRONT_ROUTER), Some((Owner::Router(0), FRONT_ROUTER_MAC)));
    assert_eq!(owner_of(&view, front, DHCP_SERVER), Some((Owner::Dhcp, FRONT_DHCP_MAC)));
    assert_eq!(owner_of(&view, front, CAROL.address), None);
    assert_eq!(owner_of(&view, 0, ALICE_FLOATING), Some((Owner::Floating(world.index(ALICE)), GATEWAY_MAC)));
    assert_eq!(owner_of(&view, 0, GATEWAY), Some((Owner::Gateway(0), GATEWAY_MAC)));
    assert_eq!(gateway_of(&view, 0), Some((GATEWAY, GATEWAY_MAC)));
    assert_eq!(network_of(&view, PortIndex(999)), None);
}
