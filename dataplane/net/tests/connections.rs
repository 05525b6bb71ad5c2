//! Connections through the flow engine: opened, translated both ways, checked again, ended.

mod world;

use updraft_flow::{DropReason, PortIndex, Service, Verdict};
use world::{
    ALICE, ALICE_FLOATING, BACK_ROUTER_MAC, BOB, CAROL, CAROL_FLOATING, FRONT_DHCP_MAC, FRONT_ROUTER_MAC,
    Frame, GATEWAY, GATEWAY_MAC, Guest, NEXT_HOP_MAC, STRANGER, TICK, World, from, outside,
};

const DHCP_SERVER: [u8; 4] = [10, 0, 1, 2];
const FRONT_ROUTER: [u8; 4] = [10, 0, 1, 1];

fn dropped(reason: DropReason) -> Verdict {
    Verdict::Drop(reason)
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
fn a_protocol_without_ports_cannot_share_an_address() {
    let world = World::new();
    let (verdict, _) = world.send(BOB, &from(BOB, FRONT_ROUTER_MAC, STRANGER).protocol(47));
    assert_eq!(verdict, dropped(DropReason::SnatPorts));
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
    let udp = |len: usize| from(ALICE, FRONT_ROUTER_MAC, STRANGER).udp((1, 2), &vec![0; len]);
    let big = udp(1450);
    // Before there is a flow, and while there is one.
    for _ in 0..2 {
        assert_eq!(world.send(ALICE, &big), (Verdict::Respond(Service::TooBig { mtu: 1400 }), big.clone()));
        assert_eq!(world.send(ALICE, &udp(8)).0, Verdict::Uplink);
    }
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

#[test]
fn what_goes_the_short_way_is_bound_as_before() {
    let world = World::new();
    let to_carol = from(BOB, FRONT_ROUTER_MAC, CAROL.address);
    let there = |flags| to_carol.tcp((4000, 5432), flags);
    let back = |flags| from(CAROL, BACK_ROUTER_MAC, BOB.address).tcp((5432, 4000), flags);
    let (bob, carol) = (Verdict::Port(world.index(BOB)), Verdict::Port(world.index(CAROL)));
    assert_eq!(world.send(BOB, &there("S")).0, carol);
    assert_eq!(world.send(CAROL, &back("SA")).0, bob);
    // The second acknowledgement of each side changes nothing any more.
    for _ in 0..2 {
        let (verdict, out) = world.send(BOB, &there("A"));
        let said = out.said();
        assert_eq!((verdict, said.ttl, said.eth), (carol, 63, (BACK_ROUTER_MAC, CAROL.mac)));
        assert_eq!(world.send(CAROL, &back("A")).0, bob);
    }
    let last = to_carol.ttl(1).tcp((4000, 5432), "A");
    assert_eq!(world.send(BOB, &last), (Verdict::Respond(Service::TimeExceeded), last.clone()));
    let spoofed =
        from(Guest { mac: ALICE.mac, ..BOB }, FRONT_ROUTER_MAC, CAROL.address).tcp((4000, 5432), "A");
    assert_eq!(world.send(BOB, &spoofed).0, dropped(DropReason::SourceMac));
    assert_eq!(world.send(ALICE, &there("A")).0, dropped(DropReason::SourceMac), "another port");
    assert_eq!(world.send(CAROL, &back("S")).0, dropped(DropReason::TcpFlags), "it is open");
    assert_eq!(world.send(BOB, &there("FA")).0, carol);
    assert_eq!(world.send(CAROL, &back("FA")).0, bob);
    // Both ends were noted: this would be a new connection, which no rule allows.
    assert_eq!(world.send(CAROL, &back("S")).0, dropped(DropReason::PolicyIngress));
}
