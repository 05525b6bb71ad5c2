//! Security groups against a slow model written from the API's text: whatever the rules, the compiled tables and
//! the engine allow exactly what the model allows.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod world;

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::{collection, option, proptest, sample};
use updraft_base::SecurityGroupId;
use updraft_dataplane_api::net::{
    Direction, EtherType, NetConfig, Port, RemotePeer, SecurityGroup, SecurityGroupRule,
};
use updraft_flow::{DropReason, Verdict};
use uuid::Uuid;
use world::{ALICE, BOB, Frame, World, from};

/// What a packet opens.
#[derive(Clone, Copy, Debug)]
enum Opening {
    Tcp(u16),
    Udp(u16),
    Ping,
    Other(u8),
}

impl Opening {
    fn frame(self) -> Frame {
        let outline = from(ALICE, BOB.mac, BOB.address);
        match self {
            Self::Tcp(port) => outline.tcp((40_000, port), "S"),
            Self::Udp(port) => outline.udp((40_000, port), b"x"),
            Self::Ping => outline.ping(7),
            Self::Other(protocol) => outline.protocol(protocol),
        }
    }

    /// Protocol number, and what its port range is compared with.
    fn subject(self) -> (u8, Option<u16>) {
        match self {
            Self::Tcp(port) => (6, Some(port)),
            Self::Udp(port) => (17, Some(port)),
            Self::Ping => (1, None),
            Self::Other(protocol) => (protocol, None),
        }
    }
}

/// The model: no denying rules; any rule of any group of the port may allow.
fn allows(config: &NetConfig, port: &Port, direction: Direction, opening: Opening, remote: IpAddr) -> bool {
    let groups = config.security_groups.iter().filter(|group| port.security_groups.contains(&group.id));
    let mut rules = groups.flat_map(|group| &group.rules);
    rules.any(|rule| rule_allows(config, rule, direction, opening, remote))
}

fn rule_allows(
    config: &NetConfig,
    rule: &SecurityGroupRule,
    direction: Direction,
    opening: Opening,
    remote: IpAddr,
) -> bool {
    let (protocol, port) = opening.subject();
    if rule.direction != direction || rule.ethertype != EtherType::Ipv4 {
        return false;
    }
    if rule.protocol.is_some_and(|wanted| wanted != protocol) {
        return false;
    }
    let in_range = match (rule.protocol, opening) {
        (Some(6 | 17), _) => {
            let port = port.unwrap();
            rule.port_range_min.is_none_or(|min| port >= min)
                && rule.port_range_max.is_none_or(|max| port <= max)
        }
        // A ping is type 8, code 0.
        (Some(1), Opening::Ping) => {
            rule.port_range_min.is_none_or(|kind| kind == 8)
                && rule.port_range_max.is_none_or(|code| code == 0)
        }
        _ => true,
    };
    in_range
        && match &rule.remote {
            RemotePeer::Any => true,
            RemotePeer::Prefix(net) => net.contains(&remote),
            RemotePeer::Group(id) => {
                config.security_groups.iter().any(|group| group.id == *id && group.members.contains(&remote))
            }
        }
}

fn group_id(number: u128) -> SecurityGroupId {
    SecurityGroupId(Uuid::from_u128(0xb0 + number))
}

fn a_remote() -> impl Strategy<Value = RemotePeer> {
    prop_oneof![
        proptest::strategy::Just(RemotePeer::Any),
        sample::select(PREFIXES).prop_map(|text| RemotePeer::Prefix(text.parse().unwrap())),
        (0..4u128).prop_map(|number| RemotePeer::Group(group_id(number))), // the last does not exist
    ]
}

const PREFIXES: &[&str] =
    &["0.0.0.0/0", "10.0.1.0/24", "10.0.1.8/29", "10.0.1.11/32", "10.0.1.12/32", "10.9.0.0/16"];

/// Ranges around the ports that are used, inverted ones too.
fn a_range() -> impl Strategy<Value = Option<(u16, u16)>> {
    option::of((
        sample::select(&[0, 1, 22, 80, 443, 65535][..]),
        sample::select(&[0, 21, 22, 80, 443, 65535][..]),
    ))
}

fn a_rule() -> impl Strategy<Value = SecurityGroupRule> {
    let direction = sample::select(&[Direction::Ingress, Direction::Egress][..]);
    let protocol = sample::select(&[None, Some(1), Some(6), Some(6), Some(17), Some(47)][..]);
    let icmp = (sample::select(&[None, Some(8), Some(3)][..]), sample::select(&[None, Some(0), Some(1)][..]));
    (direction, protocol, a_range(), icmp, a_remote(), sample::select(&[4u8, 4, 4, 6][..])).prop_map(
        |(direction, protocol, ports, (kind, code), remote, family)| {
            let mut rule = world::rule(direction, protocol, ports, remote);
            if protocol == Some(1) {
                (rule.port_range_min, rule.port_range_max) = (kind, kind.and(code));
            }
            if !matches!(protocol, Some(1 | 6 | 17)) {
                (rule.port_range_min, rule.port_range_max) = (None, None);
            }
            if family == 6 {
                rule.ethertype = EtherType::Ipv6;
            }
            rule
        },
    )
}

fn a_group(number: u128) -> impl Strategy<Value = SecurityGroup> {
    let addresses = [ALICE.address, BOB.address, [10, 0, 1, 99]];
    let members =
        sample::subsequence(addresses.map(|octets| IpAddr::V4(Ipv4Addr::from(octets))).to_vec(), 0..=3);
    (collection::vec(a_rule(), 0..6), members).prop_map(move |(rules, members)| SecurityGroup {
        id: group_id(number),
        stateful: true,
        rules,
        members,
    })
}

fn an_opening() -> impl Strategy<Value = Opening> {
    let ports = || sample::select(&[0u16, 21, 22, 23, 80, 443, 65535][..]);
    prop_oneof![
        ports().prop_map(Opening::Tcp),
        ports().prop_map(Opening::Udp),
        proptest::strategy::Just(Opening::Ping),
        sample::select(&[47u8, 50, 112][..]).prop_map(Opening::Other),
    ]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 400, ..Default::default() })]

    #[test]
    fn the_engine_allows_what_the_rules_allow(
        groups in (a_group(0), a_group(1), a_group(2)),
        alice_in in collection::vec(any::<bool>(), 3),
        bob_in in collection::vec(any::<bool>(), 3),
        openings in collection::vec(an_opening(), 1..12),
    ) {
        let mut world = World::new();
        world.config.floating_ips.clear();
        world.config.security_groups = vec![groups.0, groups.1, groups.2];
        let chosen = |flags: &[bool]| (0u128..).zip(flags).filter(|(_, on)| **on).map(|(n, _)| group_id(n)).collect();
        world.config.ports[0].security_groups = chosen(&alice_in);
        world.config.ports[1].security_groups = chosen(&bob_in);
        world.apply();
        let [alice, bob, _] = &world.config.ports[..] else { panic!("three ports") };
        for opening in openings {
            let sends = allows(&world.config, alice, Direction::Egress, opening, BOB.address.into());
            let accepts = allows(&world.config, bob, Direction::Ingress, opening, ALICE.address.into());
            let expected = match (sends, accepts) {
                (false, _) => Verdict::Drop(DropReason::PolicyEgress),
                (true, false) => Verdict::Drop(DropReason::PolicyIngress),
                (true, true) => Verdict::Port(world.index(BOB)),
            };
            let (verdict, _) = world.send(ALICE, &opening.frame());
            proptest::prop_assert_eq!(verdict, expected, "{:?}", opening);
        }
    }
}
